//! Stays connected to the stream.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::{Bytes, BytesMut};
use heartbeat_core::{Error, MAX_LINE, PostParser, Raw, Received, Rejected, Result, TweetId};
use jiff::Timestamp;
use metrics::{Counter, counter};
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};
use tokio_util::codec::{AnyDelimiterCodec, AnyDelimiterCodecError, Decoder};
use tracing::{debug, info, warn};

use crate::backoff::Backoff;
use crate::client::{Client, Stream};
use crate::error::{Cause, Failure};
use crate::message::Message;
use crate::meter::Meter;
use crate::seen::Seen;

/// X gives a sign of life every 20 seconds: without one for a little longer, the connection is dead.
const SILENCE: Duration = Duration::from_secs(21);

/// So long a connection must have held before connections that may be another program's are ended once more.
const HELD: Duration = Duration::from_secs(15 * 60);

/// As much of a line that is too long is kept.
const LONGEST_FRAGMENT: usize = 4096;

/// Reads the stream for as long as there is a budget and somebody who takes the posts.
pub(crate) struct Reader {
    pub(crate) client: Arc<Client>,
    pub(crate) parser: PostParser,
    pub(crate) meter: Meter,
    pub(crate) backfill_minutes: u8,
    pub(crate) keep_raw: bool,
    pub(crate) messages: mpsc::Sender<Result<Received>>,
    pub(crate) state: State,
}

/// What is known of the stream so far.
#[derive(Debug)]
pub(crate) struct State {
    seen: Seen,
    backoff: Backoff,
    /// Messages so far, rejected ones among them.
    messages: u64,
    /// When the last sign of life came.
    alive: Option<SystemTime>,
    may_end_others: bool,
    counters: Counters,
}

#[derive(Debug)]
struct Counters {
    posts: Counter,
    duplicates: Counter,
    edits: Counter,
    others: Counter,
    connections: Counter,
}

impl Default for State {
    fn default() -> Self {
        Self {
            seen: Seen::default(),
            backoff: Backoff::default(),
            messages: 0,
            alive: None,
            may_end_others: true,
            counters: Counters {
                posts: counter!("heartbeat_twitter_posts_total"),
                duplicates: counter!("heartbeat_twitter_duplicates_total"),
                edits: counter!("heartbeat_twitter_edits_total"),
                others: counter!("heartbeat_twitter_other_messages_total"),
                connections: counter!("heartbeat_twitter_connections_total"),
            },
        }
    }
}

/// Why a connection is no more.
enum End {
    /// It was lost. It may have given something before.
    Lost { gave: bool, why: String },
    /// Or could not be had.
    Failed(Failure),
    /// The budget of a day or a month is spent.
    Spent,
    /// Nobody takes the posts any more.
    Unwanted,
}

impl Reader {
    /// Ends when the budget is spent, when a person must do something, or when nobody listens.
    pub(crate) async fn run(mut self) {
        let end = self.read().await;
        if let Err(error) = self.meter.close().and(end) {
            // Without a receiver nobody misses it.
            let _ = self.messages.send(Err(error)).await;
        }
    }

    async fn read(&mut self) -> Result<()> {
        loop {
            if let Some(span) = self.meter.spent(Timestamp::now()) {
                info!("The posts of the {span} are spent: the stream is closed.");
                return Ok(());
            }
            let end = match self.connect().await {
                Ok(stream) => self.follow(stream).await?,
                Err(failure) => End::Failed(failure),
            };
            let wait = match end {
                End::Unwanted => return Ok(()),
                End::Spent => continue,
                End::Lost { gave: true, why } => {
                    warn!(why, "The stream was lost; connects again.");
                    Duration::ZERO
                }
                // It was none.
                End::Lost { gave: false, why } => {
                    let wait = self.state.backoff.wait(&Cause::Network);
                    warn!(
                        why,
                        wait_ms = millis(wait),
                        "The stream ended at once; tries again."
                    );
                    wait
                }
                End::Failed(failure) => self.failed(failure).await?,
            };
            sleep(wait).await;
        }
    }

    /// How long to wait after a failure.
    async fn failed(&mut self, failure: Failure) -> Result<Duration> {
        if failure.cause == Cause::Final {
            return Err(failure.into());
        }
        if failure.cause == Cause::TooManyConnections && self.state.may_end_others {
            // Once: where another program is alive, the two would end each other's for ever.
            self.state.may_end_others = false;
            match self.client.end_connections().await {
                Ok(()) => {
                    warn!("X had a connection of this app already, as after a crash: it is ended.");
                    return Ok(Duration::ZERO);
                }
                Err(failure) => warn!(
                    error = failure.error.report(),
                    "X has a connection of this app already, and does not end it."
                ),
            }
        }
        let wait = self.state.backoff.wait(&failure.cause);
        warn!(
            error = failure.error.report(),
            wait_ms = millis(wait),
            "There is no stream; tries again."
        );
        Ok(wait)
    }

    /// Connects, and asks for what was missed where X has that.
    async fn connect(&mut self) -> Result<Stream, Failure> {
        let missed = self
            .state
            .alive
            .map(|alive| alive.elapsed().unwrap_or_default());
        let minutes = missed.map_or(0, |missed| missed.as_secs().div_ceil(60).max(1));
        let minutes = u8::try_from(minutes)
            .unwrap_or(u8::MAX)
            .min(self.backfill_minutes);
        let stream = self.client.stream(minutes).await?;
        self.state.counters.connections.increment(1);
        if let (Some(alive), Some(missed)) = (self.state.alive, missed) {
            let again = Duration::from_secs(60 * u64::from(minutes));
            let from = shown(alive);
            let to = shown(SystemTime::now());
            if missed <= again {
                info!(%from, %to, "Connected again; X sends what it has of the time between.");
            } else {
                warn!(%from, %to, again_minutes = minutes, "Connected again; posts of the time between may be missing.");
            }
        } else {
            info!("Connected to the stream.");
        }
        Ok(stream)
    }

    /// Reads a connection to its end.
    async fn follow(&mut self, mut stream: Stream) -> Result<End> {
        let started = tokio::time::Instant::now();
        let mut gave = false;
        let mut buffer = BytesMut::new();
        let mut lines =
            AnyDelimiterCodec::new_with_max_length(b"\n".to_vec(), Vec::new(), MAX_LINE);
        let why = loop {
            let chunk = tokio::select! {
                chunk = timeout(SILENCE, stream.next()) => chunk,
                () = self.messages.closed() => return Ok(End::Unwanted),
            };
            let chunk = match chunk {
                Ok(Ok(Some(chunk))) => chunk,
                Ok(Ok(None)) => break "X closed it".to_owned(),
                Ok(Err(error)) => {
                    break Error::unavailable("it broke")
                        .caused_by(error.without_url())
                        .report();
                }
                Err(_) => break format!("it was silent for {} seconds", SILENCE.as_secs()),
            };
            self.state.alive = Some(SystemTime::now());
            if !gave {
                gave = true;
                self.state.backoff = Backoff::default();
            }
            buffer.extend_from_slice(&chunk);
            loop {
                let line = match lines.decode(&mut buffer) {
                    Ok(Some(line)) => Ok(line),
                    Ok(None) => break,
                    Err(AnyDelimiterCodecError::MaxChunkLengthExceeded) => Err(
                        Bytes::copy_from_slice(&buffer[..LONGEST_FRAGMENT.min(buffer.len())]),
                    ),
                    // There is no I/O in it.
                    Err(AnyDelimiterCodecError::Io(error)) => {
                        return Err(Error::internal("a line cannot be read").caused_by(error));
                    }
                };
                if let Some(end) = self.take(line).await? {
                    return Ok(end);
                }
            }
        };
        self.state.may_end_others |= started.elapsed() >= HELD;
        if !buffer.is_empty() {
            debug!(bytes = buffer.len(), "The stream ended within a line.");
        }
        Ok(End::Lost { gave, why })
    }

    /// Takes a line, or the beginning of one that is too long. Gives why it is the last one, if it is.
    async fn take(&mut self, line: Result<Bytes, Bytes>) -> Result<Option<End>> {
        let message = match &line {
            Ok(line) => Message::read(&self.parser, line),
            Err(_) => Message::Bad(Error::invalid("the line is too long").with("most", MAX_LINE)),
        };
        let (Ok(line) | Err(line)) = line;
        let state = &mut self.state;
        let found = match message {
            Message::KeepAlive => return Ok(None),
            Message::Other => {
                state.counters.others.increment(1);
                debug!(bytes = line.len(), "Passes over a message that is no post.");
                return Ok(None);
            }
            Message::Problem(problem) if problem.is_spent() => {
                return Ok(Some(End::Failed(
                    self.client.asked_for_stream().spent(&problem),
                )));
            }
            Message::Problem(problem) if problem.is_too_many_connections() => {
                return Ok(Some(End::Failed(
                    self.client
                        .asked_for_stream()
                        .too_many_connections(&problem),
                )));
            }
            Message::Problem(problem) => {
                return Ok(Some(End::Lost {
                    gave: true,
                    why: problem.to_string(),
                }));
            }
            Message::Bad(error) => {
                state.messages += 1;
                Err(Rejected {
                    raw: line.slice(..line.len().min(LONGEST_FRAGMENT)),
                    line: state.messages,
                    error,
                })
            }
            Message::Post(post) => {
                if !state.seen.insert(post.id) {
                    state.counters.duplicates.increment(1);
                    return Ok(None);
                }
                state.messages += 1;
                state.counters.posts.increment(1);
                self.meter.count(Timestamp::now())?;
                // The version that came first is stored already, and it is one post.
                let before = |id: &TweetId| *id != post.id && state.seen.contains(*id);
                if post.versions.iter().any(before) {
                    state.counters.edits.increment(1);
                    return Ok(self.spent());
                }
                Ok(post.into_tweets())
            }
        };
        let raw = self.keep_raw.then(|| Raw {
            arrived: SystemTime::now(),
            bytes: line,
            tweets: found.as_ref().map_or(0, Vec::len),
        });
        let received = Received {
            found,
            position: None,
            raw,
        };
        if self.messages.send(Ok(received)).await.is_err() {
            return Ok(Some(End::Unwanted));
        }
        Ok(self.spent())
    }

    fn spent(&mut self) -> Option<End> {
        self.meter.spent(Timestamp::now()).map(|_| End::Spent)
    }
}

fn shown(time: SystemTime) -> String {
    Timestamp::try_from(time).map_or_else(|_| "?".to_owned(), |time| format!("{time:.3}"))
}

fn millis(wait: Duration) -> u64 {
    u64::try_from(wait.as_millis()).unwrap_or(u64::MAX)
}
