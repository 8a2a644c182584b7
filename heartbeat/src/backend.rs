//! Opens what a config chooses: the one place where all backends meet.

use std::sync::Arc;

use heartbeat_core::{Analyzer, Bus, Result, Source, Store};

use crate::config::{AnalyzerConfig, BusConfig, SourceConfig, StoreConfig};

/// Opens the source.
///
/// # Errors
/// The backend's own.
pub async fn open_source(config: SourceConfig) -> Result<Box<dyn Source>> {
    Ok(match config {
        SourceConfig::Fake(config) => Box::new(heartbeat_mock::FakeSource::new(config)?),
        SourceConfig::Jsonl(config) => Box::new(heartbeat_core::JsonlSource::open(config)?),
        #[cfg(feature = "bluesky")]
        SourceConfig::Bluesky(config) => {
            Box::new(heartbeat_bluesky::BlueskySource::open(&config).await?)
        }
        #[cfg(feature = "twitter")]
        SourceConfig::Twitter(config) => {
            Box::new(heartbeat_twitter::TwitterSource::open(*config).await?)
        }
    })
}

/// Opens the bus.
///
/// # Errors
/// The backend's own.
pub async fn open_bus(config: BusConfig) -> Result<Arc<dyn Bus>> {
    Ok(match config {
        #[cfg(feature = "sqlite")]
        BusConfig::Sqlite(config) => Arc::new(heartbeat_sqlite::SqliteBus::open(config).await?),
        #[cfg(feature = "kafka")]
        BusConfig::Kafka(config) => Arc::new(heartbeat_kafka::KafkaBus::open(*config).await?),
        BusConfig::Memory(config) => Arc::new(heartbeat_mock::MemoryBus::new(config)),
    })
}

/// Opens the analyzer.
///
/// # Errors
/// The backend's own.
pub async fn open_analyzer(config: AnalyzerConfig) -> Result<Arc<dyn Analyzer>> {
    match config {
        #[cfg(feature = "vader")]
        AnalyzerConfig::Vader => Ok(Arc::new(heartbeat_vader::VaderAnalyzer::new())),
        #[cfg(feature = "torch")]
        AnalyzerConfig::Roberta(config) => Ok(Arc::new(
            heartbeat_torch::RobertaAnalyzer::open(*config).await?,
        )),
    }
}

/// Opens the store.
///
/// # Errors
/// The backend's own.
pub async fn open_store(config: StoreConfig) -> Result<Arc<dyn Store>> {
    Ok(match config {
        #[cfg(feature = "sqlite")]
        StoreConfig::Sqlite(config) => Arc::new(heartbeat_sqlite::SqliteStore::open(config).await?),
        #[cfg(feature = "influx")]
        StoreConfig::Influx(config) => {
            Arc::new(heartbeat_influx::InfluxStore::open(*config).await?)
        }
        StoreConfig::Memory => Arc::new(heartbeat_mock::MemoryStore::new()),
    })
}
