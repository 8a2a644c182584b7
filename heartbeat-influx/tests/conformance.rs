//! The promises of a store, and of the stages over it, on a real InfluxDB.
#![expect(clippy::unwrap_used, reason = "a test may stop where it stands")]

mod real;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use heartbeat_core::conformance::{bus, flow, store};
use heartbeat_core::{Bus, Store, Topic};
use heartbeat_mock::MemoryBus;

struct Bucket;

#[async_trait]
impl store::StoreHarness for Bucket {
    async fn empty(&self) -> Arc<dyn Store> {
        Arc::new(real::store().await)
    }
}

struct Memory(MemoryBus);

#[async_trait]
impl bus::BusHarness for Memory {
    async fn open(&self) -> Arc<dyn Bus> {
        Arc::new(self.0.clone())
    }

    async fn create_topic(&self, topic: &Topic, partitions: i32) {
        let partitions = u16::try_from(partitions).unwrap().try_into().unwrap();
        for topic in [topic, &topic.dead_letters()] {
            self.0.create_topic(topic, partitions).unwrap();
        }
    }

    fn takeover(&self) -> Duration {
        Duration::ZERO
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn store_keeps_its_promises() {
    store::all(&Bucket).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn stages_keep_theirs_over_it() {
    let store = Arc::new(real::store().await);
    flow::everything_arrives_once(&Memory(MemoryBus::default()), store).await;
}
