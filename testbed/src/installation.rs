//! Where the services are, and the names of the environment variables that say so.

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};

const JAVA: &str = "HEARTBEAT_JAVA";
const KAFKA: &str = "HEARTBEAT_KAFKA_HOME";
const APICURIO: &str = "HEARTBEAT_APICURIO_HOME";
const INFLUXD: &str = "HEARTBEAT_INFLUXD";

/// The variable with the addresses of the broker that all tests of a run share, such as `127.0.0.1:9092`.
pub const SHARED_BROKERS: &str = "HEARTBEAT_TEST_BROKERS";
/// The variable with the URL of the schema registry that all tests of a run share.
pub const SHARED_REGISTRY: &str = "HEARTBEAT_TEST_REGISTRY";
/// The variable with the URL of the InfluxDB that all tests of a run share.
pub const SHARED_INFLUX: &str = "HEARTBEAT_TEST_INFLUX";

/// The programs that the services are started from.
#[derive(Debug, Clone)]
pub struct Installation {
    /// The program `java`, 21 or later.
    pub java: PathBuf,
    /// The folder of Kafka's jars.
    pub kafka: PathBuf,
    /// The folder of Apicurio, with its `quarkus-run.jar`.
    pub apicurio: PathBuf,
    /// The program `influxd`.
    pub influxd: PathBuf,
}

impl Installation {
    /// The one that the environment names.
    ///
    /// # Errors
    /// A variable is not set, as under a bare `cargo test`.
    pub fn from_env() -> Result<Self> {
        let path = |name| variable(name).map(PathBuf::from);
        Ok(Self {
            java: path(JAVA)?,
            kafka: path(KAFKA)?,
            apicurio: path(APICURIO)?,
            influxd: path(INFLUXD)?,
        })
    }

    /// Tells it to a command, for [`Installation::from_env`] there.
    pub fn tell(&self, command: &mut Command) {
        command
            .env(JAVA, &self.java)
            .env(KAFKA, &self.kafka)
            .env(APICURIO, &self.apicurio)
            .env(INFLUXD, &self.influxd);
    }
}

/// A Java that starts soon and leaves nothing outside `dir`. To optimise what it runs takes time, and is worth it only
/// where speed is measured.
pub(crate) fn java(java: &Path, dir: &Path, optimised: bool) -> Command {
    let mut java = Command::new(java);
    java.args(["-XX:+UseSerialGC", "-XX:-UsePerfData"])
        .arg(format!("-Djava.io.tmpdir={}", dir.display()));
    if !optimised {
        java.arg("-XX:TieredStopAtLevel=1");
    }
    java
}

/// The addresses of the broker that all tests of a run share: use a new topic and a new group for each test.
///
/// # Errors
/// There is none, as under a bare `cargo test`.
pub fn shared_brokers() -> Result<String> {
    variable(SHARED_BROKERS)
}

/// The URL of the registry that all tests of a run share: use new subjects for each test.
///
/// # Errors
/// As of [`shared_brokers`].
pub fn shared_registry() -> Result<String> {
    variable(SHARED_REGISTRY)
}

/// The URL of the InfluxDB that all tests of a run share, which takes [`INFLUX_TOKEN`](crate::INFLUX_TOKEN): use a new bucket
/// for each test.
///
/// # Errors
/// As of [`shared_brokers`].
pub fn shared_influx() -> Result<String> {
    variable(SHARED_INFLUX)
}

fn variable(name: &str) -> Result<String> {
    // An unset variable and an empty one are the same.
    env::var(name)
        .ok()
        .filter(|value| !value.is_empty())
        .with_context(|| {
            format!("{name} is not set: run this by `cargo xtask test`, which starts the services")
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_variable_is_named_with_what_sets_it() {
        let error = variable("HEARTBEAT_NO_SUCH_VARIABLE")
            .unwrap_err()
            .to_string();
        assert!(error.contains("HEARTBEAT_NO_SUCH_VARIABLE") && error.contains("cargo xtask test"));
    }
}
