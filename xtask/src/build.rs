//! `cargo xtask build`

use std::{fs, path::PathBuf};

use anyhow::{Context, Result};

use crate::{
    libtorch,
    shell::{target_directory, tell_and_run},
};

/// Builds the program as it is shipped, with every backend, prints where it is and gives its path.
pub(crate) fn run() -> Result<PathBuf> {
    tell_and_run(
        libtorch::cargo()?
            .args(["build", "--release", "--package", "heartbeat", "--locked"])
            .args(["--features", "bluesky,influx,kafka,torch,twitter"]),
    )?;
    let program = target_directory()?.join("release/heartbeat");
    let size = fs::metadata(&program)
        .with_context(|| format!("no program at {}", program.display()))?
        .len();
    anstream::println!("{} ({:.1} MB)", program.display(), size as f64 / 1e6);
    Ok(program)
}
