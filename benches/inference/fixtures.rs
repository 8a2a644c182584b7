//! What `cargo xtask bench inference` sets up.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::protocol::Result;

/// Where things are.
#[derive(Debug)]
pub(crate) struct Fixtures {
    /// The model that all engines run, with the texts and graphs.
    pub(crate) model: PathBuf,
    /// A Python with the rivals' packages.
    pub(crate) python: PathBuf,
    /// The rival in Rust.
    pub(crate) candle: PathBuf,
}

impl Fixtures {
    pub(crate) fn from_env() -> Result<Self> {
        let path = |name: &str| {
            let path = env::var_os(name).map(PathBuf::from);
            path.ok_or_else(|| format!("{name} is not set: run `cargo xtask bench inference`"))
        };
        Ok(Self {
            model: path("HEARTBEAT_RIVALS_MODEL")?,
            python: path("HEARTBEAT_RIVALS_PYTHON")?,
            candle: path("HEARTBEAT_RIVALS_CANDLE")?,
        })
    }
}

/// The texts of the contest, all different.
#[derive(Debug, Deserialize)]
pub(crate) struct Texts {
    pub(crate) texts: Vec<String>,
    /// Their token ids, by Python.
    pub(crate) ids: Vec<Vec<u32>>,
}

impl Texts {
    pub(crate) fn read(model: &Path) -> Result<Self> {
        Ok(serde_json::from_slice(&fs::read(
            model.join("texts.json"),
        )?)?)
    }
}
