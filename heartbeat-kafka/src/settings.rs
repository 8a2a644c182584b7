//! librdkafka's properties for each kind of client.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use heartbeat_core::remote::secret;
use heartbeat_core::{Error, Result};
use rdkafka::ClientConfig;
use rdkafka::config::RDKafkaLogLevel;
use secrecy::ExposeSecret;

use crate::config::KafkaConfig;

/// The variable that holds the password.
const PASSWORD: &str = "HEARTBEAT_KAFKA_PASSWORD";

/// Properties that heartbeat decides, or that would hold or load what must not stand in a config.
const OURS: &[&str] = &[
    "acks",
    "allow.auto.create.topics",
    "auto.offset.reset",
    "bootstrap.servers",
    "delivery.report.only.error",
    "enable.auto.commit",
    "enable.auto.offset.store",
    "enable.idempotence",
    "enable.partition.eof",
    "group.id",
    "group.instance.id",
    "group.protocol",
    "isolation.level",
    "metadata.broker.list",
    "partition.assignment.strategy",
    "plugin.library.paths",
    "request.required.acks",
    "security.protocol",
    "session.timeout.ms",
    "ssl.ca.location",
    "ssl.key.password",
    "ssl.key.pem",
    "ssl.keystore.password",
    "transaction.timeout.ms",
    "transactional.id",
];

/// Makes the properties of clients; holds the password.
#[derive(Clone)]
pub(crate) struct Settings {
    base: ClientConfig,
    session_timeout: Duration,
    transaction_timeout: Duration,
    request_timeout: Duration,
    prefetch: usize,
    properties: Arc<[(String, String)]>,
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("brokers", &self.base.get("bootstrap.servers"))
            .finish_non_exhaustive()
    }
}

impl Settings {
    /// Reads the password, if one is needed.
    pub(crate) fn new(config: &KafkaConfig) -> Result<Self> {
        let mut base = ClientConfig::new();
        // Less than a call waits, which then can tell what is wrong.
        let connecting = config.request_timeout * 4 / 5;
        base.set("bootstrap.servers", &config.brokers)
            .set("client.id", "heartbeat")
            .set("allow.auto.create.topics", "false")
            .set("socket.timeout.ms", millis(config.request_timeout))
            .set(
                "socket.connection.setup.timeout.ms",
                millis(connecting.max(Duration::from_secs(1))),
            )
            .set("api.version.request.timeout.ms", millis(connecting))
            .set("socket.keepalive.enable", "true")
            .set("reconnect.backoff.max.ms", "2000")
            .set("statistics.interval.ms", "5000")
            .set_log_level(RDKafkaLogLevel::Info);
        secure(&mut base, config)?;
        for name in config.properties.keys() {
            if OURS.contains(&name.as_str()) || name.starts_with("sasl.") {
                return Err(Error::misconfigured("heartbeat sets this property itself")
                    .with("property", name)
                    .hint("Take it out of `[bus.properties]`; the bus's table has a setting where there is a choice."));
            }
        }
        Ok(Self {
            base,
            session_timeout: config.session_timeout,
            transaction_timeout: config.transaction_timeout,
            request_timeout: config.request_timeout,
            prefetch: config.prefetch,
            properties: config
                .properties
                .iter()
                .map(|(name, value)| (name.clone(), value.clone()))
                .collect(),
        })
    }

    /// A client that asks about the cluster. It sees the ends of partitions with what is not yet committed.
    pub(crate) fn control(&self) -> ClientConfig {
        let mut control = self.base.clone();
        control.set("isolation.level", "read_uncommitted");
        self.and_properties(control)
    }

    /// A member of a group, for a topic of so many partitions.
    pub(crate) fn member(&self, group: &str, partitions: usize) -> ClientConfig {
        // librdkafka counts it by partition.
        let prefetch = (self.prefetch / partitions.max(1)).div_ceil(1024).max(64);
        let mut member = self.consumer(group);
        member
            .set("partition.assignment.strategy", "cooperative-sticky")
            .set("session.timeout.ms", millis(self.session_timeout))
            // Also how soon a member hears that partitions are to be shared out anew.
            .set("heartbeat.interval.ms", millis(self.session_timeout / 10))
            // A thread of ours polls for as long as the process lives, so this never ends a membership; it is also how
            // long others wait for this member when partitions are shared out anew.
            .set(
                "max.poll.interval.ms",
                millis(self.session_timeout.max(Duration::from_mins(5))),
            )
            .set("queued.max.messages.kbytes", prefetch.to_string())
            // How long a partition's fetching rests when it has that much: after its default of a second, a quick reader
            // would long have read it all.
            .set("fetch.queue.backoff.ms", "10");
        self.and_properties(member)
    }

    /// A consumer that belongs to no group, but may ask for the offsets of one.
    pub(crate) fn reader(&self, group: &str) -> ClientConfig {
        let mut reader = self.consumer(group);
        reader
            .set("enable.partition.eof", "true")
            .set("fetch.wait.max.ms", "10");
        self.and_properties(reader)
    }

    fn consumer(&self, group: &str) -> ClientConfig {
        let mut consumer = self.base.clone();
        consumer
            .set("group.id", group)
            .set("isolation.level", "read_committed")
            .set("auto.offset.reset", "earliest")
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false");
        consumer
    }

    /// A producer of transactions.
    pub(crate) fn producer(&self, transactional_id: &str) -> ClientConfig {
        let mut producer = self.base.clone();
        producer
            .set("transactional.id", transactional_id)
            .set("transaction.timeout.ms", millis(self.transaction_timeout))
            // librdkafka wants it so.
            .set(
                "socket.timeout.ms",
                millis(self.request_timeout.min(self.transaction_timeout)),
            )
            // For a moment after one transaction the broker does not take offsets into the next: to wait for its default
            // of 100 ms then is to commit ten batches a second.
            .set("retry.backoff.ms", "5")
            // One for each message would cost more than the message.
            .set("delivery.report.only.error", "true")
            .set("linger.ms", "1");
        self.and_properties(producer)
    }

    fn and_properties(&self, mut client: ClientConfig) -> ClientConfig {
        for (name, value) in self.properties.iter() {
            client.set(name, value);
        }
        client
    }
}

/// Sets how connections are encrypted and who signs in.
fn secure(base: &mut ClientConfig, config: &KafkaConfig) -> Result<()> {
    let tls = config.encrypts();
    if tls && !cfg!(feature = "tls") {
        return Err(Error::misconfigured("this build has no TLS")
            .with("brokers", &config.brokers)
            .hint("Build with the feature `tls`, or set `tls = false`."));
    }
    if let Some(ca_file) = &config.ca_file {
        if !tls {
            return Err(Error::misconfigured("`ca_file` is of no use without TLS")
                .hint("Set `tls = true`, or leave it out."));
        }
        // librdkafka does not tell which file it is.
        std::fs::metadata(ca_file).map_err(|error| {
            Error::misconfigured("cannot read the authorities' certificates")
                .with("ca_file", ca_file.display())
                .caused_by(error)
        })?;
        base.set("ssl.ca.location", ca_file.to_string_lossy());
    }
    let Some(username) = &config.username else {
        base.set("security.protocol", if tls { "ssl" } else { "plaintext" });
        return Ok(());
    };
    let password = secret(
        PASSWORD,
        std::env::var_os(PASSWORD),
        config.password_file.as_deref(),
    )?
    .ok_or_else(|| {
        Error::misconfigured("there is no password to sign in to the brokers with")
            .with("username", username)
            .hint(format!(
                "Set {PASSWORD}, or `password_file` in the bus's table."
            ))
    })?;
    base.set(
        "security.protocol",
        if tls { "sasl_ssl" } else { "sasl_plaintext" },
    )
    .set("sasl.mechanisms", config.sasl.mechanism())
    .set("sasl.username", username)
    .set("sasl.password", password.expose_secret());
    Ok(())
}

fn millis(time: Duration) -> String {
    time.as_millis().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(text: &str) -> KafkaConfig {
        toml::from_str(text).unwrap()
    }

    #[test]
    fn the_password_is_never_shown() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(&file, "hunter2\n").unwrap();
        let mut config = config("username = 'me'\ntls = false\nsasl = 'plain'");
        config.password_file = Some(file.path().to_owned());
        let settings = Settings::new(&config).unwrap();
        assert_eq!(settings.base.get("sasl.password"), Some("hunter2"));
        assert_eq!(
            settings.base.get("security.protocol"),
            Some("sasl_plaintext")
        );
        assert!(!format!("{settings:?}").contains("hunter2"));
    }

    #[test]
    fn what_heartbeat_decides_cannot_be_set_besides() {
        for name in ["group.id", "sasl.password", "isolation.level"] {
            let config = config(&format!("[properties]\n'{name}' = 'x'"));
            let error = Settings::new(&config).unwrap_err();
            assert!(error.to_string().contains(name), "{error}");
        }
        let config = config("[properties]\n'linger.ms' = '7'");
        let settings = Settings::new(&config).unwrap();
        assert_eq!(settings.producer("id").get("linger.ms"), Some("7"));
    }

    #[test]
    fn a_file_that_is_not_there_is_named() {
        let config = config("tls = true\nca_file = '/no/such/ca.pem'");
        let report = Settings::new(&config).unwrap_err().report();
        if cfg!(feature = "tls") {
            assert!(report.contains("/no/such/ca.pem"), "{report}");
        } else {
            assert!(report.contains("feature `tls`"), "{report}");
        }
    }
}
