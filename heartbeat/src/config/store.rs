//! The table `[store]`.

use std::fmt;

use heartbeat_core::Result;
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
    /// `memory`: this process's memory, gone when it ends.
    Memory,
}

impl Choice for StoreConfig {
    const TABLE: &'static str = "store";
    const KINDS: &'static [&'static str] = &[
        #[cfg(feature = "sqlite")]
        "sqlite",
        "memory",
    ];
    const FEATURES: &'static [(&'static str, &'static str)] = &[("sqlite", "sqlite")];

    fn with_fields(kind: &str, fields: Fields<'_>) -> Result<Self> {
        match kind {
            #[cfg(feature = "sqlite")]
            "sqlite" => fields.read().map(Self::Sqlite),
            "memory" => fields.nothing().map(|()| Self::Memory),
            _ => Err(fields.unknown_kind::<Self>(kind)),
        }
    }

    fn kind(&self) -> &'static str {
        match self {
            #[cfg(feature = "sqlite")]
            Self::Sqlite(_) => "sqlite",
            Self::Memory => "memory",
        }
    }

    fn place(&self) -> Option<String> {
        match self {
            #[cfg(feature = "sqlite")]
            Self::Sqlite(config) => Some(config.path.display().to_string()),
            Self::Memory => None,
        }
    }

    #[cfg_attr(
        not(feature = "sqlite"),
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
        }
    }
}

impl fmt::Display for StoreConfig {
    /// Its address.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        address::write(self, f)
    }
}
