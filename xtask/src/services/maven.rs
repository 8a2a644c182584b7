//! Jars by Maven.

use std::{
    path::Path,
    process::{Command, Stdio},
};

use anyhow::{Context, Result, ensure};

use crate::python::own;

/// Copies what a project file of this crate depends on into `dir`. Nothing is left in Maven's own repository.
pub(crate) fn copy(project: &str, version: &str, dir: &Path, scratch: &Path) -> Result<()> {
    check_system()?;
    let mut maven = Command::new("mvn");
    maven
        .args(["--batch-mode", "--quiet", "--strict-checksums"])
        .arg("-Dstyle.color=never")
        .arg("--file")
        .arg(own(project))
        .arg("dependency:copy-dependencies")
        .arg(format!("-Dservice.version={version}"))
        .arg(option("outputDirectory", dir)?)
        .arg(option("maven.repo.local", &scratch.join("repository"))?)
        .stderr(Stdio::inherit());
    // It tells errors on stdout, and writes escape codes there even when all goes well.
    let output = maven.output().context("cannot start mvn")?;
    ensure!(
        output.status.success(),
        "Maven cannot fetch what {project} names ({}):\n{}",
        output.status,
        String::from_utf8_lossy(&output.stdout)
    );
    Ok(())
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
