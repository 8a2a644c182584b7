//! The table `[store]`.

use std::fmt;

use heartbeat_core::{Result, StageOptions};
#[cfg(feature = "influx")]
use heartbeat_influx::InfluxConfig;
#[cfg(feature = "sqlite")]
use heartbeat_sqlite::SqliteStoreConfig;

use crate::config::address::{self, Choice};
use crate::config::file::Fields;

/// Where moods are kept.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum StoreConfig {
    /// `sqlite:PATH`: one SQLite file, which may be the bus's own.
    #[cfg(feature = "sqlite")]
    Sqlite(SqliteStoreConfig),
    /// `influx:URL`: a bucket of an InfluxDB 2.
    #[cfg(feature = "influx")]
    Influx(Box<InfluxConfig>),
    /// `memory`: this process's memory, gone when it ends.
    Memory,
}

impl StoreConfig {
    /// Lets the stage that writes to this store hand over as much at once as suits it.
    pub fn suit(&self, options: &mut StageOptions) {
        match self {
            #[cfg(feature = "influx")]
            Self::Influx(config) => config.fill(options),
            _ => {
                let _ = options;
            }
        }
    }
}

impl Choice for StoreConfig {
    const TABLE: &'static str = "store";
    const KINDS: &'static [&'static str] = &[
        #[cfg(feature = "sqlite")]
        "sqlite",
        "memory",
        #[cfg(feature = "influx")]
        "influx",
    ];
    const FEATURES: &'static [(&'static str, &'static str)] =
        &[("sqlite", "sqlite"), ("influx", "influx")];

    fn with_fields(kind: &str, fields: Fields<'_>) -> Result<Self> {
        match kind {
            #[cfg(feature = "sqlite")]
            "sqlite" => fields.read().map(Self::Sqlite),
            "memory" => fields.nothing().map(|()| Self::Memory),
            #[cfg(feature = "influx")]
            "influx" => fields.read().map(Self::Influx),
            _ => Err(fields.unknown_kind::<Self>(kind)),
        }
    }

    fn kind(&self) -> &'static str {
        match self {
            #[cfg(feature = "sqlite")]
            Self::Sqlite(_) => "sqlite",
            Self::Memory => "memory",
            #[cfg(feature = "influx")]
            Self::Influx(_) => "influx",
        }
    }

    fn place(&self) -> Option<String> {
        match self {
            #[cfg(feature = "sqlite")]
            Self::Sqlite(config) => Some(config.path.display().to_string()),
            Self::Memory => None,
            #[cfg(feature = "influx")]
            Self::Influx(config) => Some(config.url.clone()),
        }
    }

    #[cfg_attr(
        not(any(feature = "sqlite", feature = "influx")),
        expect(unused_variables, reason = "no kind takes a place")
    )]
    fn set_place(&mut self, place: &str) -> bool {
        match self {
            #[cfg(feature = "sqlite")]
            Self::Sqlite(config) => {
                config.path = place.into();
                true
            }
            Self::Memory => false,
            #[cfg(feature = "influx")]
            Self::Influx(config) => {
                place.clone_into(&mut config.url);
                true
            }
        }
    }
}

impl fmt::Display for StoreConfig {
    /// Its address.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        address::write(self, f)
    }
}
