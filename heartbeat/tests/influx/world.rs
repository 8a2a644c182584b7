//! A folder to run the program in, and a bucket of its own.

use std::hash::{BuildHasher, RandomState};
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;
use testbed::{INFLUX_TOKEN, shared_influx};

use crate::common::{self, Ran};

/// Where the program runs, and what its store is.
#[derive(Debug)]
pub(crate) struct World {
    dir: TempDir,
    pub(crate) url: String,
    pub(crate) bucket: String,
}

impl World {
    /// With a new name for a bucket of the shared server, which is not there yet.
    pub(crate) fn new() -> Self {
        Self::at(shared_influx().expect("an InfluxDB"))
    }

    /// The same at another server.
    pub(crate) fn at(url: String) -> Self {
        Self {
            dir: tempfile::tempdir().expect("a folder"),
            url,
            bucket: format!("test-{:016x}", RandomState::new().hash_one(0)),
        }
    }

    /// With its bucket.
    pub(crate) fn set_up(self) -> Self {
        self.run(&["influx", "setup"]).good();
        self
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    /// The program with this store and the token in its environment.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = common::command(self.path(), args);
        command
            .env("HEARTBEAT_STORE", format!("influx:{}", self.url))
            .env("HEARTBEAT_INFLUX_BUCKET", &self.bucket)
            .env("HEARTBEAT_INFLUX_TOKEN", INFLUX_TOKEN);
        command
    }

    /// Runs it to its end, without input.
    pub(crate) fn run(&self, args: &[&str]) -> Ran {
        ended(&mut self.command(args))
    }
}

/// Runs a command to its end. Whatever it says, it never says the token.
#[track_caller]
pub(crate) fn ended(command: &mut Command) -> Ran {
    let ran = common::ended(command);
    assert!(
        !ran.out.contains(INFLUX_TOKEN) && !ran.err.contains(INFLUX_TOKEN),
        "{ran:?}"
    );
    ran
}
