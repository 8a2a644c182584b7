//! What tests and benches find through their environment.

use std::{path::PathBuf, process::Command};

use anyhow::Result;

use crate::{cache::Cache, python::Python, tweets};

/// Real tweets, and a Python to compare with.
#[derive(Debug)]
pub(crate) struct Fixtures {
    tweets: PathBuf,
    python: PathBuf,
}

impl Fixtures {
    /// Fetches what is not there yet.
    ///
    /// # Errors
    /// Something cannot be had: nothing runs without it.
    pub(crate) fn set_up() -> Result<Self> {
        let cache = Cache::open()?;
        let python = Python::set_up(&cache)?;
        Ok(Self {
            tweets: tweets::set_up(&cache, &python, None)?,
            python: python.interpreter(),
        })
    }

    /// Tells a command where they are, and that to go without them is an error.
    pub(crate) fn tell(&self, command: &mut Command) {
        command
            .env("HEARTBEAT_TWEETS", &self.tweets)
            .env("HEARTBEAT_PYTHON", &self.python)
            .env("HEARTBEAT_REQUIRE_DATA", "1");
    }
}
