//! What a user may set.

use std::num::NonZeroU16;
use std::path::PathBuf;
use std::time::Duration;

use heartbeat_core::{Error, Result};
use jiff::fmt::serde::unsigned_duration::friendly::compact::required as friendly;
use serde::{Deserialize, Serialize};

/// Settings of a [`SqliteBus`](crate::SqliteBus). Durations are written with units:
/// `500ms`, `3s`, `1h 30m`; a retention may have days.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SqliteConfig {
    /// The database file; its folder must exist. Default: `heartbeat.db`.
    pub path: PathBuf,
    /// Whether the file is made when it is missing. Default: `true`.
    pub create: bool,
    /// How many partitions a new topic gets: as many members of a group can share its work.
    /// Default: 4.
    pub partitions: NonZeroU16,
    /// How long a member that was killed keeps its partitions, at least 100 ms. Default: `3s`.
    #[serde(with = "friendly")]
    pub lease: Duration,
    /// How long messages are kept that every group of their topic has committed. What no group
    /// reads is kept for ever. Default: `7d`.
    #[serde(with = "heartbeat_core::durations")]
    pub retention: Duration,
    /// What a written message survives. Default: `full`.
    pub synchronous: Synchronous,
}

impl Default for SqliteConfig {
    fn default() -> Self {
        Self {
            path: PathBuf::from("heartbeat.db"),
            create: true,
            partitions: const { NonZeroU16::new(4).unwrap() },
            lease: Duration::from_secs(3),
            retention: Duration::from_hours(168),
            synchronous: Synchronous::Full,
        }
    }
}

impl SqliteConfig {
    pub(crate) fn check(&self) -> Result<()> {
        if self.lease < Duration::from_millis(100) {
            return Err(Error::misconfigured("a lease lasts at least 100 ms")
                .with("lease", format!("{:?}", self.lease)));
        }
        Ok(())
    }
}

/// Settings of a [`SqliteStore`](crate::SqliteStore).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SqliteStoreConfig {
    /// The database file; its folder must exist. It may be the bus's own. Default: `heartbeat.db`.
    pub path: PathBuf,
    /// Whether the file is made when it is missing. Default: `true`.
    pub create: bool,
    /// What a written point survives. Default: `full`.
    pub synchronous: Synchronous,
}

impl Default for SqliteStoreConfig {
    fn default() -> Self {
        let bus = SqliteConfig::default();
        Self {
            path: bus.path,
            create: bus.create,
            synchronous: bus.synchronous,
        }
    }
}

/// What survives, once a call has returned.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Synchronous {
    /// Everything, a loss of power too: each group of writes waits for the disk.
    #[default]
    Full,
    /// Everything when a process is killed; a loss of power may take the last writes with it, but
    /// leaves the file sound.
    Normal,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_may_be_left_out_and_none_may_be_unknown() {
        let empty: SqliteConfig = toml::from_str("").unwrap();
        assert_eq!(empty, SqliteConfig::default());

        let some: SqliteConfig =
            toml::from_str("lease = '500ms'\nretention = '2 days'\nsynchronous = 'normal'")
                .unwrap();
        assert_eq!(some.lease, Duration::from_millis(500));
        assert_eq!(some.retention, Duration::from_hours(48));
        assert_eq!(some.synchronous, Synchronous::Normal);

        let unknown = toml::from_str::<SqliteConfig>("leases = '3s'").unwrap_err();
        assert!(unknown.to_string().contains("leases"), "{unknown}");
        toml::from_str::<SqliteStoreConfig>("lease = '3s'").unwrap_err();
        toml::from_str::<SqliteConfig>("lease = '-3s'").unwrap_err();
    }

    #[test]
    fn what_cannot_work_is_refused() {
        toml::from_str::<SqliteConfig>("partitions = 0").unwrap_err();
        let no_lease = SqliteConfig {
            lease: Duration::ZERO,
            ..SqliteConfig::default()
        };
        let error = no_lease.check().unwrap_err();
        assert_eq!(error.kind(), heartbeat_core::ErrorKind::Misconfigured);
    }
}
