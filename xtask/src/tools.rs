//! Programs that cargo works with, built once into the cache.

use std::path::PathBuf;

use anyhow::{Context, Result};

use crate::{
    cache::Cache,
    shell::{self, step},
};

/// A program from the registry, pinned.
#[derive(Debug)]
pub(crate) struct Tool {
    name: &'static str,
    version: &'static str,
    /// Whether what the program can do beyond its core is left out.
    plain: bool,
}

/// Checks licences, sources and duplicates of the dependencies.
pub(crate) const DENY: Tool = Tool {
    name: "cargo-deny",
    version: "0.20.2",
    plain: false,
};

/// Finds dependencies that nothing uses.
pub(crate) const MACHETE: Tool = Tool {
    name: "cargo-machete",
    version: "0.9.2",
    plain: false,
};

/// Runs libFuzzer.
pub(crate) const FUZZ: Tool = Tool {
    name: "cargo-fuzz",
    version: "0.13.2",
    plain: false,
};

/// Keeps what was compiled, for every checkout. On this machine: what other machines share is left out.
pub(crate) const SCCACHE: Tool = Tool {
    name: "sccache",
    version: "0.19.0",
    plain: true,
};

impl Tool {
    /// Builds the tool if the cache does not have it, and returns its program.
    ///
    /// # Errors
    /// It cannot be fetched or built.
    pub(crate) fn set_up(&self, cache: &Cache) -> Result<PathBuf> {
        let Self {
            name,
            version,
            plain,
        } = self;
        let _lock = cache.lock()?;
        let root = cache.path(&format!("tools/{name}-{version}"));
        let program = root.join("bin").join(name);
        if !program.exists() {
            step(format_args!(
                "building {name} {version} (once; takes minutes)"
            ));
            let mut cargo = shell::cargo();
            cargo.args(["install", "--quiet", "--locked", name]);
            if *plain {
                cargo.arg("--no-default-features");
            }
            cargo
                .args(["--version", version, "--root"])
                .arg(&root)
                // It runs for seconds: a short build matters more than a fast program.
                .env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16")
                .env("CARGO_PROFILE_RELEASE_LTO", "off")
                .env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "1");
            shell::run(&mut cargo).with_context(|| format!("cannot build {name}"))?;
        }
        Ok(program)
    }
}
