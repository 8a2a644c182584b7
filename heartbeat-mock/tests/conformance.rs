//! The promises of the traits, and of the stages over bus and store.

use std::num::NonZeroU16;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use heartbeat_core::conformance::{analyzer, bus, flow, source, store};
use heartbeat_core::{Bus, Scores, Source, Store, Topic};
use heartbeat_mock::{
    FakeConfig, FakeSource, FreeAnalyzer, Ids, MemoryBus, MemoryConfig, MemoryStore, SlowAnalyzer,
    TableAnalyzer,
};

struct Memory(MemoryBus);

#[async_trait]
impl bus::BusHarness for Memory {
    async fn open(&self) -> Arc<dyn Bus> {
        Arc::new(self.0.clone())
    }

    async fn create_topic(&self, topic: &Topic, partitions: i32) {
        let partitions = u16::try_from(partitions).ok().and_then(NonZeroU16::new);
        for topic in [topic, &topic.dead_letters()] {
            let partitions = partitions.expect("a number of partitions");
            self.0.create_topic(topic, partitions).expect("a new topic");
        }
    }

    fn takeover(&self) -> Duration {
        Duration::ZERO
    }
}

fn unbounded() -> Memory {
    Memory(MemoryBus::default())
}

fn bounded() -> Memory {
    Memory(MemoryBus::new(MemoryConfig {
        capacity: 64.try_into().ok(),
        ..MemoryConfig::default()
    }))
}

#[tokio::test(flavor = "multi_thread")]
async fn bus_keeps_its_promises() {
    bus::all(&unbounded()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn stages_keep_theirs_over_it() {
    flow::all(&unbounded(), Arc::new(MemoryStore::new())).await;
}

/// But for the promise that a new group finds the first message.
#[tokio::test(flavor = "multi_thread")]
async fn everything_arrives_once_over_a_bounded_bus() {
    flow::everything_arrives_once(&bounded(), Arc::new(MemoryStore::new())).await;
}

struct Empty;

#[async_trait]
impl store::StoreHarness for Empty {
    async fn empty(&self) -> Arc<dyn Store> {
        Arc::new(MemoryStore::new())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn store_keeps_its_promises() {
    store::all(&Empty).await;
}

struct Fake(FakeConfig);

#[async_trait]
impl source::SourceHarness for Fake {
    async fn open(&self) -> Box<dyn Source> {
        Box::new(FakeSource::new(self.0.clone()).expect("a source"))
    }

    fn resumable(&self) -> bool {
        true
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sources_keep_their_promises() {
    for (rate, ids) in [(0.0, Ids::Snowflake), (2000.0, Ids::Short)] {
        source::all(&Fake(FakeConfig {
            seed: Some(1),
            count: Some(60),
            rate,
            ids,
            ..FakeConfig::default()
        }))
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn analyzers_keep_their_promises() {
    analyzer::all(&FreeAnalyzer, 0.0).await;
    let joy = Scores::new(0.0, 0.25, 0.75).expect("shares");
    let table = TableAnalyzer::default().with("This is terrible", joy);
    let short = Duration::from_millis(1);
    analyzer::all(&SlowAnalyzer::new(table, short, Duration::ZERO), 0.0).await;
}
