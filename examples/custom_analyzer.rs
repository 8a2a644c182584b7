//! An analyzer of one's own: one trait implemented, one promise suite run, one stage given it.
//!
//! ```sh
//! cargo run --example custom_analyzer
//! ```
#![allow(clippy::print_stdout, reason = "it shows what it does")]

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use heartbeat::mock::{FakeConfig, FakeSource, MemoryBus, MemoryStore};
use heartbeat::{
    Analyzer, Idle, Query, Result, Scores, Stage, StageOptions, Store, analyze, ingest, transfer,
};

/// Counts words that it likes and words that it does not.
#[derive(Debug)]
struct Likes {
    likes: &'static [&'static str],
    dislikes: &'static [&'static str],
}

#[async_trait]
impl Analyzer for Likes {
    async fn analyze(&self, texts: &[&str]) -> Result<Vec<Scores>> {
        texts.iter().map(|text| self.score(text)).collect()
    }
}

impl Likes {
    fn score(&self, text: &str) -> Result<Scores> {
        let (mut good, mut bad, mut all) = (0.0_f32, 0.0_f32, 0.0_f32);
        for word in text.split_whitespace() {
            all += 1.0;
            if self.likes.contains(&word) {
                good += 1.0;
            } else if self.dislikes.contains(&word) {
                bad += 1.0;
            }
        }
        let all = all.max(1.0);
        let (pos, neg) = (good / all, bad / all);
        Scores::new(neg, 1.0 - pos - neg, pos)
    }
}

fn analyzer() -> Likes {
    Likes {
        likes: &["happy", "love", "peace", "great", "good", "hope", "joy"],
        dislikes: &["sad", "war", "hate", "terrible", "bad", "fear", "pain"],
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let store = score_fake_tweets(200).await?;
    let minute = Duration::from_secs(60);
    for bucket in store.summarize(&Query::default(), minute).await? {
        println!(
            "{} {}: {:3} tweets, {:+.3}",
            bucket.start,
            bucket.task,
            bucket.count,
            bucket.pos - bucket.neg
        );
    }
    Ok(())
}

/// Sends fake tweets all the way with the analyzer above.
async fn score_fake_tweets(count: u64) -> anyhow::Result<MemoryStore> {
    let (bus, store) = (MemoryBus::default(), MemoryStore::new());
    let mut source = FakeSource::new(FakeConfig {
        seed: Some(1),
        count: Some(count),
        rate: 0.0,
        ..FakeConfig::default()
    })?;
    let until_idle = |stage| {
        let mut options = StageOptions::new(stage);
        options.wait = Duration::from_millis(10);
        options.idle = Idle::AfterEmptyPolls(1);
        options
    };
    ingest(&mut source, &bus, &until_idle(Stage::Ingest)).await?;
    analyze(&bus, Arc::new(analyzer()), &until_idle(Stage::Analyze)).await?;
    transfer(&bus, Arc::new(store.clone()), &until_idle(Stage::Transfer)).await?;
    Ok(store)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn it_keeps_what_an_analyzer_promises() {
        heartbeat::conformance::analyzer::all(&analyzer(), 1e-6).await;
    }

    #[tokio::test]
    async fn every_tweet_is_scored() {
        let store = score_fake_tweets(200).await.unwrap();
        let day = Duration::from_secs(86_400);
        let buckets = store.summarize(&Query::default(), day).await.unwrap();
        assert_eq!(buckets.iter().map(|bucket| bucket.count).sum::<u64>(), 200);
        assert!(
            buckets
                .iter()
                .any(|bucket| bucket.pos > 0.0 || bucket.neg > 0.0)
        );
    }
}
