//! What a broker is configured to.

use std::path::Path;

use anyhow::Result;

use crate::ports;

/// The ways that brokers listen to clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Listener {
    /// Neither encrypted nor asking who it is: everybody has all rights.
    Plaintext,
    /// Names and passwords (PLAIN, SCRAM-SHA-256, SCRAM-SHA-512) over plain TCP.
    SaslPlaintext,
    /// The same over TLS.
    SaslSsl,
    /// TLS that does not ask who it is: everybody has all rights.
    Ssl,
    /// TLS where the client has a certificate too, whose common name is its user.
    MutualSsl,
}

impl Listener {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Plaintext,
        Self::SaslPlaintext,
        Self::SaslSsl,
        Self::Ssl,
        Self::MutualSsl,
    ];

    /// As the configuration names it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::MutualSsl => "MUTUAL_SSL",
            other => other.protocol(),
        }
    }

    /// What a client's `security.protocol` is set to.
    pub fn protocol(self) -> &'static str {
        match self {
            Self::Plaintext => "PLAINTEXT",
            Self::SaslPlaintext => "SASL_PLAINTEXT",
            Self::SaslSsl => "SASL_SSL",
            Self::Ssl | Self::MutualSsl => "SSL",
        }
    }
}

/// The ports of a broker, one for each listener that it may have, and the controller's.
#[derive(Debug)]
pub(crate) struct Ports {
    listeners: Vec<u16>,
    controller: u16,
}

impl Ports {
    pub(crate) fn find() -> Result<Self> {
        let mut listeners = ports::free(Listener::ALL.len() + 1)?;
        let controller = listeners.remove(0);
        Ok(Self {
            listeners,
            controller,
        })
    }

    pub(crate) fn address(&self, listener: Listener) -> String {
        format!("127.0.0.1:{}", self.listeners[listener as usize])
    }
}

/// The properties of one broker of those with these ports.
pub(crate) fn of_broker(
    broker: usize,
    all: &[Ports],
    listeners: &[Listener],
    dir: &Path,
) -> String {
    let ports = &all[broker];
    let join = |parts: Vec<String>| parts.join(",");
    let addresses = listeners
        .iter()
        .map(|it| format!("{}://{}", it.name(), ports.address(*it)));
    let addresses = join(addresses.collect());
    let protocols = listeners
        .iter()
        .map(|it| format!("{}:{}", it.name(), it.protocol()));
    let protocols = join(protocols.collect());
    let voters = all.iter().enumerate();
    let voters = join(
        voters
            .map(|(id, it)| format!("{id}@127.0.0.1:{}", it.controller))
            .collect(),
    );
    let controller = ports.controller;
    let data = dir.join(format!("broker-{broker}"));
    let mut config = format!(
        "\
node.id={broker}
process.roles=broker,controller
controller.quorum.voters={voters}
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
listeners={addresses},CONTROLLER://127.0.0.1:{controller}
advertised.listeners={addresses}
listener.security.protocol.map={protocols},CONTROLLER:PLAINTEXT
log.dirs={data}
{COMMON}",
        data = data.display(),
    );
    config.push_str(if all.len() == 1 { ALONE } else { REPLICATED });
    #[cfg(feature = "secured")]
    if listeners.len() > 1 {
        config.push_str(&super::security::properties(dir));
    }
    config
}

/// Starts soon, takes little, and gives up soon: on clients where they ask for it, and on a dead broker, which is not let in
/// again before that.
const COMMON: &str = "\
auto.create.topics.enable=false
broker.session.timeout.ms=3000
broker.heartbeat.interval.ms=500
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
group.consumer.min.session.timeout.ms=1000
group.consumer.min.heartbeat.interval.ms=200
group.consumer.session.timeout.ms=6000
group.consumer.heartbeat.interval.ms=500
transaction.abort.timed.out.transaction.cleanup.interval.ms=500
offsets.topic.num.partitions=4
transaction.state.log.num.partitions=4
share.coordinator.state.topic.num.partitions=1
log.cleaner.dedupe.buffer.size=4194304
log.cleaner.threads=1
num.io.threads=4
num.network.threads=2
num.recovery.threads.per.data.dir=1
background.threads=2
";

const ALONE: &str = "\
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
";

const REPLICATED: &str = "\
default.replication.factor=3
min.insync.replicas=2
offsets.topic.replication.factor=3
transaction.state.log.replication.factor=3
transaction.state.log.min.isr=2
share.coordinator.state.topic.replication.factor=3
share.coordinator.state.topic.min.isr=2
replica.lag.time.max.ms=5000
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brokers_of_a_cluster_know_each_other_and_listen_on_loopback_alone() {
        let ports: Vec<_> = (0..3).map(|_| Ports::find().unwrap()).collect();
        let config = of_broker(1, &ports, &[Listener::Plaintext], Path::new("/data"));
        let line = |name: &str| {
            let mut lines = config
                .lines()
                .filter_map(|line| line.strip_prefix(name)?.strip_prefix('='));
            lines.next().unwrap().to_owned()
        };
        let at = |broker: usize| format!("{broker}@127.0.0.1:{}", ports[broker].controller);
        assert_eq!(
            line("controller.quorum.voters"),
            [at(0), at(1), at(2)].join(",")
        );
        assert_eq!(line("node.id"), "1");
        assert_eq!(line("min.insync.replicas"), "2");
        assert_eq!(line("log.dirs"), "/data/broker-1");
        let address = ports[1].address(Listener::Plaintext);
        assert_eq!(
            line("advertised.listeners"),
            format!("PLAINTEXT://{address}")
        );
        assert!(
            line("listeners")
                .split(',')
                .all(|it| it.contains("://127.0.0.1:"))
        );
    }
}
