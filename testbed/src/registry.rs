//! The schema registry.

use std::process::Command;

use anyhow::{Context, Result};
use tempfile::TempDir;

use crate::{Installation, http, installation::java, ports, process::Process};

const API: &str = "/apis/ccompat/v7";

/// A schema registry that speaks Confluent's API, killed when dropped.
///
/// Compatibility is `NONE` until a test sets it for its subject (`PUT /config/<subject>`).
#[derive(Debug)]
pub struct Registry {
    /// Before the folder it writes to, so that it is dead when that is removed.
    process: Process,
    setup: Setup,
}

/// What stays the same when it is started again.
#[derive(Debug)]
struct Setup {
    dir: TempDir,
    installation: Installation,
    journal: Option<String>,
    port: u16,
    management: u16,
}

impl Registry {
    /// Starts one that keeps its schemas in the brokers at `journal`, so that they outlive its death, or else in memory.
    /// Returns when it answers.
    ///
    /// # Errors
    /// The environment does not name the services, or it does not start; the message has the end of its log.
    pub fn start(journal: Option<&str>) -> Result<Self> {
        Self::start_from(&Installation::from_env()?, journal)
    }

    /// [`Registry::start`] with services that the environment need not name.
    ///
    /// # Errors
    /// As of [`Registry::start`].
    pub fn start_from(installation: &Installation, journal: Option<&str>) -> Result<Self> {
        let dir = tempfile::Builder::new()
            .prefix("heartbeat-registry-")
            .tempdir();
        let ports = ports::free(2)?;
        let setup = Setup {
            dir: dir.context("no folder for the registry's data")?,
            installation: installation.clone(),
            journal: journal.map(Into::into),
            port: ports[0],
            management: ports[1],
        };
        Ok(Self {
            process: setup.start()?,
            setup,
        })
    }

    /// The URL of Confluent's API.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}{API}", self.setup.port)
    }

    /// Kills it as a crash would, and returns when it is dead.
    ///
    /// # Errors
    /// The operating system refuses.
    pub fn kill(&mut self) -> Result<()> {
        self.process.kill()
    }

    /// Starts it again at the same URL, with the schemas that its journal has, and returns when it answers.
    ///
    /// # Errors
    /// It does not start; the message has the end of its log.
    pub fn restart(&mut self) -> Result<()> {
        self.kill()?;
        self.process = self.setup.start()?;
        Ok(())
    }
}

impl Setup {
    /// Returns when it answers from its storage.
    fn start(&self) -> Result<Process> {
        let dir = self.dir.path();
        let mut process = Process::start(
            "the schema registry",
            &mut self.command(),
            &dir.join("registry.log"),
            dir,
        )?;
        process.wait_until(|_| {
            let path = format!("{API}/subjects");
            http::get(self.port, &path).is_ok_and(|answer| answer.status == 200)
        })?;
        Ok(process)
    }

    fn command(&self) -> Command {
        let dir = self.dir.path();
        let mut java = java(&self.installation.java, dir, false);
        java.current_dir(dir)
            .arg("-Xmx256m")
            .arg("-Dquarkus.http.host=127.0.0.1")
            .arg(format!("-Dquarkus.http.port={}", self.port))
            .arg("-Dquarkus.management.host=127.0.0.1")
            .arg(format!("-Dquarkus.management.port={}", self.management));
        if let Some(brokers) = &self.journal {
            java.arg("-Dapicurio.storage.kind=kafkasql")
                .arg(format!("-Dapicurio.kafkasql.bootstrap.servers={brokers}"))
                // Its default of 5 s is waited for in full at the start.
                .arg("-Dapicurio.kafkasql.consumer.poll.timeout=500");
        }
        java.arg("-jar")
            .arg(self.installation.apicurio.join("quarkus-run.jar"));
        java
    }
}
