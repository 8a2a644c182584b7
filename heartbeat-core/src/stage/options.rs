//! How a stage works.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::bus::Max;
use crate::message::Topic;
use crate::retry::Retry;
use crate::stage::{Counters, Stage};

/// How a stage works: how much at once, how long it waits, when it ends.
///
/// ```
/// use heartbeat_core::{Idle, Stage, StageOptions};
///
/// let mut options = StageOptions::new(Stage::Analyze);
/// options.idle = Idle::AfterEmptyPolls(3);
/// assert_eq!(options.group, "heartbeat-analyze");
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct StageOptions {
    /// The topics' names.
    pub topics: Topics,
    /// The consumer group that `analyze` and `transfer` read as: `heartbeat-` and the stage's name.
    pub group: String,
    /// The most that one batch holds: 1,000 messages, 4 MiB.
    pub max: Max,
    /// How long a batch that is not full may wait for more, counted from its first message: not at all.
    pub linger: Duration,
    /// How much may be worked on at once.
    pub in_flight: InFlight,
    /// How long one poll waits for messages before it counts as empty: 1 s.
    pub wait: Duration,
    /// When to end by itself.
    pub idle: Idle,
    /// How failures that may pass are tried again.
    pub retry: Retry,
    /// How long work in flight may take to finish once `shutdown` has come: 10 s. What has not
    /// finished by then is given back and read again by the next member.
    pub drain: Duration,
    /// Whether `ingest` reads its source from the beginning, wherever it was before.
    pub from_start: bool,
    /// Cancel it, and the stage takes no new work, finishes what it has and returns.
    pub shutdown: CancellationToken,
    /// Counts what the stage does.
    pub counters: Arc<Counters>,
}

impl StageOptions {
    /// The defaults for a stage.
    #[must_use]
    pub fn new(stage: Stage) -> Self {
        Self {
            topics: Topics::default(),
            group: format!("heartbeat-{stage}"),
            max: Max {
                messages: 1000,
                bytes: 4 << 20,
            },
            linger: Duration::ZERO,
            in_flight: InFlight::default(),
            wait: Duration::from_secs(1),
            idle: Idle::Never,
            retry: Retry::default(),
            drain: Duration::from_secs(10),
            from_start: false,
            shutdown: CancellationToken::new(),
            counters: Arc::new(Counters::new(stage)),
        }
    }
}

/// The names of the two topics; each has a topic of dead letters beside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Topics {
    /// Tweets on their way to `analyze`: `ingest`.
    pub ingest: Topic,
    /// Sentiments on their way to `transfer`: `sentiment`.
    pub sentiment: Topic,
}

impl Default for Topics {
    fn default() -> Self {
        Self {
            ingest: Topic::known("ingest"),
            sentiment: Topic::known("sentiment"),
        }
    }
}

/// How much may be worked on at once. A single batch is worked on however large it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InFlight {
    /// Messages.
    pub messages: usize,
    /// Tokens of text, counted as one for every four bytes, about what a subword tokenizer makes of
    /// English.
    pub tokens: usize,
}

impl Default for InFlight {
    fn default() -> Self {
        Self {
            messages: 4000,
            tokens: 1 << 20,
        }
    }
}

/// When a consuming stage ends by itself. It never does while its group lags behind.
#[derive(Debug, Clone)]
pub enum Idle {
    /// It waits for more until it is told to stop.
    Never,
    /// When so many polls in a row have brought nothing.
    AfterEmptyPolls(u32),
    /// When everything is committed after this is cancelled, which says that the stage before has ended.
    WhenDrained(CancellationToken),
}
