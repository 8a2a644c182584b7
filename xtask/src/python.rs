//! A virtual environment with the Python packages that tests, benches and checks use.

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, Result, bail};

use crate::{
    cache::{self, Cache},
    shell::{self, step},
};

/// The virtual environment, complete.
#[derive(Debug)]
pub(crate) struct Python {
    dir: PathBuf,
}

impl Python {
    /// The environment that most chores use.
    ///
    /// # Errors
    /// No usable Python on this machine, or a package cannot be fetched.
    pub(crate) fn set_up(cache: &Cache) -> Result<Self> {
        Self::with(cache, "python", "python/requirements.txt")
    }

    /// Makes an environment of that name in the cache, or finds it there with the packages that the file of this
    /// crate names, each with its version and hashes.
    ///
    /// # Errors
    /// As of [`Python::set_up`].
    pub(crate) fn with(cache: &Cache, name: &str, requirements: &str) -> Result<Self> {
        let _lock = cache.lock()?;
        let python = Self {
            dir: cache.path(name),
        };
        let packages = fs::read_to_string(own(requirements))?;
        // Written last, so an environment left half made is made anew.
        let stamp = python.dir.join("requirements.txt");
        let complete = fs::read_to_string(&stamp).is_ok_and(|it| it == packages);
        // An upgrade of the system's Python leaves a link to nothing.
        if !(complete && python.interpreter().exists()) {
            step("setting up Python packages");
            check_system()?;
            cache::remove(&python.dir)?;
            shell::run(
                Command::new("python3")
                    .args(["-m", "venv"])
                    .arg(&python.dir),
            )?;
            python.pip(["install", "--only-binary", ":all:"], requirements)?;
            cache::write_whole(&stamp, packages.as_bytes())?;
        }
        Ok(python)
    }

    /// The environment's own `python`.
    pub(crate) fn interpreter(&self) -> PathBuf {
        self.program("python")
    }

    /// A program that one of the packages brought.
    pub(crate) fn program(&self, name: &str) -> PathBuf {
        self.dir.join("bin").join(name)
    }

    /// Runs pip on a requirements file of this crate, hashes checked.
    pub(crate) fn pip<'a>(
        &self,
        args: impl IntoIterator<Item = &'a str>,
        requirements: &str,
    ) -> Result<()> {
        let mut pip = Command::new(self.interpreter());
        pip.args(["-m", "pip", "--quiet", "--disable-pip-version-check"])
            .args(args)
            .args(["--no-deps", "--require-hashes", "--requirement"])
            .arg(own(requirements))
            // Our stdout is for results.
            .stdout(Stdio::from(io::stderr()));
        shell::run(&mut pip).context("pip cannot fetch what is needed")
    }
}

/// A file of this crate.
pub(crate) fn own(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// Tells what to install where Python cannot make virtual environments.
fn check_system() -> Result<()> {
    let probe = Command::new("python3")
        .args(["-c", "import ensurepip, venv"])
        .stderr(Stdio::null())
        .status();
    match probe {
        Ok(status) if status.success() => Ok(()),
        Ok(_) => bail!(
            "python3 cannot make virtual environments here: \
             install its venv module (Debian, Ubuntu: `apt-get install python3-venv`)"
        ),
        Err(error) => Err(error).context(
            "cannot start python3: install Python 3 \
             (Debian, Ubuntu: `apt-get install python3 python3-venv`)",
        ),
    }
}
