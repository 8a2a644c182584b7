//! Recorded posts as a [`Source`].

mod input;
mod lines;
mod pace;
mod place;
mod progress;
mod reader;

#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::path::PathBuf;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use crate::error::{Error, Result};
use crate::post::PostParser;
use crate::source::{Position, Source, SourceBatch};
use input::Input;
use pace::Pace;
use place::Place;
pub use progress::JsonlProgress;
use reader::{Chunk, Item};

/// Which posts to read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct JsonlConfig {
    /// The file, or `-` for the standard input.
    pub path: PathBuf,
    /// The task of posts that name none: refused by default.
    #[serde(default)]
    pub task: Option<String>,
    /// How many times as fast as they came in they are given: by the time that a recording has of each, or else the one when
    /// it was posted. As fast as can be by default.
    #[serde(default)]
    pub speed: Option<f64>,
}

impl JsonlConfig {
    /// The posts in a file, or with `-` those on the standard input.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            task: None,
            speed: None,
        }
    }
}

/// Posts from a file of lines as [`PostParser`] reads them, gzip or not, from a pipe, or from the
/// standard input.
///
/// A file is resumed behind the last line that was read, so lines that were added since are new. A file
/// that was replaced or cut short is refused; to tell, its first 1 KiB and its length are looked at.
/// Pipes and the standard input cannot be resumed: they are read from where they are.
///
/// A batch holds whole lines: when a single line is more tweets than `max`, they come together. Lines
/// over [`MAX_LINE`](crate::MAX_LINE) are rejected with their first 4 KiB. Compressed data that breaks
/// off is rejected where it does, and is the end. A last line without an end is a line.
///
/// A thread reads ahead a few hundred kilobytes. It ends when the source is dropped; while it waits for
/// the standard input, at the next line or with the process.
///
/// ```
/// use heartbeat_core::{JsonlConfig, JsonlSource, Source};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> heartbeat_core::Result<()> {
/// # let dir = tempfile::tempdir().unwrap();
/// # let path = dir.path().join("posts.jsonl");
/// std::fs::write(&path, r#"{"id":"20","text":"hello","created_at":1142974214,"task":"T"}"#).unwrap();
/// let mut source = JsonlSource::open(JsonlConfig::new(path))?;
/// source.resume(None).await?;
/// let batch = source.next_batch(100).await?.unwrap();
/// assert_eq!(batch.tweets[0].value.content, "hello");
/// assert!(source.next_batch(100).await?.is_none());
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct JsonlSource {
    name: String,
    input: Input,
    parser: PostParser,
    progress: JsonlProgress,
    /// From the thread; `None` before it is started.
    chunks: Option<mpsc::Receiver<Chunk>>,
    /// Read and not yet given.
    ready: VecDeque<Item>,
    pace: Option<Pace>,
    /// How it ended, once it has.
    end: Option<Result<()>>,
}

impl JsonlSource {
    /// Finds the file. Reading begins with [`resume`](Source::resume).
    ///
    /// # Errors
    /// [`ErrorKind::Misconfigured`](crate::ErrorKind::Misconfigured) when the file is not there, may not
    /// be read or is a directory, when the task has no legal name, or when the speed is not above 0.
    pub fn open(config: JsonlConfig) -> Result<Self> {
        let parser = PostParser::new(config.task)?;
        let pace = config.speed.map(Pace::new).transpose()?;
        let (input, size) = Input::find(&config.path)?;
        Ok(Self {
            name: format!("jsonl:{}", input.path().display()),
            input,
            parser,
            progress: JsonlProgress::new(size),
            chunks: None,
            ready: VecDeque::new(),
            pace,
            end: None,
        })
    }

    /// How far it has read.
    #[must_use]
    pub fn progress(&self) -> JsonlProgress {
        self.progress.clone()
    }

    fn receive(&mut self, chunk: Option<Chunk>) {
        match chunk {
            Some(Ok(Some(items))) => self.ready.extend(items),
            Some(Ok(None)) => self.end = Some(Ok(())),
            Some(Err(error)) => self.end = Some(Err(error)),
            None => {
                let error =
                    Error::internal("the thread that reads posts died").with("source", &self.name);
                self.end = Some(Err(error));
            }
        }
    }

    /// When the next of what is ready is due, if it has to wait.
    fn due(&mut self) -> Option<Instant> {
        let at = self.ready.front()?.at?;
        let due = self.pace.as_mut()?.due(at);
        (due > Instant::now()).then_some(due)
    }

    /// The next of what is ready, whole lines, up to one that is not due.
    fn batch(&mut self, max: usize) -> SourceBatch {
        let mut batch = SourceBatch::default();
        let mut taken = 0;
        while taken == 0 || self.due().is_none() {
            let fits = |item: &mut Item| taken == 0 || taken + item.size() <= max;
            let Some(item) = self.ready.pop_front_if(fits) else {
                break;
            };
            taken += item.size();
            match item.found {
                Ok(tweets) => batch.tweets.extend(tweets),
                Err(rejected) => batch.rejected.push(rejected),
            }
            batch.position = self.input.is_file().then(|| item.behind.to_position());
        }
        batch
    }
}

#[async_trait]
impl Source for JsonlSource {
    fn name(&self) -> &str {
        &self.name
    }

    async fn resume(&mut self, from: Option<Position>) -> Result<()> {
        let (input, progress) = (self.input.clone(), self.progress.clone());
        let path = input.path().to_owned();
        if !input.is_file() {
            if self.chunks.is_none() {
                let open = move || input.open(None, progress);
                self.chunks = Some(reader::start(path, open, self.parser.clone())?);
            }
            return Ok(());
        }
        let from = from.as_ref().map(Place::from_position).transpose()?;
        self.chunks = None;
        self.ready.clear();
        self.pace.iter_mut().for_each(Pace::restart);
        self.end = None;
        let lines = tokio::task::spawn_blocking(move || input.open(from, progress))
            .await
            .map_err(|error| {
                Error::internal("opening a file of posts failed").caused_by(error)
            })??;
        self.chunks = Some(reader::start(path, || Ok(lines), self.parser.clone())?);
        Ok(())
    }

    async fn next_batch(&mut self, max: usize) -> Result<Option<SourceBatch>> {
        while self.ready.is_empty() {
            if let Some(end) = &self.end {
                return end.clone().map(|()| None);
            }
            let Some(chunks) = &mut self.chunks else {
                return Err(Error::internal("a source is read before it is resumed")
                    .with("source", &self.name));
            };
            let chunk = chunks.recv().await;
            self.receive(chunk);
        }
        if let Some(due) = self.due() {
            sleep_until(due).await;
        }
        // Whatever else is there by now.
        while self.ready.len() < max
            && let Some(Ok(chunk)) = self.chunks.as_mut().map(mpsc::Receiver::try_recv)
        {
            self.receive(Some(chunk));
        }
        Ok(Some(self.batch(max)))
    }
}
