//! The contract of where the moods are kept.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;

use crate::error::{Error, Result};
use crate::record::{Keyed, Sentiment, TweetId};

/// Keeps points: the mood of each post by task and time.
///
/// A point is known by its task, time and tweet id. Writing it again replaces its scores, so
/// that writing the same again changes nothing.
#[cfg_attr(feature = "mocks", mockall::automock)]
#[async_trait]
pub trait Store: fmt::Debug + Send + Sync + 'static {
    /// Writes points; durable when it returns `Ok`. Of two equal points in one call the later counts.
    ///
    /// Points that can never be stored are named in the report, and the others are stored.
    ///
    /// # Errors
    /// [`ErrorKind::Unavailable`](crate::ErrorKind::Unavailable) when the same call may succeed later; some
    /// of the points may have been stored.
    async fn write(&self, points: &[Keyed<Sentiment>]) -> Result<WriteReport>;

    /// The points that match, by time, then tweet id, then task: one page of them.
    async fn read(&self, query: &Query, page: &Page) -> Result<Vec<Keyed<Sentiment>>>;

    /// Count and mean scores of the points that match, per task and window of `every`; by
    /// window, then task. Windows begin at multiples of `every` since 1970; empty ones are left out.
    ///
    /// # Errors
    /// [`ErrorKind::Misconfigured`](crate::ErrorKind::Misconfigured) unless `every` is whole seconds, at least one.
    async fn summarize(&self, query: &Query, every: Duration) -> Result<Vec<Bucket>>;

    /// Lets go of what this handle holds: files, connections, threads. The last call; other handles go on.
    ///
    /// What was written is durable already. A handle that is dropped without is tidied up later.
    async fn close(&self) -> Result<()>;
}

/// What became of a write.
#[derive(Debug, Clone, Default)]
pub struct WriteReport {
    /// The points that can never be stored, in the order they were given.
    pub refused: Vec<Refused>,
}

/// A point that cannot be stored.
#[derive(Debug, Clone)]
pub struct Refused {
    /// Its index in what was written.
    pub index: usize,
    /// Why, in the store's own words.
    pub error: Error,
}

/// Which points.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Query {
    /// Only this task.
    pub task: Option<String>,
    /// Only at or after this second since 1970-01-01 UTC.
    pub from: Option<i32>,
    /// Only before this second.
    pub to: Option<i32>,
}

impl Query {
    /// Whether a point matches.
    #[must_use]
    pub fn matches(&self, point: &Sentiment) -> bool {
        self.task.as_ref().is_none_or(|task| *task == point.task)
            && self.from.is_none_or(|from| point.time >= from)
            && self.to.is_none_or(|to| point.time < to)
    }
}

/// Which part of the answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// Only what comes behind this point.
    pub after: Option<PointKey>,
    /// At most so many points.
    pub limit: usize,
}

impl Page {
    /// The first `limit` points.
    #[must_use]
    pub fn first(limit: usize) -> Self {
        Self { after: None, limit }
    }
}

/// What a point is known by, and its place among the others.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PointKey {
    /// The second since 1970-01-01 UTC.
    pub time: i32,
    /// The tweet.
    pub id: TweetId,
    /// The subject.
    pub task: String,
}

impl From<&Keyed<Sentiment>> for PointKey {
    fn from(point: &Keyed<Sentiment>) -> Self {
        Self {
            time: point.value.time,
            id: point.id,
            task: point.value.task.clone(),
        }
    }
}

/// The points of one task in one window of time.
#[derive(Debug, Clone, PartialEq)]
pub struct Bucket {
    /// Where the window begins, in seconds since 1970-01-01 UTC. It may lie before the range of an
    /// `i32`, as the first window may begin before the first second.
    pub start: i64,
    /// The subject.
    pub task: String,
    /// How many points.
    pub count: u64,
    /// Mean positive score.
    pub pos: f64,
    /// Mean neutral score.
    pub neu: f64,
    /// Mean negative score.
    pub neg: f64,
}

/// Checks a window's length and gives it in seconds, for [`Store::summarize`].
///
/// # Errors
/// [`ErrorKind::Misconfigured`](crate::ErrorKind::Misconfigured) unless it is whole seconds, at least one.
pub fn window_seconds(every: Duration) -> Result<i64> {
    match i64::try_from(every.as_secs()) {
        Ok(seconds) if seconds > 0 && every.subsec_nanos() == 0 => Ok(seconds),
        _ => Err(
            Error::misconfigured("a window is a whole number of seconds, at least one")
                .with("every", format!("{every:?}")),
        ),
    }
}

/// Reads the points that match page by page, so that memory holds one page.
#[derive(Debug)]
pub struct Pages<'a> {
    store: &'a dyn Store,
    query: Query,
    page: Option<Page>,
}

impl<'a> Pages<'a> {
    /// Pages of `limit` points.
    pub fn new(store: &'a dyn Store, query: Query, limit: usize) -> Self {
        Self {
            store,
            query,
            page: Some(Page::first(limit.max(1))),
        }
    }

    /// The next page; `None` behind the last.
    ///
    /// # Errors
    /// As [`Store::read`].
    pub async fn next(&mut self) -> Result<Option<Vec<Keyed<Sentiment>>>> {
        let Some(page) = &mut self.page else {
            return Ok(None);
        };
        let points = self.store.read(&self.query, page).await?;
        match points.last() {
            Some(last) if points.len() >= page.limit => page.after = Some(last.into()),
            _ => self.page = None,
        }
        Ok((!points.is_empty()).then_some(points))
    }
}
