//! The promises of the traits, and of the stages over bus and store.
#![expect(clippy::unwrap_used, reason = "a test may stop where it stands")]

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use heartbeat_core::conformance::{bus, flow, store};
use heartbeat_core::{Bus, Store, Topic};
use heartbeat_sqlite::{SqliteBus, SqliteConfig, SqliteStore, SqliteStoreConfig};
use tempfile::TempDir;

const LEASE: Duration = Duration::from_millis(500);

struct File(TempDir);

impl File {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("bus.db")
    }

    async fn bus(&self) -> SqliteBus {
        let config = SqliteConfig {
            path: self.path(),
            lease: LEASE,
            ..SqliteConfig::default()
        };
        SqliteBus::open(config).await.unwrap()
    }

    async fn store(&self, path: PathBuf) -> Arc<dyn Store> {
        let config = SqliteStoreConfig {
            path,
            ..SqliteStoreConfig::default()
        };
        Arc::new(SqliteStore::open(config).await.unwrap())
    }
}

#[async_trait]
impl bus::BusHarness for File {
    async fn open(&self) -> Arc<dyn Bus> {
        Arc::new(self.bus().await)
    }

    async fn create_topic(&self, topic: &Topic, partitions: i32) {
        let partitions = u16::try_from(partitions).unwrap().try_into().unwrap();
        let bus = self.bus().await;
        for topic in [topic, &topic.dead_letters()] {
            bus.create_topic(topic, partitions).await.unwrap();
        }
    }

    fn takeover(&self) -> Duration {
        2 * LEASE
    }
}

#[async_trait]
impl store::StoreHarness for File {
    async fn empty(&self) -> Arc<dyn Store> {
        let file = tempfile::NamedTempFile::new_in(self.0.path()).unwrap();
        self.store(file.keep().unwrap().1).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bus_keeps_its_promises() {
    bus::all(&File::new()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn store_keeps_its_promises() {
    store::all(&File::new()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn stages_keep_theirs_over_one_file() {
    let file = File::new();
    flow::all(&file, file.store(file.path()).await).await;
}
