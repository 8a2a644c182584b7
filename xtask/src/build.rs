//! `cargo xtask build`

use std::{fs, path::Path};

use anyhow::{Context, Result};

use crate::shell::{cargo, metadata, tell_and_run};

/// Builds the program as it is shipped and prints where it is.
pub(crate) fn run() -> Result<()> {
    tell_and_run(cargo().args(["build", "--release", "--package", "heartbeat", "--locked"]))?;
    let metadata = metadata()?;
    let target = metadata["target_directory"]
        .as_str()
        .context("`cargo metadata` tells no target directory")?;
    let program = Path::new(target).join("release/heartbeat");
    let size = fs::metadata(&program)
        .with_context(|| format!("no program at {}", program.display()))?
        .len();
    anstream::println!("{} ({:.1} MB)", program.display(), size as f64 / 1e6);
    Ok(())
}
