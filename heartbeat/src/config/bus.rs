//! The table `[bus]`.

use std::fmt;

use heartbeat_core::Result;
#[cfg(feature = "kafka")]
use heartbeat_kafka::KafkaConfig;
use heartbeat_mock::MemoryConfig;
#[cfg(feature = "sqlite")]
use heartbeat_sqlite::SqliteConfig;

use crate::config::address::{self, Choice};
use crate::config::file::Fields;

/// What carries messages.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum BusConfig {
    /// `sqlite:PATH`: one SQLite file, which several processes may share.
    #[cfg(feature = "sqlite")]
    Sqlite(SqliteConfig),
    /// `kafka:BROKERS`: Apache Kafka, some of its brokers as `host:port` with commas between them.
    #[cfg(feature = "kafka")]
    Kafka(Box<KafkaConfig>),
    /// `memory`: this process's memory, gone when it ends.
    Memory(MemoryConfig),
}

impl Choice for BusConfig {
    const TABLE: &'static str = "bus";
    const KINDS: &'static [&'static str] = &[
        #[cfg(feature = "sqlite")]
        "sqlite",
        "memory",
        #[cfg(feature = "kafka")]
        "kafka",
    ];
    const FEATURES: &'static [(&'static str, &'static str)] =
        &[("sqlite", "sqlite"), ("kafka", "kafka")];

    fn with_fields(kind: &str, fields: Fields<'_>) -> Result<Self> {
        match kind {
            #[cfg(feature = "sqlite")]
            "sqlite" => fields.read().map(Self::Sqlite),
            "memory" => fields.read().map(Self::Memory),
            #[cfg(feature = "kafka")]
            "kafka" => fields.read().map(Self::Kafka),
            _ => Err(fields.unknown_kind::<Self>(kind)),
        }
    }

    fn kind(&self) -> &'static str {
        match self {
            #[cfg(feature = "sqlite")]
            Self::Sqlite(_) => "sqlite",
            Self::Memory(_) => "memory",
            #[cfg(feature = "kafka")]
            Self::Kafka(_) => "kafka",
        }
    }

    fn place(&self) -> Option<String> {
        match self {
            #[cfg(feature = "sqlite")]
            Self::Sqlite(config) => Some(config.path.display().to_string()),
            Self::Memory(_) => None,
            #[cfg(feature = "kafka")]
            Self::Kafka(config) => Some(config.brokers.clone()),
        }
    }

    #[cfg_attr(
        not(any(feature = "sqlite", feature = "kafka")),
        expect(unused_variables, reason = "no kind takes a place")
    )]
    fn set_place(&mut self, place: &str) -> bool {
        match self {
            #[cfg(feature = "sqlite")]
            Self::Sqlite(config) => {
                config.path = place.into();
                true
            }
            Self::Memory(_) => false,
            #[cfg(feature = "kafka")]
            Self::Kafka(config) => {
                place.clone_into(&mut config.brokers);
                true
            }
        }
    }
}

impl fmt::Display for BusConfig {
    /// Its address.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        address::write(self, f)
    }
}
