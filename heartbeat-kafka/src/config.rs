//! What a user may set.

use std::collections::BTreeMap;
use std::fmt;
use std::num::NonZeroU16;
use std::path::PathBuf;
use std::time::Duration;

use heartbeat_core::remote::is_this_machine;
use heartbeat_core::{Error, Result};
use jiff::fmt::serde::unsigned_duration::friendly::compact::required as friendly;
use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use crate::registry::RegistryConfig;

/// Settings of a [`KafkaBus`](crate::KafkaBus). Durations are written with units: `500ms`, `10s`; a retention may have days.
///
/// The password is no setting: it is read from `HEARTBEAT_KAFKA_PASSWORD` or from a file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct KafkaConfig {
    /// Some of the brokers, `host:port` each, with commas between them; they tell of the others.
    /// Default: `localhost:9092`.
    pub brokers: String,
    /// The schema registry: its URL, or a table with more. Default: `http://localhost:8081`.
    #[serde(deserialize_with = "url_or_table")]
    pub registry: RegistryConfig,
    /// Whether connections are encrypted. Default: they are, unless all brokers are on this machine.
    pub tls: Option<bool>,
    /// The certificates (PEM) of the authorities that sign for the brokers. Default: the system's.
    pub ca_file: Option<PathBuf>,
    /// Who signs in to the brokers. Default: nobody does.
    pub username: Option<String>,
    /// How they sign in. Default: `scram-sha-512`.
    pub sasl: Sasl,
    /// A file whose first line is the password, which the variable `HEARTBEAT_KAFKA_PASSWORD` goes before. Default: none.
    pub password_file: Option<PathBuf>,
    /// What `heartbeat topics create` makes and `verify` expects.
    pub topics: TopicsConfig,
    /// A name that this process keeps over restarts and shares with no other, such as that of its pod: what it left
    /// half done is then cleared away at once when it is back, and not after `transaction_timeout`.
    /// Default: a random one.
    pub instance: Option<String>,
    /// How long a member that was killed keeps its partitions. Default: `10s`.
    #[serde(with = "friendly")]
    pub session_timeout: Duration,
    /// How long a transaction may take. Until then, what a killed process left half done keeps readers of
    /// committed messages waiting. Default: `10s`.
    #[serde(with = "friendly")]
    pub transaction_timeout: Duration,
    /// How long one call waits for an answer before it counts as failed and is tried again. Default: `10s`.
    #[serde(with = "friendly")]
    pub request_timeout: Duration,
    /// How long work in flight may take to be committed when a partition is to go to another member.
    /// What has not been committed by then is done again there. Default: `5s`.
    #[serde(with = "friendly")]
    pub handover: Duration,
    /// How many bytes of messages a subscription fetches ahead. Default: 16777216.
    pub prefetch: usize,
    /// Further properties of librdkafka, as its `CONFIGURATION.md` lists them.
    pub properties: BTreeMap<String, String>,
}

impl Default for KafkaConfig {
    fn default() -> Self {
        Self {
            brokers: "localhost:9092".to_owned(),
            registry: RegistryConfig::default(),
            tls: None,
            ca_file: None,
            username: None,
            sasl: Sasl::default(),
            password_file: None,
            topics: TopicsConfig::default(),
            instance: None,
            session_timeout: Duration::from_secs(10),
            transaction_timeout: Duration::from_secs(10),
            request_timeout: Duration::from_secs(10),
            handover: Duration::from_secs(5),
            prefetch: 16 << 20,
            properties: BTreeMap::new(),
        }
    }
}

fn url_or_table<'de, D: Deserializer<'de>>(field: D) -> Result<RegistryConfig, D::Error> {
    struct UrlOrTable;

    impl<'de> Visitor<'de> for UrlOrTable {
        type Value = RegistryConfig;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a URL in quotes, or a table")
        }

        fn visit_str<E>(self, url: &str) -> Result<Self::Value, E> {
            Ok(RegistryConfig {
                url: url.to_owned(),
                ..RegistryConfig::default()
            })
        }

        fn visit_map<M: MapAccess<'de>>(self, table: M) -> Result<Self::Value, M::Error> {
            RegistryConfig::deserialize(MapAccessDeserializer::new(table))
        }
    }

    field.deserialize_any(UrlOrTable)
}

/// How a user signs in to the brokers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Sasl {
    /// By the password itself.
    #[serde(rename = "plain")]
    Plain,
    /// By a proof of the password (RFC 5802) with SHA-256.
    #[serde(rename = "scram-sha-256")]
    ScramSha256,
    /// By a proof of the password (RFC 5802) with SHA-512.
    #[default]
    #[serde(rename = "scram-sha-512")]
    ScramSha512,
}

impl Sasl {
    /// Kafka's name of it.
    pub(crate) fn mechanism(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
            Self::ScramSha256 => "SCRAM-SHA-256",
            Self::ScramSha512 => "SCRAM-SHA-512",
        }
    }
}

/// How topics are made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TopicsConfig {
    /// How many partitions a topic has: as many members of a group can share its work. Topics of dead letters have
    /// one. Default: 6.
    pub partitions: NonZeroU16,
    /// How many brokers hold each message. Default: 3, or as many brokers as there are.
    pub replication: Option<NonZeroU16>,
    /// How many of these must have a message before it counts as written (`min.insync.replicas`). Default: one less
    /// than there are, and at least 1.
    pub min_insync_replicas: Option<NonZeroU16>,
    /// How long messages are kept. Default: `7d`.
    #[serde(with = "heartbeat_core::durations")]
    pub retention: Duration,
    /// The topic that holds how far sources have come: one partition, compacted. Default: `heartbeat-positions`.
    pub positions: String,
}

impl Default for TopicsConfig {
    fn default() -> Self {
        Self {
            partitions: const { NonZeroU16::new(6).unwrap() },
            replication: None,
            min_insync_replicas: None,
            retention: Duration::from_hours(168),
            positions: "heartbeat-positions".to_owned(),
        }
    }
}

impl KafkaConfig {
    pub(crate) fn check(&self) -> Result<()> {
        if self
            .brokers
            .split(',')
            .all(|broker| broker.trim().is_empty())
        {
            return Err(Error::misconfigured("no broker is named")
                .hint("Write `--bus kafka:HOST:PORT`, or `brokers` in the bus's table."));
        }
        for broker in self.brokers.split(',') {
            let port = broker.trim().rsplit_once(':').map(|(_, port)| port);
            // An IPv6 address in brackets may be without one.
            if port.is_some_and(|port| !port.ends_with(']') && port.parse::<u16>().is_err()) {
                return Err(Error::misconfigured("a broker's port is no number")
                    .with("broker", broker.trim())
                    .hint("Write it as `HOST:PORT`."));
            }
        }
        if self.instance.as_deref() == Some("") {
            return Err(Error::misconfigured("an instance's name is not empty"));
        }
        for (name, time) in [
            ("session_timeout", self.session_timeout),
            ("transaction_timeout", self.transaction_timeout),
            ("request_timeout", self.request_timeout),
        ] {
            if time < Duration::from_millis(500) {
                return Err(Error::misconfigured("a timeout lasts at least 500 ms")
                    .with("setting", name)
                    .with("value", format!("{time:?}")));
            }
        }
        Ok(())
    }

    /// Whether connections are encrypted: as told, else unless all brokers are on this machine.
    pub(crate) fn encrypts(&self) -> bool {
        self.tls.unwrap_or_else(|| {
            !self
                .brokers
                .split(',')
                .all(|broker| is_local(broker.trim()))
        })
    }
}

/// Whether a `host:port` is this machine by its very name.
fn is_local(broker: &str) -> bool {
    let host = broker.rsplit_once(':').map_or(broker, |(host, _)| host);
    let host = host.rsplit_once("://").map_or(host, |(_, host)| host);
    is_this_machine(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_may_be_left_out_and_none_may_be_unknown() {
        let empty: KafkaConfig = toml::from_str("").unwrap();
        assert_eq!(empty, KafkaConfig::default());

        let some: KafkaConfig = toml::from_str(
            "brokers = 'a:1,b:2'\nregistry = 'http://r:8081'\nsasl = 'plain'\n\
             [topics]\npartitions = 3\n[properties]\n'linger.ms' = '5'",
        )
        .unwrap();
        assert_eq!(some.sasl, Sasl::Plain);
        assert_eq!(some.registry.url, "http://r:8081");
        assert_eq!(some.topics.partitions.get(), 3);

        let unknown = toml::from_str::<KafkaConfig>("broker = 'a:1'").unwrap_err();
        assert!(unknown.to_string().contains("broker"), "{unknown}");
        toml::from_str::<KafkaConfig>("password = 'x'").unwrap_err();

        let table: KafkaConfig =
            toml::from_str("[registry]\nurl = 'https://r'\nregister = false").unwrap();
        assert!(!table.registry.register);
        let unknown = toml::from_str::<KafkaConfig>("[registry]\nuri = 'x'").unwrap_err();
        assert!(unknown.to_string().contains("uri"), "{unknown}");
        let wrong = toml::from_str::<KafkaConfig>("registry = 8081").unwrap_err();
        assert!(
            wrong.to_string().contains("a URL in quotes, or a table"),
            "{wrong}"
        );
    }

    #[test]
    fn what_cannot_work_is_refused() {
        for wrong in [
            "brokers = ' , '",
            "brokers = 'a:1,b:x'",
            "brokers = '[::1]:'",
            "instance = ''",
            "session_timeout = '1ms'",
        ] {
            let config: KafkaConfig = toml::from_str(wrong).unwrap();
            let error = config.check().unwrap_err();
            assert_eq!(
                error.kind(),
                heartbeat_core::ErrorKind::Misconfigured,
                "{wrong}"
            );
        }
        KafkaConfig::default().check().unwrap();
        for brokers in ["a", "a:1, [::1]", "[::1]:9092", "SSL://a:1"] {
            let config = KafkaConfig {
                brokers: brokers.to_owned(),
                ..KafkaConfig::default()
            };
            config.check().unwrap();
        }
    }

    #[test]
    fn only_brokers_on_this_machine_are_spoken_to_in_the_clear_unless_told() {
        let encrypts = |brokers: &str, tls| {
            KafkaConfig {
                brokers: brokers.to_owned(),
                tls,
                ..KafkaConfig::default()
            }
            .encrypts()
        };
        for local in ["localhost", "127.0.0.1:9092", "[::1]:9092, localhost:9093"] {
            assert!(!encrypts(local, None), "{local}");
            assert!(encrypts(local, Some(true)), "{local}");
        }
        for remote in [
            "kafka:9092",
            "127.0.0.1:9092,10.0.0.1:9092",
            "localhost.example:9092",
        ] {
            assert!(encrypts(remote, None), "{remote}");
            assert!(!encrypts(remote, Some(false)), "{remote}");
        }
    }
}
