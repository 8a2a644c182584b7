//! Apicurio, a schema registry that speaks Confluent's API.

use std::{fs::File, path::PathBuf};

use anyhow::{Context, Result};
use flate2::read::GzDecoder;
use tar::Archive;

use super::{maven, whole};
use crate::{cache::Cache, shell::step};

const VERSION: &str = "3.3.3";

/// The folder of the program.
pub(crate) fn set_up(cache: &Cache) -> Result<PathBuf> {
    whole(cache, &format!("apicurio-{VERSION}"), |made, scratch| {
        step(format_args!("fetching Apicurio {VERSION} (once; 160 MB)"));
        maven::copy("maven/apicurio.xml", VERSION, scratch, scratch)?;
        let archive = scratch.join(format!("apicurio-registry-app-{VERSION}-all.tar.gz"));
        let file = File::open(&archive).context("Maven fetched another file")?;
        Archive::new(GzDecoder::new(file))
            .unpack(made)
            .with_context(|| format!("cannot unpack {}", archive.display()))
    })
}
