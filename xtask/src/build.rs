//! `cargo xtask build`

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};

use crate::{
    libtorch,
    shell::{metadata, tell_and_run},
};

/// Builds the program as it is shipped, with every backend, prints where it is and gives its path.
pub(crate) fn run() -> Result<PathBuf> {
    tell_and_run(
        libtorch::cargo()?
            .args(["build", "--release", "--package", "heartbeat", "--locked"])
            .args(["--features", "torch"]),
    )?;
    let metadata = metadata()?;
    let target = metadata["target_directory"]
        .as_str()
        .context("`cargo metadata` tells no target directory")?;
    let program = Path::new(target).join("release/heartbeat");
    let size = fs::metadata(&program)
        .with_context(|| format!("no program at {}", program.display()))?
        .len();
    anstream::println!("{} ({:.1} MB)", program.display(), size as f64 / 1e6);
    Ok(program)
}
