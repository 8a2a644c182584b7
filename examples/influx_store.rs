//! The pipeline into InfluxDB: it makes a bucket and the dashboard, stores the moods of fake tweets, writes all of them again,
//! which changes nothing, and reads what is there.
//!
//! ```sh
//! HEARTBEAT_INFLUX_TOKEN=… cargo run --features influx --example influx_store -- http://localhost:8086 heartbeat
//! ```
//!
//! It needs an InfluxDB 2, its organization's name and a token that may do everything there. The bucket has a name that no other run has,
//! and stays, as does its dashboard.
#![allow(clippy::print_stdout, reason = "it shows what it does")]

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use heartbeat::influx::{InfluxAdmin, InfluxConfig, InfluxStore};
use heartbeat::mock::{FakeConfig, FakeSource, MemoryBus};
use heartbeat::vader::VaderAnalyzer;
use heartbeat::{
    Bucket, Idle, Query, Stage, StageOptions, Store, Summary, analyze, ingest, transfer,
};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut args = std::env::args().skip(1);
    let mut or = |default: &str| args.next().unwrap_or_else(|| default.to_owned());
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?;
    let config = InfluxConfig {
        url: or("http://localhost:8086"),
        org: or("heartbeat"),
        bucket: format!("example-{}", now.as_nanos()),
        ..InfluxConfig::default()
    };
    println!("bucket {} with its dashboard", config.bucket);
    set_up(&config).await?;
    for _ in 0..2 {
        let stored = run(&config, 600).await?;
        println!(
            "wrote {} points, refused {}",
            stored.written, stored.dead_letters
        );
        for bucket in mood(&config).await? {
            let Bucket {
                start,
                task,
                count,
                pos,
                neg,
                ..
            } = bucket;
            println!("{start} {task} {count:4} tweets {:+.2}", pos - neg);
        }
    }
    Ok(())
}

/// What `heartbeat influx setup` does.
async fn set_up(config: &InfluxConfig) -> heartbeat::Result<()> {
    let admin = InfluxAdmin::connect(config.clone()).await?;
    if admin.bucket().await?.is_none() {
        admin.create_bucket(None).await?;
    }
    admin.install_dashboard().await.map(drop)
}

/// Takes so many posts through the three stages, the same ones each time. Says what the last one did.
async fn run(config: &InfluxConfig, posts: u64) -> heartbeat::Result<Summary> {
    let bus = MemoryBus::default();
    let mut source = FakeSource::new(FakeConfig {
        seed: Some(7868),
        count: Some(posts),
        rate: 0.0,
        ..FakeConfig::default()
    })?;
    let until_idle = |stage| {
        let mut options = StageOptions::new(stage);
        options.idle = Idle::AfterEmptyPolls(1);
        options.wait = Duration::from_millis(100);
        options
    };
    ingest(&mut source, &bus, &until_idle(Stage::Ingest)).await?;
    analyze(
        &bus,
        Arc::new(VaderAnalyzer::new()),
        &until_idle(Stage::Analyze),
    )
    .await?;

    let store = Arc::new(InfluxStore::open(config.clone()).await?);
    let mut options = until_idle(Stage::Transfer);
    config.fill(&mut options);
    transfer(&bus, store, &options).await
}

/// The mood of each task by the minute.
async fn mood(config: &InfluxConfig) -> heartbeat::Result<Vec<Bucket>> {
    let store = InfluxStore::open(config.clone()).await?;
    store
        .summarize(&Query::default(), Duration::from_secs(60))
        .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn writing_everything_twice_changes_nothing() {
        let token = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(&token, testbed::INFLUX_TOKEN).unwrap();
        let now = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap();
        let config = InfluxConfig {
            url: testbed::shared_influx().unwrap(),
            org: testbed::INFLUX_ORG.to_owned(),
            bucket: format!("example-{}", now.as_nanos()),
            token_file: Some(token.path().to_owned()),
            ..InfluxConfig::default()
        };
        set_up(&config).await.unwrap();
        let mut moods = Vec::new();
        for _ in 0..2 {
            let stored = run(&config, 120).await.unwrap();
            assert_eq!((stored.written, stored.dead_letters), (120, 0));
            let mood = mood(&config).await.unwrap();
            assert_eq!(mood.iter().map(|bucket| bucket.count).sum::<u64>(), 120);
            moods.push(mood);
        }
        assert_eq!(moods[0], moods[1]);
    }
}
