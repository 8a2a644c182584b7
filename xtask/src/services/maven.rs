//! Jars by Maven.

use std::{
    io,
    path::Path,
    process::{Command, Stdio},
};

use anyhow::{Context, Result};

use crate::{python::own, shell};

/// Copies what a project file of this crate depends on into `dir`. Nothing is left in Maven's own repository.
pub(crate) fn copy(project: &str, version: &str, dir: &Path, scratch: &Path) -> Result<()> {
    check_system()?;
    let mut maven = Command::new("mvn");
    maven
        .args([
            "--batch-mode",
            "--quiet",
            "--strict-checksums",
            "-Dstyle.color=never",
        ])
        .arg("--file")
        .arg(own(project))
        .arg("dependency:copy-dependencies")
        .arg(format!("-Dservice.version={version}"))
        .arg(option("outputDirectory", dir)?)
        .arg(option("maven.repo.local", &scratch.join("repository"))?)
        // Our stdout is for results.
        .stdout(Stdio::from(io::stderr()));
    shell::run(&mut maven).context("Maven cannot fetch what is needed")
}

fn option(name: &str, path: &Path) -> Result<String> {
    let path = path.to_str().context("the cache's path is not UTF-8")?;
    Ok(format!("-D{name}={path}"))
}

/// Tells what to install where Maven is missing.
fn check_system() -> Result<()> {
    Command::new("mvn")
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .map(drop)
        .context("cannot start mvn: install Maven (Debian, Ubuntu: `apt-get install maven`)")
}
