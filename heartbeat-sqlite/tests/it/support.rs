//! What the tests of this crate share.

use std::collections::BTreeMap;
use std::num::NonZeroU16;
use std::path::Path;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use bytes::Bytes;
use heartbeat_core::{
    Batch, Bus, Envelope, Max, Message, Output, Payload, Schema, Subscription, Topic,
};
use heartbeat_sqlite::{SqliteBus, SqliteConfig};

/// Short, so that tests see a lease run out.
pub(crate) const LEASE: Duration = Duration::from_millis(300);

/// Longer than anything here takes.
pub(crate) const LONG: Duration = Duration::from_secs(20);

/// How long to look for what must not come.
pub(crate) const NONE: Duration = Duration::from_millis(150);

pub(crate) const ALL: Max = Max {
    messages: 1_000_000,
    bytes: 1 << 30,
};

pub(crate) static SCHEMA: LazyLock<Arc<Schema>> =
    LazyLock::new(|| Schema::parse(r#"{"type":"bytes"}"#).unwrap());

pub(crate) fn topic(name: &str) -> Topic {
    Topic::new(name).unwrap()
}

pub(crate) fn count(partitions: u16) -> NonZeroU16 {
    partitions.try_into().unwrap()
}

pub(crate) fn config(path: &Path) -> SqliteConfig {
    SqliteConfig {
        path: path.to_owned(),
        lease: LEASE,
        ..SqliteConfig::default()
    }
}

pub(crate) async fn open(path: &Path) -> SqliteBus {
    SqliteBus::open(config(path)).await.unwrap()
}

/// A message whose key and value are the number.
pub(crate) fn output(topic: &Topic, number: i64) -> Output {
    let bytes = Bytes::copy_from_slice(&number.to_be_bytes());
    let payload = Payload::Avro {
        schema: SCHEMA.clone(),
        datum: bytes.clone(),
    };
    Output {
        topic: topic.clone(),
        envelope: Envelope::new(bytes, payload),
    }
}

pub(crate) fn outputs(topic: &Topic, numbers: impl IntoIterator<Item = i64>) -> Vec<Output> {
    numbers.into_iter().map(|n| output(topic, n)).collect()
}

pub(crate) fn number(message: &Message) -> i64 {
    i64::from_be_bytes(message.envelope.key.as_ref().try_into().unwrap())
}

pub(crate) fn numbers(batch: &Batch) -> Vec<i64> {
    let mut numbers: Vec<i64> = batch.messages.iter().map(number).collect();
    numbers.sort_unstable();
    numbers
}

/// Polls until `count` messages have come.
pub(crate) async fn poll_all(subscription: &mut dyn Subscription, count: usize) -> Batch {
    let mut batch = subscription.poll(ALL, LONG).await.unwrap();
    while batch.messages.len() < count {
        let next = subscription.poll(ALL, LONG).await.unwrap();
        assert!(!next.is_empty(), "{} of {count} came", batch.messages.len());
        batch.append(next);
    }
    batch
}

/// Everything in a topic, as a new group reads it.
pub(crate) async fn read_topic(bus: &SqliteBus, topic: &Topic) -> Vec<Message> {
    let group = format!("reader {:?}", std::time::Instant::now());
    let mut subscription = bus.subscribe(topic, &group).await.unwrap();
    let mut messages = Vec::new();
    loop {
        let batch = subscription.poll(ALL, Duration::ZERO).await.unwrap();
        if batch.is_empty() {
            break;
        }
        messages.extend(batch.messages);
    }
    subscription.close().await.unwrap();
    messages
}

/// Fails unless the offsets of each partition run from 0 without gaps.
pub(crate) fn assert_contiguous(messages: &[Message]) {
    let mut next: BTreeMap<i32, i64> = BTreeMap::new();
    for message in messages {
        let next = next.entry(message.partition).or_default();
        assert_eq!(message.offset, *next, "partition {}", message.partition);
        *next += 1;
    }
}

pub(crate) async fn total_lag(bus: &SqliteBus, topic: &Topic, group: &str) -> u64 {
    let lags = bus.lag(topic, group).await.unwrap();
    lags.iter().map(|lag| lag.messages).sum()
}
