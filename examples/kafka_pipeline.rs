//! The pipeline over Kafka: it makes its topics, publishes fake tweets, scores them in two members of one consumer group,
//! which share the work, stores them in memory and draws the mood.
//!
//! ```sh
//! cargo run --features kafka --example kafka_pipeline -- localhost:9092 http://localhost:8081
//! ```
//!
//! It needs a broker and a schema registry; `docker compose -f deploy/compose.yaml up kafka registry` starts them. Its
//! topics have a name that no other run has, and stay.
#![allow(clippy::print_stdout, reason = "it shows what it does")]

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use heartbeat::kafka::{
    KafkaBus, KafkaConfig, RegistryConfig, TopicAdmin, TopicPlan, TopicsConfig,
};
use heartbeat::mock::{FakeConfig, FakeSource, MemoryStore};
use heartbeat::vader::VaderAnalyzer;
use heartbeat::{
    Bucket, Bus, Idle, Query, Result, Stage, StageOptions, Store, Summary, Topic, Topics, analyze,
    ingest, transfer,
};
use tokio_util::sync::CancellationToken;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut args = std::env::args().skip(1);
    let mut or = |default: &str| args.next().unwrap_or_else(|| default.to_owned());
    let pipeline = Pipeline::new(or("localhost:9092"), or("http://localhost:8081"), 600)?;
    for topic in pipeline.create_topics().await? {
        println!("made {topic}");
    }
    let (store, [read, one, other, stored]) = pipeline.run().await?;
    println!(
        "published {}, scored {} and {}, stored {}",
        read.written, one.written, other.written, stored.written
    );
    let every = Duration::from_secs(1);
    for bucket in store.summarize(&Query::default(), every).await? {
        println!("{}", picture(&bucket));
    }
    Ok(())
}

/// What the stages have in common.
struct Pipeline {
    config: KafkaConfig,
    topics: Topics,
    group: String,
    tweets: u64,
}

impl Pipeline {
    /// With names that nobody else has, for so many tweets.
    fn new(brokers: String, registry: String, tweets: u64) -> anyhow::Result<Self> {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?;
        let name = format!("example-{}", now.as_nanos());
        Ok(Self {
            topics: Topics {
                ingest: Topic::new(&format!("{name}.ingest"))?,
                sentiment: Topic::new(&format!("{name}.sentiment"))?,
            },
            config: KafkaConfig {
                brokers,
                registry: RegistryConfig {
                    url: registry,
                    ..RegistryConfig::default()
                },
                topics: TopicsConfig {
                    positions: format!("{name}.positions"),
                    ..TopicsConfig::default()
                },
                ..KafkaConfig::default()
            },
            group: name,
            tweets,
        })
    }

    /// What `heartbeat topics create` does.
    async fn create_topics(&self) -> Result<Vec<Topic>> {
        let plans = TopicPlan::of_topics(&self.config.topics, &self.topics)?;
        let admin = TopicAdmin::connect(self.config.clone()).await?;
        admin.create(&plans).await
    }

    /// Runs the stages side by side, each on a bus of its own, as in a process of its own. Says what each did.
    async fn run(&self) -> Result<(MemoryStore, [Summary; 4])> {
        let store = MemoryStore::new();
        let mut source = FakeSource::new(FakeConfig {
            seed: Some(7868),
            count: Some(self.tweets),
            rate: 60.0,
            ..FakeConfig::default()
        })?;
        let (ingested, analyzed) = (CancellationToken::new(), CancellationToken::new());
        let ingest = async {
            let _end = ingested.clone().drop_guard();
            let bus = self.bus().await?;
            let done = ingest(&mut source, &bus, &self.options(Stage::Ingest, None)).await?;
            bus.close().await.map(|()| done)
        };
        let member = async || {
            let bus = self.bus().await?;
            let options = self.options(Stage::Analyze, Some(&ingested));
            let done = analyze(&bus, Arc::new(VaderAnalyzer::new()), &options).await?;
            bus.close().await.map(|()| done)
        };
        let analyze = async {
            let _end = analyzed.clone().drop_guard();
            tokio::try_join!(member(), member())
        };
        let transfer = async {
            let bus = self.bus().await?;
            let options = self.options(Stage::Transfer, Some(&analyzed));
            let done = transfer(&bus, Arc::new(store.clone()), &options).await?;
            bus.close().await.map(|()| done)
        };
        let (read, (one, other), stored) = tokio::try_join!(ingest, analyze, transfer)?;
        Ok((store, [read, one, other, stored]))
    }

    async fn bus(&self) -> Result<KafkaBus> {
        KafkaBus::open(self.config.clone()).await
    }

    /// A stage that ends when all is done after the one before has ended.
    fn options(&self, stage: Stage, before: Option<&CancellationToken>) -> StageOptions {
        let mut options = StageOptions::new(stage);
        options.topics = self.topics.clone();
        options.group = format!("{}-{stage}", self.group);
        options.wait = Duration::from_millis(100);
        if let Some(before) = before {
            options.idle = Idle::WhenDrained(before.clone());
        }
        options
    }
}

/// A bar to the right for a good mood, to the left for a bad one.
fn picture(bucket: &Bucket) -> String {
    const WIDTH: usize = 20;
    let net = bucket.pos - bucket.neg;
    let bar = "█".repeat((net.abs() * 2.0 * WIDTH as f64).min(WIDTH as f64) as usize);
    let (bad, good) = if net < 0.0 { (&*bar, "") } else { ("", &*bar) };
    format!(
        "{} {:4} tweets {net:+.2} {bad:>WIDTH$}│{good}",
        bucket.start, bucket.count
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn every_tweet_is_scored_and_stored_once() {
        let brokers = testbed::shared_brokers().unwrap();
        let registry = testbed::shared_registry().unwrap();
        let pipeline = Pipeline::new(brokers, registry, 120).unwrap();
        assert_eq!(pipeline.create_topics().await.unwrap().len(), 5);
        let (store, [read, one, other, stored]) = pipeline.run().await.unwrap();
        assert_eq!(read.written, 120);
        assert_eq!(one.written + other.written, 120);
        assert_eq!(stored.written, 120);
        let every = Duration::from_secs(1);
        let buckets = store.summarize(&Query::default(), every).await.unwrap();
        assert_eq!(buckets.iter().map(|bucket| bucket.count).sum::<u64>(), 120);
    }

    #[test]
    fn the_picture_leans_to_where_the_mood_is() {
        let mood = |pos, neg| {
            picture(&Bucket {
                start: 0,
                task: "a".to_owned(),
                count: 7,
                pos,
                neu: 0.0,
                neg,
            })
        };
        assert!(mood(0.4, 0.1).ends_with(" │████████████"));
        assert!(mood(0.1, 0.4).ends_with(" ████████████│"));
    }
}
