//! The mood of a subject on X: it tells X by which rule to pick posts, takes them as they are posted, and prints the mood by the minute.
//!
//! ```sh
//! HEARTBEAT_TWITTER_TOKEN=… cargo run --features twitter --example twitter_stream -- CATS '(cat OR kitten) lang:en' 100
//! ```
//!
//! It needs an app on X with the filtered stream, and pays for as many posts as its last argument says: 100, unless you say so. The app
//! then has this rule and no others.
#![allow(clippy::print_stdout, reason = "it shows what it does")]

use std::sync::Arc;
use std::time::Duration;

use heartbeat::mock::{MemoryBus, MemoryStore};
use heartbeat::twitter::{Change, RuleAdmin, TwitterConfig, TwitterSource};
use heartbeat::vader::VaderAnalyzer;
use heartbeat::{Bucket, Idle, Query, Stage, StageOptions, Store, analyze, ingest, transfer};
use tokio_util::sync::CancellationToken;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut args = std::env::args().skip(1);
    let mut or = |default: &str| args.next().unwrap_or_else(|| default.to_owned());
    let mut config = TwitterConfig::default();
    config
        .rules
        .insert(or("CATS"), or("(cat OR kitten) lang:en"));
    config.budget.day = Some(or("100").parse()?);
    set_rules(&config).await?;
    for bucket in mood(config).await? {
        let Bucket {
            start,
            task,
            count,
            pos,
            neg,
            ..
        } = bucket;
        println!("{start} {task} {count:4} posts {:+.2}", pos - neg);
    }
    Ok(())
}

/// What `heartbeat rules set` does.
async fn set_rules(config: &TwitterConfig) -> heartbeat::Result<()> {
    let admin = RuleAdmin::connect(config).await?;
    let change = Change::between(&admin.list().await?, &config.wanted_rules());
    admin.apply(&change).await
}

/// Takes posts through the three stages until the budget is spent, and gives the mood by the minute.
async fn mood(config: TwitterConfig) -> heartbeat::Result<Vec<Bucket>> {
    let bus = MemoryBus::default();
    let store = Arc::new(MemoryStore::new());
    let mut source = TwitterSource::open(config).await?;
    let options = |stage| {
        let mut options = StageOptions::new(stage);
        options.wait = Duration::from_millis(100);
        options
    };
    // Each stage ends when the one before has ended and all of it is done.
    let (ingested, analyzed) = (CancellationToken::new(), CancellationToken::new());
    let reading = options(Stage::Ingest);
    let mut analysis = options(Stage::Analyze);
    analysis.idle = Idle::WhenDrained(ingested.clone());
    let mut storing = options(Stage::Transfer);
    storing.idle = Idle::WhenDrained(analyzed.clone());
    let read = async {
        let read = ingest(&mut source, &bus, &reading).await;
        ingested.cancel();
        read
    };
    let score = async {
        let scored = analyze(&bus, Arc::new(VaderAnalyzer::new()), &analysis).await;
        analyzed.cancel();
        scored
    };
    tokio::try_join!(read, score, transfer(&bus, store.clone(), &storing))?;
    store
        .summarize(&Query::default(), Duration::from_secs(60))
        .await
}

#[cfg(test)]
mod tests {
    use axum::routing::get;
    use axum::{Json, Router};
    use serde_json::json;
    use tokio::net::TcpListener;

    use super::*;

    /// A server with one rule, which sends 25 posts, of which every fifth is sad.
    async fn x() -> String {
        let rules = get(|| async {
            Json(json!({"data": [{"id": "1", "value": "cat", "tag": "CATS"}], "meta": {}}))
        });
        let post = |id: u32| {
            let text = if id.is_multiple_of(5) {
                "I hate this"
            } else {
                "I love my cat"
            };
            let data = json!({"id": id.to_string(), "text": text, "created_at": 60 * (id / 10)});
            format!(
                "{}\r\n",
                json!({"data": data, "matching_rules": [{"tag": "CATS"}]})
            )
        };
        let posts: String = (0..25).map(post).collect();
        let stream = get(|| async { ([("content-type", "application/json")], posts) });
        let router = Router::new()
            .route("/2/tweets/search/stream", stream)
            .route("/2/tweets/search/stream/rules", rules);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, router).await });
        format!("http://{address}")
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn posts_become_moods_by_the_minute() {
        let dir = tempfile::tempdir().unwrap();
        let token = dir.path().join("token");
        std::fs::write(&token, "any").unwrap();
        let mut config = TwitterConfig::default();
        config.base_url = x().await;
        config.token_file = Some(token);
        config.rules.insert("CATS".to_owned(), "cat".to_owned());
        config.budget.day = Some(25);
        config.budget.file = dir.path().join("spent.json");
        set_rules(&config).await.unwrap();
        let moods = mood(config).await.unwrap();
        let counts: Vec<(i64, u64)> = moods.iter().map(|mood| (mood.start, mood.count)).collect();
        assert_eq!(counts, [(0, 10), (60, 10), (120, 5)]);
        assert!(moods.iter().all(|mood| mood.pos > mood.neg));
    }
}
