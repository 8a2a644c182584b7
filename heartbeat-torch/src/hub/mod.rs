//! Models from the Hub.

mod cache;
mod client;
mod error;
mod repository;
mod settings;
mod transfer;
mod tries;

use std::path::{Path, PathBuf};

use heartbeat_core::{ErrorKind, Result};
use tracing::warn;

use crate::blocking::blocking;
use crate::config::{HubConfig, Progress};
use crate::files::ModelFiles;
use cache::Cache;
use client::{Client, Listing, Remote};
use repository::Repository;
use settings::Settings;
use transfer::Transfer;
use tries::Tries;

/// A repository may ask for so much room in the cache and no more: for weights, and for each other
/// file.
const LARGEST_WEIGHTS: u64 = 8 << 30;
const LARGEST_OTHER: u64 = 64 << 20;

/// Brings a model's files from the Hub into the cache and gives the folder with them, as
/// [`RobertaAnalyzer::open`](crate::RobertaAnalyzer::open) does: to have them before they are needed,
/// or where there is no network later.
///
/// `id` is `owner/name`; `revision` is a branch, tag or commit, `main` unless told. Only the files that
/// this crate reads are brought, and only those that are not in the cache, which is shared with
/// Python's `huggingface_hub`. A transfer that breaks is resumed, within one call and by the next.
/// When the Hub is away, what was fetched before is used.
///
/// # Errors
///
/// `Misconfigured` when there is no such model or no access to it, when it is not one that this crate
/// reads, when a setting is wrong, or when it is not in the cache and nothing may be fetched;
/// `Unavailable` when the Hub is away or busy after a few tries.
pub async fn fetch(id: &str, revision: Option<&str>, config: &HubConfig) -> Result<PathBuf> {
    let repository = Repository::new(id, revision)?;
    let config = config.clone();
    let settings = blocking(move || Settings::new(&config, |name| std::env::var_os(name))).await?;
    let cache = Cache::new(settings.cache.clone(), repository.clone());
    let cached = cache.complete().await;
    if settings.offline || (repository.is_commit() && cached.is_ok()) {
        return cached;
    }
    let progress = settings.progress.clone();
    let client = blocking(move || Client::new(settings)).await?;
    let hub = Hub {
        client,
        repository,
        cache,
        progress,
    };
    match (hub.update().await, cached) {
        (Err(error), Ok(folder)) if error.is_retryable() => {
            warn!(
                error = error.report(),
                "The Hub is away; using the model in the cache."
            );
            Ok(folder)
        }
        (result, _) => result,
    }
}

/// One repository, on its way into the cache.
#[derive(Debug)]
struct Hub {
    client: Client,
    repository: Repository,
    cache: Cache,
    progress: Option<Progress>,
}

impl Hub {
    /// Makes the cache hold what the Hub has now.
    async fn update(&self) -> Result<PathBuf> {
        let listing = self.list().await?;
        for file in self.wanted(&listing)? {
            self.bring(&listing.commit, &file).await?;
        }
        self.cache.note(listing.commit).await
    }

    async fn list(&self) -> Result<Listing> {
        let mut tries = Tries::default();
        loop {
            match self.client.list(&self.repository).await {
                Ok(listing) => return Ok(listing),
                Err(error) => tries.again(error).await?,
            }
        }
    }

    /// The files that make the model; the weights last, so that where they are all is.
    fn wanted(&self, listing: &Listing) -> Result<Vec<Remote>> {
        let files = ModelFiles::among(Path::new(&self.repository.id), listing.names()).map_err(
            |error| {
                let told = self.client.asked(&self.repository, None).error(
                    ErrorKind::Misconfigured,
                    "the repository holds no model that can be read here",
                );
                let hint = error.advice().unwrap_or_default().to_owned();
                told.caused_by(error).hint(hint)
            },
        )?;
        let remote = |path: &Path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let asked = self.client.asked(&self.repository, Some(&name));
            let file = listing.file(&name).ok_or_else(|| {
                asked.unlike("the Hub's list tells no size or no hash of the file")
            })?;
            let largest = if path == files.weights {
                LARGEST_WEIGHTS
            } else {
                LARGEST_OTHER
            };
            if file.size > largest {
                return Err(asked
                    .error(ErrorKind::Misconfigured, "the file is larger than any of its kind")
                    .with("bytes", file.size)
                    .with("largest", largest)
                    .hint("Name another model; to use this one all the same, fetch it by hand and name its folder."));
            }
            Ok(file)
        };
        files.paths().map(remote).collect()
    }

    /// Makes the cache hold `file` at `commit`.
    async fn bring(&self, commit: &str, file: &Remote) -> Result<()> {
        let cache = &self.cache;
        if cache.has(commit, file).await {
            return Ok(());
        }
        let _lock = cache.lock(file).await?;
        if !cache.has_content(file).await {
            let part = cache.part(file).await?;
            let transfer = Transfer {
                client: &self.client,
                asked: self.client.asked(&self.repository, Some(&file.name)),
                commit,
                file,
                part: &part,
                progress: self.progress.as_ref(),
            };
            transfer.run().await?;
            cache.finish(&part, file).await?;
        }
        cache.link(commit, file).await
    }
}
