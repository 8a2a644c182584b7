//! The cache on disk, laid out as Python's client has it, so that both share it.

use std::fs::TryLockError;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use heartbeat_core::{Error, Result};
use tokio::fs::{self, File};
use tracing::{debug, info};

use super::client::Remote;
use super::error::unkept;
use super::repository::Repository;
use crate::blocking::blocking;
use crate::files::ModelFiles;

/// How often it is looked whether another process is done with a file.
const LOOK: Duration = Duration::from_millis(200);

/// The part of the cache that belongs to one repository.
#[derive(Debug, Clone)]
pub(super) struct Cache {
    root: PathBuf,
    repository: Repository,
}

impl Cache {
    pub(super) fn new(root: PathBuf, repository: Repository) -> Self {
        Self { root, repository }
    }

    fn at(&self, commit: &str) -> hf_hub::CacheRepo {
        hf_hub::Cache::new(self.root.clone()).repo(self.repository.at(commit))
    }

    /// The folder with the files of `commit`.
    pub(super) fn snapshot(&self, commit: &str) -> PathBuf {
        self.at(commit).pointer_path(commit)
    }

    fn blob(&self, file: &Remote) -> PathBuf {
        self.at("main").blob_path(&file.blob)
    }

    /// The folder that the revision led to when it was last fetched.
    fn noted(&self) -> Option<PathBuf> {
        let revision = &self.repository.revision;
        if self.repository.is_commit() {
            return Some(self.snapshot(revision)).filter(|folder| folder.is_dir());
        }
        let config = self.at(revision).get("config.json")?;
        config.parent().map(Path::to_owned)
    }

    /// The folder with all that a model needs, as last fetched.
    pub(super) async fn complete(&self) -> Result<PathBuf> {
        let cache = self.clone();
        let found = blocking(move || {
            let folder = cache.noted();
            folder
                .map(|folder| ModelFiles::in_dir(&folder).map(|_| folder))
                .transpose()
        });
        let missing = Error::misconfigured("the model is not in the Hub's cache")
            .with("model", &self.repository.id)
            .with("revision", &self.repository.revision)
            .with("cache", self.root.display())
            .hint(
                "Fetch it once with the network: without `offline` and HF_HUB_OFFLINE, or by \
                 `hf download` there; or set `cache` or HF_HUB_CACHE to the folder that has it.",
            );
        match found.await {
            Ok(Some(folder)) => Ok(folder),
            Ok(None) => Err(missing),
            Err(error) => Err(missing.caused_by(error)),
        }
    }

    /// Whether the whole `file` is there, at `commit`.
    pub(super) async fn has(&self, commit: &str, file: &Remote) -> bool {
        is_of_size(&self.snapshot(commit).join(&file.name), file.size).await
    }

    /// Whether the content of `file` is there, of this commit or any other.
    pub(super) async fn has_content(&self, file: &Remote) -> bool {
        is_of_size(&self.blob(file), file.size).await
    }

    /// Keeps other processes, Python's too, from fetching `file` until what this gives is dropped.
    pub(super) async fn lock(&self, file: &Remote) -> Result<Option<std::fs::File>> {
        let folder = self.repository.at("main").folder_name();
        let folder = self.root.join(".locks").join(folder);
        let path = folder.join(&file.blob).with_extension("lock");
        make_folder(&folder).await?;
        let lock = File::create(&path).await.map_err(unkept(&path))?;
        let lock = lock.into_std().await;
        let mut told = false;
        loop {
            match lock.try_lock() {
                Ok(()) => return Ok(Some(lock)),
                Err(TryLockError::WouldBlock) => {
                    if !told {
                        info!(
                            file = file.name,
                            "Waiting for another process that fetches this file."
                        );
                        told = true;
                    }
                    tokio::time::sleep(LOOK).await;
                }
                // Some network disks have no locks. What two write at once is the same.
                Err(TryLockError::Error(error)) => {
                    debug!(%error, path = %path.display(), "Fetching a file without a lock.");
                    return Ok(None);
                }
            }
        }
    }

    /// Where `file` is while it is not whole.
    pub(super) async fn part(&self, file: &Remote) -> Result<PathBuf> {
        let part = self.blob(file).with_extension("incomplete");
        make_folder(part.parent().unwrap_or(&self.root)).await?;
        Ok(part)
    }

    /// Makes `part`, which is whole, the content of `file`.
    pub(super) async fn finish(&self, part: &Path, file: &Remote) -> Result<()> {
        fs::rename(part, self.blob(file))
            .await
            .map_err(unkept(part))
    }

    /// Makes the content of `file` appear under its name, at `commit`.
    pub(super) async fn link(&self, commit: &str, file: &Remote) -> Result<()> {
        let folder = self.snapshot(commit);
        make_folder(&folder).await?;
        let path = folder.join(&file.name);
        match fs::remove_file(&path).await {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => link(&self.blob(file), &path).await,
        }
        .map_err(unkept(&path))
    }

    /// Notes that the revision is `commit`, all of whose files are there, and gives their folder.
    ///
    /// This is the last step, so that a name never leads to half a model. What cannot be noted, in a
    /// cache that is read-only, is asked of the Hub again.
    pub(super) async fn note(&self, commit: String) -> Result<PathBuf> {
        let cache = self.clone();
        blocking(move || {
            let folder = cache.snapshot(&commit);
            if cache.noted().as_ref() != Some(&folder)
                && let Err(error) = cache.at(&cache.repository.revision).create_ref(&commit)
            {
                debug!(%error, "Cannot note the commit of a revision.");
            }
            Ok(folder)
        })
        .await
    }
}

async fn make_folder(path: &Path) -> Result<()> {
    fs::create_dir_all(path).await.map_err(unkept(path))
}

async fn is_of_size(path: &Path, size: u64) -> bool {
    let found = fs::metadata(path).await;
    found.is_ok_and(|found| found.is_file() && found.len() == size)
}

/// Links as Python's client does, so that the cache can be moved.
#[cfg(unix)]
async fn link(content: &Path, path: &Path) -> io::Result<()> {
    let name = content.file_name().unwrap_or_default();
    fs::symlink(Path::new("../../blobs").join(name), path).await
}

#[cfg(not(unix))]
async fn link(content: &Path, path: &Path) -> io::Result<()> {
    fs::hard_link(content, path).await
}
