//! The mood of a subject on Bluesky: it takes every public post that has one of some words, for a while, and prints the mood by the
//! minute. Nobody needs a key for it.
//!
//! ```sh
//! cargo run --features bluesky --example bluesky_stream -- CATS cat,cats,kitten* 60
//! ```
//!
//! The arguments are a name for the subject, its words, and how many seconds to listen.
#![allow(clippy::print_stdout, reason = "it shows what it does")]

use std::sync::Arc;
use std::time::Duration;

use heartbeat::bluesky::{BlueskyConfig, BlueskySource};
use heartbeat::mock::{MemoryBus, MemoryStore};
use heartbeat::vader::VaderAnalyzer;
use heartbeat::{Bucket, Idle, Query, Stage, StageOptions, Store, analyze, ingest, transfer};
use tokio_util::sync::CancellationToken;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut args = std::env::args().skip(1);
    let mut or = |default: &str| args.next().unwrap_or_else(|| default.to_owned());
    let (task, words) = (or("CATS"), or("cat,cats,kitten*"));
    let time = Duration::from_secs(or("60").parse()?);
    let mut config = BlueskyConfig::default();
    let words = words.split(',').map(str::to_owned).collect();
    config.words.insert(task, words);
    for bucket in mood(&config, time).await? {
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

/// Takes posts through the three stages for so long, or until the source ends, and gives the mood by the minute.
async fn mood(config: &BlueskyConfig, time: Duration) -> heartbeat::Result<Vec<Bucket>> {
    let bus = MemoryBus::default();
    let store = Arc::new(MemoryStore::new());
    let mut source = BlueskySource::open(config).await?;
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
        let stop = async {
            tokio::time::sleep(time).await;
            reading.shutdown.cancel();
            std::future::pending().await
        };
        let read = tokio::select! {
            read = ingest(&mut source, &bus, &reading) => read,
            never = stop => never,
        };
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
    use futures_util::SinkExt;
    use serde_json::json;
    use tokio::net::TcpListener;
    use tokio_tungstenite::accept_async;
    use tokio_tungstenite::tungstenite::Message;

    use super::*;

    /// 2024-09-09 19:46 UTC, in microseconds.
    const START: i64 = 1_725_911_160_000_000;

    /// A server that sends 25 posts, ten a minute, every other one about cats.
    async fn jetstream() -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            let (tcp, _) = listener.accept().await.unwrap();
            let mut socket = accept_async(tcp).await.unwrap();
            for id in 0..25_i64 {
                let text = if id % 2 == 0 {
                    "I love my cat!"
                } else {
                    "Dogs are fine."
                };
                let message = json!({
                    "did": "did:plc:a", "time_us": START + 60_000_000 * (id / 10), "kind": "commit",
                    "commit": {
                        "operation": "create", "collection": "app.bsky.feed.post", "rkey": id.to_string(),
                        "record": {"text": text, "langs": ["en"]},
                    },
                });
                let message = Message::text(message.to_string());
                socket.send(message).await.unwrap();
            }
            let later = json!({"kind": "account", "time_us": START + 86_400_000_000});
            let later = Message::text(later.to_string());
            socket.send(later).await.unwrap();
            // It goes on for ever.
            std::future::pending::<()>().await;
        });
        format!("ws://{address}")
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn posts_of_the_words_become_moods_by_the_minute() {
        let mut config = BlueskyConfig::default();
        config.hosts = vec![jetstream().await];
        config
            .words
            .insert("CATS".to_owned(), vec!["cat".to_owned()]);
        config.until = Some("2024-09-10T00:00:00Z".parse().unwrap());
        let moods = mood(&config, Duration::MAX).await.unwrap();
        let start = START / 1_000_000;
        let counts: Vec<(i64, u64)> = moods
            .iter()
            .map(|mood| (mood.start - start, mood.count))
            .collect();
        assert_eq!(counts, [(0, 5), (60, 5), (120, 3)]);
        assert!(moods.iter().all(|mood| mood.pos > mood.neg));
    }
}
