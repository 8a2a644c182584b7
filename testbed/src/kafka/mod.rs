//! Kafka brokers.

mod config;
#[cfg(feature = "secured")]
mod security;

use std::{fs, path::PathBuf, process::Command};

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;

use crate::{Installation, installation::java, process::Process};
use config::Ports;

pub use config::Listener;
#[cfg(feature = "secured")]
pub use security::{Certificates, GUEST, Identity, USER, User};

/// Clusters never meet, so one id serves all.
const CLUSTER_ID: &str = "aGVhcnRiZWF0LXRlc3RiZA";

/// What a cluster is made of. The default is one plain broker.
#[derive(Debug, Clone)]
pub struct KafkaOptions {
    /// How many: one, or three, of which any one may be killed with nothing lost.
    pub brokers: usize,
    /// Who may do what, by which listeners.
    pub security: Security,
    /// Optimise as a broker in use does: it starts later and takes more of the processors at first, but then it is
    /// faster. For benches.
    pub optimised: bool,
}

impl Default for KafkaOptions {
    fn default() -> Self {
        Self {
            brokers: 1,
            security: Security::Plaintext,
            optimised: false,
        }
    }
}

/// Who may do what, by which listeners.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Security {
    /// One listener, open to all.
    Plaintext,
    /// A listener of each kind, and rights for [`USER`] alone. The plaintext one stays open to all: brokers and tests that
    /// prepare something use it.
    #[cfg(feature = "secured")]
    Secured,
}

/// The brokers of one cluster, each with the cluster's controller in it, killed when dropped.
///
/// Brokers are counted from 0, and a broker's number is its id in the cluster. Topics are not made by use. Three brokers
/// keep each thing three times and confirm what two of them have; one that dies is missed after three seconds.
#[derive(Debug)]
pub struct Kafka {
    /// Before the folder they write to, so that they are dead when that is removed. None where a broker is down.
    processes: Vec<Option<Process>>,
    setup: Setup,
}

/// What stays the same when brokers are started again.
#[derive(Debug)]
struct Setup {
    dir: TempDir,
    installation: Installation,
    options: KafkaOptions,
    ports: Vec<Ports>,
    #[cfg(feature = "secured")]
    certificates: Option<Certificates>,
}

impl Kafka {
    /// Starts a cluster, and returns when all its brokers take part in it.
    ///
    /// # Errors
    /// The environment does not name the services, or a broker does not start; the message has the end of its log.
    pub fn start(options: &KafkaOptions) -> Result<Self> {
        Self::start_from(&Installation::from_env()?, options)
    }

    /// [`Kafka::start`] with services that the environment need not name.
    ///
    /// # Errors
    /// As of [`Kafka::start`].
    pub fn start_from(installation: &Installation, options: &KafkaOptions) -> Result<Self> {
        let setup = Setup::prepare(installation, options)?;
        setup.format()?;
        let brokers = 0..options.brokers;
        let mut processes = brokers
            .map(|broker| setup.start(broker))
            .collect::<Result<Vec<_>>>()?;
        for process in &mut processes {
            wait(process)?;
        }
        Ok(Self {
            processes: processes.into_iter().map(Some).collect(),
            setup,
        })
    }

    /// The addresses of all brokers' plaintext listeners, as in `127.0.0.1:15001,127.0.0.1:15002`.
    pub fn bootstrap(&self) -> String {
        self.addresses(Listener::Plaintext)
    }

    /// The addresses of all brokers' listeners of that kind.
    ///
    /// # Errors
    /// The cluster has none, since it is not secured.
    pub fn bootstrap_of(&self, listener: Listener) -> Result<String> {
        ensure!(
            self.setup.listeners().contains(&listener),
            "only secured brokers listen by {}",
            listener.name()
        );
        Ok(self.addresses(listener))
    }

    /// The certificates of a secured cluster.
    ///
    /// # Errors
    /// It is not secured.
    #[cfg(feature = "secured")]
    pub fn certificates(&self) -> Result<&Certificates> {
        let certificates = self.setup.certificates.as_ref();
        certificates.context("only secured brokers have certificates")
    }

    /// Kills a broker as a crash would, and returns when it is dead. Nothing happens where it is down already.
    ///
    /// # Errors
    /// There is no such broker, or the operating system refuses.
    pub fn kill(&mut self, broker: usize) -> Result<()> {
        match self.slot(broker)?.take() {
            Some(mut process) => process.kill(),
            None => Ok(()),
        }
    }

    /// Starts a broker again with the ports and data it had, and returns when it takes part in the cluster. One that runs
    /// is killed first.
    ///
    /// # Errors
    /// There is no such broker, or it does not start; the message has the end of its log.
    pub fn restart(&mut self, broker: usize) -> Result<()> {
        self.kill(broker)?;
        let mut process = self.setup.start(broker)?;
        wait(&mut process)?;
        *self.slot(broker)? = Some(process);
        Ok(())
    }

    fn slot(&mut self, broker: usize) -> Result<&mut Option<Process>> {
        let slot = self.processes.get_mut(broker);
        slot.with_context(|| format!("there is no broker {broker}"))
    }

    fn addresses(&self, listener: Listener) -> String {
        let addresses = self.setup.ports.iter().map(|it| it.address(listener));
        addresses.collect::<Vec<_>>().join(",")
    }
}

impl Setup {
    /// Finds ports, makes certificates and writes the configurations.
    fn prepare(installation: &Installation, options: &KafkaOptions) -> Result<Self> {
        ensure!(
            matches!(options.brokers, 1 | 3),
            "a cluster has one broker or three, not {}",
            options.brokers
        );
        let dir = tempfile::Builder::new()
            .prefix("heartbeat-kafka-")
            .tempdir();
        let dir = dir.context("no folder for the brokers' data")?;
        let setup = Self {
            #[cfg(feature = "secured")]
            certificates: match options.security {
                Security::Plaintext => None,
                Security::Secured => Some(Certificates::make(dir.path())?),
            },
            dir,
            installation: installation.clone(),
            options: options.clone(),
            ports: (0..options.brokers)
                .map(|_| Ports::find())
                .collect::<Result<_>>()?,
        };
        for broker in 0..options.brokers {
            let path = setup.config_path(broker);
            let config =
                config::of_broker(broker, &setup.ports, setup.listeners(), setup.dir.path());
            fs::write(&path, config).with_context(|| format!("cannot write {}", path.display()))?;
        }
        Ok(setup)
    }

    /// Makes the brokers' data folders, all at once.
    fn format(&self) -> Result<()> {
        let brokers = 0..self.options.brokers;
        let tools = brokers
            .map(|broker| {
                let mut java = self.java();
                java.args(["kafka.tools.StorageTool", "format", "--config"])
                    .arg(self.config_path(broker))
                    .args(["--cluster-id", CLUSTER_ID]);
                #[cfg(feature = "secured")]
                if self.certificates.is_some() {
                    java.args(security::scram_records());
                }
                self.process(broker, "Kafka's storage tool", &mut java)
            })
            .collect::<Result<Vec<_>>>()?;
        tools.into_iter().try_for_each(Process::wait_for_end)
    }

    fn start(&self, broker: usize) -> Result<Process> {
        let memory = if self.options.brokers == 1 {
            "-Xmx512m"
        } else {
            "-Xmx256m"
        };
        let mut java = self.java();
        java.args([memory, "kafka.Kafka"])
            .arg(self.config_path(broker));
        self.process(broker, &format!("Kafka broker {broker}"), &mut java)
    }

    fn process(&self, broker: usize, name: &str, java: &mut Command) -> Result<Process> {
        let dir = self.dir.path();
        Process::start(name, java, &dir.join(format!("broker-{broker}.log")), dir)
    }

    fn java(&self) -> Command {
        let installation = &self.installation;
        let mut java = java(&installation.java, self.dir.path(), self.options.optimised);
        java.arg("-Dlog4j2.level=INFO") // which tells when a broker is ready
            .arg("-classpath")
            .arg(installation.kafka.join("*"));
        java
    }

    fn config_path(&self, broker: usize) -> PathBuf {
        self.dir.path().join(format!("broker-{broker}.properties"))
    }

    fn listeners(&self) -> &'static [Listener] {
        match self.options.security {
            Security::Plaintext => &[Listener::Plaintext],
            #[cfg(feature = "secured")]
            Security::Secured => &Listener::ALL,
        }
    }
}

fn wait(broker: &mut Process) -> Result<()> {
    broker.wait_until(|log| log.contains("Kafka Server started"))
}
