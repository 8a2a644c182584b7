//! What the tests share.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use heartbeat_core::{Batch, Keyed, Max, Output, Subscription, Topic, Tweet, TweetId};
use heartbeat_kafka::{KafkaConfig, RegistryConfig, TopicAdmin, TopicPlan, TopicsConfig};

pub(crate) const ALL: Max = Max {
    messages: 10_000,
    bytes: 64 << 20,
};

pub(crate) const SHORT: Duration = Duration::from_millis(100);

/// A name that no other test has.
pub(crate) fn unique(stem: &str) -> String {
    format!("{stem}-{:016x}", RandomState::new().hash_one(()))
}

/// The broker and the registry that all tests share.
pub(crate) fn config() -> KafkaConfig {
    KafkaConfig {
        brokers: testbed::shared_brokers().unwrap(),
        registry: RegistryConfig {
            url: testbed::shared_registry().unwrap(),
            ..RegistryConfig::default()
        },
        session_timeout: Duration::from_secs(2),
        transaction_timeout: Duration::from_secs(4),
        ..KafkaConfig::default()
    }
}

/// A new topic.
pub(crate) async fn topic(stem: &str, partitions: u16) -> Topic {
    let topic = Topic::new(&unique(stem)).unwrap();
    let config_of_topics = TopicsConfig {
        partitions: partitions.try_into().unwrap(),
        ..TopicsConfig::default()
    };
    let plan = TopicPlan::new(&config_of_topics, &topic);
    let admin = TopicAdmin::connect(config()).await.unwrap();
    admin.create(&[plan]).await.unwrap();
    topic
}

pub(crate) fn tweets(topic: &Topic, ids: std::ops::Range<i64>) -> Vec<Output> {
    let tweet = |id| Keyed {
        id: TweetId(id),
        value: Tweet {
            time: 1_652_073_462,
            content: format!("tweet {id}"),
            task: "RU-UKR".to_owned(),
        },
    };
    ids.map(|id| Output {
        topic: topic.clone(),
        envelope: tweet(id).to_envelope().unwrap(),
    })
    .collect()
}

/// The messages of a batch on their way to another topic.
pub(crate) fn copies(batch: &Batch, to: &Topic) -> Vec<Output> {
    let envelopes = batch
        .messages
        .iter()
        .map(|message| message.envelope.clone());
    envelopes
        .map(|envelope| Output {
            topic: to.clone(),
            envelope,
        })
        .collect()
}

/// The ids of so many messages, sorted; what comes twice stands twice.
pub(crate) async fn ids(reader: &mut dyn Subscription, count: usize) -> Vec<i64> {
    let started = std::time::Instant::now();
    let mut ids = Vec::new();
    while ids.len() < count {
        assert!(
            started.elapsed() < Duration::from_secs(30),
            "{} of {count}",
            ids.len()
        );
        let batch = reader.poll(ALL, SHORT).await.unwrap();
        let keys = batch.messages.iter().map(|message| &message.envelope.key);
        ids.extend(keys.map(|key| TweetId::from_key(key).unwrap().0));
    }
    ids.sort_unstable();
    ids
}
