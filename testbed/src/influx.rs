//! InfluxDB 2.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;

use crate::{Installation, http, ports, process::Process};

/// The organization of every server here.
pub const INFLUX_ORG: &str = "heartbeat";
/// The token that may do everything.
pub const INFLUX_TOKEN: &str = "s3cret-of-all-tests";

/// An InfluxDB with the organization [`INFLUX_ORG`] and the token [`INFLUX_TOKEN`], killed when dropped.
#[derive(Debug)]
pub struct Influx {
    /// Before the folder it writes to, so that it is dead when that is removed.
    process: Process,
    setup: Setup,
}

/// What stays the same when it is started again.
#[derive(Debug)]
struct Setup {
    dir: TempDir,
    installation: Installation,
    port: u16,
    tls: bool,
}

impl Influx {
    /// Starts one, and returns when it answers.
    ///
    /// # Errors
    /// The environment does not name the services, or it does not start; the message has the end of its log.
    pub fn start() -> Result<Self> {
        Self::start_from(&Installation::from_env()?)
    }

    /// [`Influx::start`] with services that the environment need not name.
    ///
    /// # Errors
    /// As of [`Influx::start`].
    pub fn start_from(installation: &Installation) -> Result<Self> {
        let dir = tempfile::Builder::new()
            .prefix("heartbeat-influx-")
            .tempdir();
        let setup = Setup {
            dir: dir.context("no folder for InfluxDB's data")?,
            installation: installation.clone(),
            port: ports::free(1)?[0],
            tls: false,
        };
        let process = setup.start(setup.port)?;
        // A bucket has to be named; no test uses it.
        let json = format!(
            r#"{{"username":"tests","password":"{INFLUX_TOKEN}","org":"{INFLUX_ORG}","bucket":"unused","token":"{INFLUX_TOKEN}"}}"#
        );
        let answer = http::post(setup.port, "/api/v2/setup", &json)?;
        ensure!(
            answer.status == 201,
            "InfluxDB is not set up: {}",
            answer.text
        );
        Ok(Self { process, setup })
    }

    /// The server's URL.
    pub fn url(&self) -> String {
        let scheme = if self.setup.tls { "https" } else { "http" };
        format!("{scheme}://127.0.0.1:{}", self.setup.port)
    }

    /// Starts it again, from now on by TLS alone, at another URL. Gives the certificates, which are there for as long as it is.
    ///
    /// # Errors
    /// As of [`Influx::restart`].
    #[cfg(feature = "secured")]
    pub fn secure(&mut self) -> Result<crate::Certificates> {
        let certificates = crate::Certificates::make(self.setup.dir.path())?;
        self.setup.tls = true;
        self.restart()?;
        Ok(certificates)
    }

    /// Where it writes to.
    pub fn data(&self) -> &Path {
        self.setup.dir.path()
    }

    /// Kills it as a crash would, and returns when it is dead.
    ///
    /// # Errors
    /// The operating system refuses.
    pub fn kill(&mut self) -> Result<()> {
        self.process.kill()
    }

    /// Starts it again at the same URL, with what it had stored, and returns when it answers.
    ///
    /// A crash in the midst of a write leaves InfluxDB 2.9 a log with a torn end. When it starts it cuts that off, but still writes
    /// behind the place where it was, and the start after that loses what was acknowledged since. Started twice, it writes where
    /// the log ends; so it is here, first where nobody finds it.
    ///
    /// # Errors
    /// It does not start; the message has the end of its log.
    pub fn restart(&mut self) -> Result<()> {
        self.kill()?;
        drop(self.setup.start(ports::free(1)?[0])?);
        self.process = self.setup.start(self.setup.port)?;
        Ok(())
    }
}

impl Setup {
    fn start(&self, port: u16) -> Result<Process> {
        let dir = self.dir.path();
        let mut command = Command::new(&self.installation.influxd);
        command
            .current_dir(dir)
            // Where it would look for settings of the machine's user.
            .env("HOME", dir)
            .arg(format!("--http-bind-address=127.0.0.1:{port}"))
            .args(["--bolt-path=bolt", "--sqlite-path=sqlite"])
            .args(["--engine-path=engine", "--reporting-disabled"]);
        if self.tls {
            command.args(["--tls-cert=server.pem", "--tls-key=server.pem"]);
        }
        let log = dir.join("influxd.log");
        let mut process = Process::start("InfluxDB", &mut command, &log, dir)?;
        process.wait_until(|log| match self.tls {
            true => log.contains("transport=https"),
            false => http::get(port, "/health").is_ok_and(|answer| answer.status == 200),
        })?;
        Ok(process)
    }
}
