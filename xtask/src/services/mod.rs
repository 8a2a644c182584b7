//! The real services that tests run against: fetched once into the cache, started by the crate `testbed`.

mod apicurio;
mod influxdb;
mod java;
mod kafka;
mod maven;
mod shared;
mod wheel;

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use testbed::Installation;

use crate::cache::{self, Cache};

pub(crate) use shared::Shared;

/// Fetches what the cache does not have.
///
/// # Errors
/// Maven or Python is missing, or something cannot be fetched.
pub(crate) fn set_up(cache: &Cache) -> Result<Installation> {
    Ok(Installation {
        java: java::set_up(cache)?,
        kafka: kafka::set_up(cache)?,
        apicurio: apicurio::set_up(cache)?,
        influxd: influxdb::set_up(cache)?,
    })
}

/// Makes a folder of that name in the cache, as a whole or not at all, and returns it. `make` gets the folder to fill and
/// another for what is needed on the way.
fn whole(
    cache: &Cache,
    name: &str,
    make: impl FnOnce(&Path, &Path) -> Result<()>,
) -> Result<PathBuf> {
    let dir = cache.path(name);
    if dir.exists() {
        return Ok(dir);
    }
    let _lock = cache.lock()?;
    if dir.exists() {
        return Ok(dir); // by the xtask that had the lock
    }
    let part = cache.path("service.part");
    cache::remove(&part)?;
    let (made, scratch) = (part.join("made"), part.join("scratch"));
    for it in [&made, &scratch] {
        fs::create_dir_all(it).with_context(|| format!("cannot create {}", it.display()))?;
    }
    make(&made, &scratch)?;
    fs::rename(&made, &dir).with_context(|| format!("cannot create {}", dir.display()))?;
    cache::remove(&part)?;
    Ok(dir)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_made_once_and_whole() {
        let dir = tempfile::tempdir().unwrap();
        let cache = Cache::at(dir.path());
        let broken = whole(&cache, "it", |made, _| {
            fs::write(made.join("half"), "")?;
            anyhow::bail!("no network")
        });
        assert!(broken.is_err() && !cache.path("it").exists());

        let make = |made: &Path, _: &Path| Ok(fs::write(made.join("all"), "")?);
        let made = whole(&cache, "it", make).unwrap();
        assert!(made.join("all").exists() && !made.join("half").exists());
        whole(&cache, "it", |_, _| panic!("it is there")).unwrap();
    }
}
