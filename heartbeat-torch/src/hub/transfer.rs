//! One file from the Hub to the disk, through breaks.
//!
//! hf-hub's own download is not used: it tries nothing again, waits for ever on a silent server, goes
//! on in the background when its caller has gone, and takes a file of any size for whole.

use std::io::{self, Read, SeekFrom};
use std::path::Path;
use std::time::Instant;

use heartbeat_core::{Error, ErrorKind, Result};
use reqwest::header::CONTENT_RANGE;
use reqwest::{Response, StatusCode};
use sha2::{Digest, Sha256};
use tokio::fs::File;
use tokio::io::{AsyncSeekExt, AsyncWriteExt};
use tracing::info;

use super::client::{Client, Remote};
use super::error::{Asked, unkept};
use super::tries::Tries;
use crate::blocking::blocking;
use crate::config::Progress;

/// A file on its way.
#[derive(Debug)]
pub(super) struct Transfer<'a> {
    pub(super) client: &'a Client,
    pub(super) asked: Asked<'a>,
    pub(super) commit: &'a str,
    pub(super) file: &'a Remote,
    /// Where its first bytes are, of this transfer or one that broke off.
    pub(super) part: &'a Path,
    pub(super) progress: Option<&'a Progress>,
}

impl Transfer<'_> {
    /// Brings what is missing of the file into its part, and checks the whole.
    ///
    /// A break is followed by other tries: a few, counted anew whenever they got further. What came
    /// stays: the next transfer goes on behind it.
    pub(super) async fn run(&self) -> Result<()> {
        let began = Instant::now();
        info!(
            file = self.file.name,
            bytes = self.file.size,
            "Fetching a file of a model."
        );
        let (mut done, mut furthest) = (0, 0);
        let mut tries = Tries::default();
        while let Err(error) = self.once(&mut done).await {
            if done > furthest {
                furthest = done;
                tries = Tries::default();
            }
            tries.again(error).await?;
        }
        info!(
            file = self.file.name,
            bytes = self.file.size,
            seconds = began.elapsed().as_secs_f64(),
            "Fetched a file of a model."
        );
        Ok(())
    }

    /// One try. `done` tells how many of the file's first bytes are on the disk.
    async fn once(&self, done: &mut u64) -> Result<()> {
        let unkept = unkept(self.part);
        // Written by place, not appended: what a cancelled try still writes does no harm then.
        let mut options = File::options();
        options.create(true).write(true).truncate(false);
        let mut part = options.open(self.part).await.map_err(&unkept)?;
        let had = part.metadata().await.map_err(&unkept)?.len();
        *done = if had > self.file.size { 0 } else { had };

        if *done < self.file.size {
            let mut response = self
                .client
                .open(self.asked, self.commit, self.file, *done)
                .await?;
            *done = self.begins(&response, *done)?;
            part.set_len(*done).await.map_err(&unkept)?;
            part.seek(SeekFrom::Start(*done)).await.map_err(&unkept)?;
            let received = self.receive(&mut response, &mut part, done).await;
            part.flush().await.map_err(&unkept)?;
            received?;
        }
        part.sync_all().await.map_err(&unkept)?;
        if !self.is_right().await? {
            part.set_len(0).await.map_err(&unkept)?;
            *done = 0;
            let wrong = "what came is not the file that the Hub announced";
            return Err(self.asked.error(ErrorKind::Unavailable, wrong));
        }
        Ok(())
    }

    /// From which byte on `response` has the file, when `asked` was asked for.
    fn begins(&self, response: &Response, asked: u64) -> Result<u64> {
        let (start, size) = if response.status() == StatusCode::PARTIAL_CONTENT {
            let range = response.headers().get(CONTENT_RANGE);
            range
                .and_then(|range| range.to_str().ok()?.strip_prefix("bytes ")?.split_once('/'))
                .and_then(|(range, size)| {
                    Some((range.split_once('-')?.0.parse().ok()?, size.parse().ok()?))
                })
                .filter(|(start, _)| *start == asked)
                .ok_or_else(|| {
                    self.asked
                        .unlike("the server sends another part of the file than asked for")
                })?
        } else {
            (0, response.content_length().unwrap_or(self.file.size))
        };
        if size == self.file.size {
            Ok(start)
        } else {
            Err(self.wrong_size(size))
        }
    }

    async fn receive(
        &self,
        response: &mut Response,
        part: &mut File,
        done: &mut u64,
    ) -> Result<()> {
        let unkept = unkept(self.part);
        self.tell(*done);
        while let Some(chunk) = self.client.chunk(self.asked, response).await? {
            let chunk = chunk.as_ref();
            let more = *done + chunk.len() as u64;
            if more > self.file.size {
                return Err(self.wrong_size(more));
            }
            part.write_all(chunk).await.map_err(&unkept)?;
            *done = more;
            self.tell(more);
        }
        if *done < self.file.size {
            let error = self
                .asked
                .error(ErrorKind::Unavailable, "the file broke off");
            return Err(error.with("bytes", *done).with("of", self.file.size));
        }
        Ok(())
    }

    fn tell(&self, done: u64) {
        if let Some(progress) = self.progress {
            progress.tell(&self.file.name, done, self.file.size);
        }
    }

    fn wrong_size(&self, size: u64) -> Error {
        let error = self
            .asked
            .unlike("the server sends a file of another size than announced");
        error.with("bytes", size).with("announced", self.file.size)
    }

    /// Whether the part's content has the hash that the Hub told, where it told one.
    async fn is_right(&self) -> Result<bool> {
        let Some(announced) = self.file.sha256.clone() else {
            return Ok(true);
        };
        let path = self.part.to_owned();
        blocking(move || {
            let found = sha256(&path).map_err(unkept(&path))?;
            Ok(found == announced)
        })
        .await
    }
}

/// The hash of what is in the file in `path`.
fn sha256(path: &Path) -> io::Result<String> {
    let mut file = std::fs::File::open(path)?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(format!("{:x}", hash.finalize())),
            read => hash.update(&buffer[..read]),
        }
    }
}
