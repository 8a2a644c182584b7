//! The contract of where posts come from.

mod inbox;
mod seen;

use std::fmt;
use std::time::SystemTime;

use async_trait::async_trait;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::record::{Keyed, Tweet};

pub use inbox::{Inbox, Received};
pub use seen::Seen;

/// Where posts come from.
#[cfg_attr(feature = "mocks", mockall::automock)]
#[async_trait]
pub trait Source: fmt::Debug + Send + 'static {
    /// Whose position this is. Two sources of one name are the same stream of posts.
    fn name(&self) -> &str;

    /// Goes to `from`, or to the beginning. Called before the first [`next_batch`](Self::next_batch),
    /// and again when another process has moved the source on.
    ///
    /// A source that cannot go back, such as a live stream, starts where it is.
    ///
    /// # Errors
    /// [`ErrorKind::Misconfigured`](crate::ErrorKind::Misconfigured) when the source is not there or is not
    /// the one the position was made of.
    async fn resume(&mut self, from: Option<Position>) -> Result<()>;

    /// The next posts, at most `max`, waiting until there is at least one; `None` when the source has
    /// ended.
    ///
    /// The same source read from the same position gives the same posts. What is no post comes as
    /// [`Rejected`]. Dropping the call loses nothing: the next one gives the same posts.
    async fn next_batch(&mut self, max: usize) -> Result<Option<SourceBatch>>;
}

/// Where a source is, in its own words: a file's offset, a stream's cursor.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Position(pub String);

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a source gave.
#[derive(Debug, Clone, Default)]
pub struct SourceBatch {
    /// The posts, in the source's order.
    pub tweets: Vec<Keyed<Tweet>>,
    /// What came and was no post.
    pub rejected: Vec<Rejected>,
    /// Where the source is behind all of them; `None` when it cannot be resumed.
    pub position: Option<Position>,
    /// The messages that they came in, of a source that was told to keep these.
    pub raw: Vec<Raw>,
}

/// A message as it came.
#[derive(Debug, Clone)]
pub struct Raw {
    /// When.
    pub arrived: SystemTime,
    /// The message, perhaps cut short where it is rejected.
    pub bytes: Bytes,
    /// How many tweets it was taken for: the batch's next ones.
    pub tweets: usize,
}

/// A piece of input that is no post: a dead letter from the start.
#[derive(Debug, Clone)]
pub struct Rejected {
    /// The input as it came, perhaps cut short.
    pub raw: Bytes,
    /// Its place in the source, from 1: a line's number.
    pub line: u64,
    /// What is wrong with it.
    pub error: Error,
}
