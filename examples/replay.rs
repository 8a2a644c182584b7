//! A recording goes through the pipeline at the pace it was made at, on a virtual clock: hours pass in a moment.
//!
//! ```sh
//! cargo run --example replay -- tweets.jsonl
//! ```
//!
//! Each line is a post: `{"id":"1","text":"…","created_at":"2022-05-09T05:17:42Z","task":"RU-UKR"}`.
#![allow(clippy::print_stdout, reason = "it shows what it does")]

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use async_trait::async_trait;
use heartbeat::mock::{MemoryBus, MemoryStore};
use heartbeat::vader::VaderAnalyzer;
use heartbeat::{
    Idle, JsonlConfig, JsonlSource, Position, Query, Result, Source, SourceBatch, Stage,
    StageOptions, Store, Summary, analyze, ingest, transfer,
};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

#[tokio::main(flavor = "current_thread", start_paused = true)]
async fn main() -> anyhow::Result<()> {
    let path = std::env::args()
        .nth(1)
        .context("Which file? Usage: replay FILE.jsonl")?;
    let (store, [read, ..], took) = replay(path.into()).await?;
    println!("{} posts in {took:?} of the recording's time", read.written);
    let minute = Duration::from_secs(60);
    for bucket in store.summarize(&Query::default(), minute).await? {
        let net = bucket.pos - bucket.neg;
        let bar = "█".repeat((net.abs() * 40.0) as usize);
        println!(
            "{} {:>12} {:4} {net:+.2} {bar}",
            bucket.start, bucket.task, bucket.count
        );
    }
    Ok(())
}

/// Runs the stages side by side; says what each did and how long it took by the clock of the runtime.
async fn replay(path: PathBuf) -> anyhow::Result<(MemoryStore, [Summary; 3], Duration)> {
    let (bus, store) = (MemoryBus::default(), MemoryStore::new());
    let mut source = Paced::new(JsonlSource::open(JsonlConfig::new(path))?);
    let (ingested, analyzed) = (CancellationToken::new(), CancellationToken::new());
    let after = |stage, upstream: &CancellationToken| {
        let mut options = StageOptions::new(stage);
        options.idle = Idle::WhenDrained(upstream.clone());
        options
    };
    let (second, third) = (
        after(Stage::Analyze, &ingested),
        after(Stage::Transfer, &analyzed),
    );
    let started = Instant::now();
    let ingest = async {
        let _end = ingested.clone().drop_guard();
        ingest(&mut source, &bus, &StageOptions::new(Stage::Ingest)).await
    };
    let analyze = async {
        let _end = analyzed.clone().drop_guard();
        analyze(&bus, Arc::new(VaderAnalyzer::new()), &second).await
    };
    let transfer = transfer(&bus, Arc::new(store.clone()), &third);
    let (ingested, analyzed, transferred) = tokio::try_join!(ingest, analyze, transfer)?;
    Ok((store, [ingested, analyzed, transferred], started.elapsed()))
}

/// Gives each post when it is due: as long after the first as it was posted after it.
#[derive(Debug)]
struct Paced<S> {
    source: S,
    /// The next post; kept here, so that a call may be dropped while it waits.
    next: Option<SourceBatch>,
    first: Option<(Instant, i32)>,
}

impl<S> Paced<S> {
    fn new(source: S) -> Self {
        Self {
            source,
            next: None,
            first: None,
        }
    }
}

#[async_trait]
impl<S: Source> Source for Paced<S> {
    fn name(&self) -> &str {
        self.source.name()
    }

    async fn resume(&mut self, from: Option<Position>) -> Result<()> {
        (self.next, self.first) = (None, None);
        self.source.resume(from).await
    }

    async fn next_batch(&mut self, _max: usize) -> Result<Option<SourceBatch>> {
        if self.next.is_none() {
            self.next = self.source.next_batch(1).await?;
        }
        let tweet = self.next.as_ref().and_then(|batch| batch.tweets.first());
        if let Some(tweet) = tweet {
            let time = tweet.value.time;
            let (begun, first) = *self.first.get_or_insert((Instant::now(), time));
            let after = u64::try_from(time - first).unwrap_or(0);
            sleep_until(begun + Duration::from_secs(after)).await;
        }
        Ok(self.next.take())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fmt::Write;

    #[tokio::test(start_paused = true)]
    async fn an_hour_passes_in_a_moment() {
        let lines = (0..120).fold(String::new(), |mut lines, n| {
            let time = 1_652_073_462 + n * 30;
            writeln!(
                lines,
                r#"{{"id":"{}","text":"good news {n}","created_at":{time},"task":"RU-UKR"}}"#,
                n + 1
            )
            .unwrap();
            lines
        });
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), lines).unwrap();

        let really = std::time::Instant::now();
        let (store, summaries, took) = replay(file.path().to_owned()).await.unwrap();
        assert!(
            summaries.iter().all(|summary| summary.written == 120),
            "{summaries:?}"
        );
        let hour = Duration::from_secs(119 * 30);
        // Or more: while only the source's thread works, the clock runs ahead.
        assert!(took >= hour, "{took:?}");
        assert!(really.elapsed() < Duration::from_secs(60));
        let minute = Duration::from_secs(60);
        let buckets = store.summarize(&Query::default(), minute).await.unwrap();
        assert!(buckets.iter().all(|bucket| bucket.pos > 0.0));
    }
}
