//! The folder for what is fetched and built once: outside the checkout, shared by all of them.

use std::{
    env,
    ffi::OsString,
    fs::{self, File, TryLockError},
    io::ErrorKind,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};

use crate::shell::step;

/// `$HEARTBEAT_CACHE`, else `heartbeat` in the user's cache folder.
#[derive(Debug)]
pub(crate) struct Cache {
    dir: PathBuf,
}

impl Cache {
    /// Finds the folder, and creates it where it is not there.
    pub(crate) fn open() -> Result<Self> {
        let dir = locate(
            env::var_os("HEARTBEAT_CACHE"),
            env::var_os("XDG_CACHE_HOME"),
            env::home_dir(),
        )
        .context("no home directory to keep a cache in: set HEARTBEAT_CACHE to a folder")?;
        // Other commands run in other folders.
        let dir = std::path::absolute(dir)?;
        fs::create_dir_all(&dir)
            .with_context(|| format!("cannot create the cache {}", dir.display()))?;
        Ok(Self { dir })
    }

    /// A folder that is there, for tests.
    #[cfg(test)]
    pub(crate) fn at(dir: &Path) -> Self {
        Self { dir: dir.into() }
    }

    /// A place of that name in the cache.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// Keeps other xtasks from changing the cache until the guard is dropped.
    pub(crate) fn lock(&self) -> Result<File> {
        let path = self.path("lock");
        let context = || format!("cannot lock {}", path.display());
        let file = File::create(&path).with_context(context)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                step("waiting for another xtask to leave the cache");
                file.lock().with_context(context)?;
            }
            Err(TryLockError::Error(error)) => return Err(error).with_context(context),
        }
        Ok(file)
    }
}

/// Writes a file so that nobody ever sees half of it.
///
/// # Errors
/// The folder cannot be written to.
pub(crate) fn write_whole(path: &Path, content: &[u8]) -> Result<()> {
    let mut part = path.as_os_str().to_owned();
    part.push(format!(".part-{}", std::process::id()));
    let written = fs::write(&part, content).and_then(|()| fs::rename(&part, path));
    if written.is_err() {
        // It may not even be there; the first error is the one to tell.
        let _ = fs::remove_file(&part);
    }
    written.with_context(|| format!("cannot write {}", path.display()))
}

/// Removes a folder and all in it, if it is there.
pub(crate) fn remove(dir: &Path) -> Result<()> {
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", dir.display()))
        }
        _ => Ok(()),
    }
}

/// An unset variable and an empty one are the same, and a relative `XDG_CACHE_HOME` does not count,
/// as its specification asks.
fn locate(own: Option<OsString>, xdg: Option<OsString>, home: Option<PathBuf>) -> Option<PathBuf> {
    let given = |value: Option<OsString>| value.filter(|it| !it.is_empty()).map(PathBuf::from);
    given(own).or_else(|| {
        given(xdg)
            .filter(|it| it.is_absolute())
            .or_else(|| home.map(|home| home.join(".cache")))
            .map(|caches| caches.join("heartbeat"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(own: &str, xdg: &str) -> Option<PathBuf> {
        locate(Some(own.into()), Some(xdg.into()), Some("/home/me".into()))
    }

    #[test]
    fn our_own_variable_comes_first_then_xdg_then_home() {
        assert_eq!(at("here", "/xdg"), Some("here".into()));
        assert_eq!(at("", "/xdg"), Some("/xdg/heartbeat".into()));
        assert_eq!(at("", "relative"), Some("/home/me/.cache/heartbeat".into()));
        assert_eq!(at("", ""), Some("/home/me/.cache/heartbeat".into()));
        assert_eq!(locate(None, None, None), None);
    }
}
