//! Stays connected to the stream.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::BytesMut;
use heartbeat_core::{Error, MAX_LINE, Received, Result};
use jiff::Timestamp;
use metrics::counter;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::codec::{AnyDelimiterCodec, AnyDelimiterCodecError, Decoder};
use tracing::{debug, info, warn};

use crate::backoff::Backoff;
use crate::client::{Client, Stream};
use crate::error::{Cause, Failure, Problem};
use crate::intake::{Intake, Taken};

/// X gives a sign of life every 20 seconds: without one for a little longer, the connection is dead.
const SILENCE: Duration = Duration::from_secs(21);

/// So long a connection must have held before connections that may be another program's are ended once more.
const HELD: Duration = Duration::from_secs(15 * 60);

/// Reads the stream for as long as there is a budget and somebody who takes the posts.
pub(crate) struct Reader {
    client: Arc<Client>,
    intake: Intake,
    backfill_minutes: u8,
    messages: mpsc::Sender<Result<Received>>,
    backoff: Backoff,
    /// When the last sign of life came.
    alive: Option<SystemTime>,
    /// Whether the connection gave anything.
    gave: bool,
    may_end_others: bool,
}

/// Why a connection is no more.
enum End {
    /// It was lost.
    Lost(String),
    /// Or could not be had.
    Failed(Failure),
    /// The budget of a day or a month is spent.
    Spent,
    /// Nobody takes the posts any more.
    Unwanted,
}

impl Reader {
    pub(crate) fn new(
        client: Arc<Client>,
        intake: Intake,
        backfill_minutes: u8,
        messages: mpsc::Sender<Result<Received>>,
    ) -> Self {
        Self {
            client,
            intake,
            backfill_minutes,
            messages,
            backoff: Backoff::default(),
            alive: None,
            gave: false,
            may_end_others: true,
        }
    }

    /// Ends when the budget is spent, when a person must do something, or when nobody listens.
    pub(crate) async fn run(mut self) {
        let end = self.read().await;
        if let Err(error) = self.intake.close().and(end) {
            // Without a receiver nobody misses it.
            let _ = self.messages.send(Err(error)).await;
        }
    }

    async fn read(&mut self) -> Result<()> {
        loop {
            if let Some(span) = self.intake.spent() {
                info!("The posts of the {span} are spent: the stream is closed.");
                return Ok(());
            }
            let started = Instant::now();
            self.gave = false;
            let end = match self.connect().await {
                Ok(stream) => self.follow(stream).await?,
                Err(failure) => End::Failed(failure),
            };
            self.may_end_others |= started.elapsed() >= HELD;
            let wait = match end {
                End::Unwanted => return Ok(()),
                End::Spent => continue,
                End::Lost(why) if self.gave => {
                    warn!(why, "The stream was lost; connects again.");
                    Duration::ZERO
                }
                // It was none.
                End::Lost(why) => {
                    let wait = self.backoff.network();
                    warn!(
                        why,
                        wait_ms = millis(wait),
                        "The stream ended before it gave anything; tries again."
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
        if failure.cause == Cause::TooManyConnections && self.may_end_others {
            // Once: where another program is alive, the two would end each other's for ever.
            self.may_end_others = false;
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
        let Some(wait) = self.backoff.wait(&failure.cause) else {
            return Err(failure.into());
        };
        warn!(
            error = failure.error.report(),
            wait_ms = millis(wait),
            "There is no stream; tries again."
        );
        Ok(wait)
    }

    /// Connects, and asks for what was missed where X has that.
    async fn connect(&mut self) -> Result<Stream, Failure> {
        let missed = self.alive.map(|alive| alive.elapsed().unwrap_or_default());
        let minutes = missed.map_or(0, |missed| missed.as_secs().div_ceil(60).max(1));
        let minutes = u8::try_from(minutes)
            .unwrap_or(u8::MAX)
            .min(self.backfill_minutes);
        let stream = self.client.stream(minutes).await?;
        counter!("heartbeat_twitter_connections_total").increment(1);
        if let (Some(alive), Some(missed)) = (self.alive, missed) {
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
            self.alive = Some(SystemTime::now());
            buffer.extend_from_slice(&chunk);
            loop {
                let taken = match lines.decode(&mut buffer) {
                    Ok(Some(line)) => self.intake.line(line)?,
                    Ok(None) => break,
                    Err(AnyDelimiterCodecError::MaxChunkLengthExceeded) => {
                        self.intake.too_long(&buffer)?
                    }
                    // There is no I/O in it.
                    Err(AnyDelimiterCodecError::Io(error)) => {
                        return Err(Error::internal("a line cannot be read").caused_by(error));
                    }
                };
                if let Some(end) = self.hand_on(taken).await {
                    return Ok(end);
                }
            }
        };
        if !buffer.is_empty() {
            debug!(bytes = buffer.len(), "The stream ended within a line.");
        }
        Ok(End::Lost(why))
    }

    /// Gives why it is the last one, if it is.
    async fn hand_on(&mut self, taken: Taken) -> Option<End> {
        match taken {
            Taken::Problem(problem) => return Some(self.ended_by(&problem)),
            Taken::Nothing => {}
            Taken::Message(message) => {
                if self.messages.send(Ok(message)).await.is_err() {
                    return Some(End::Unwanted);
                }
            }
        }
        if !self.gave {
            self.gave = true;
            self.backoff = Backoff::default();
        }
        self.intake.spent().map(|_| End::Spent)
    }

    fn ended_by(&self, problem: &Problem) -> End {
        let asked = self.client.asked_for_stream();
        if problem.is_spent() {
            End::Failed(asked.spent(problem))
        } else if problem.is_too_many_connections() {
            End::Failed(asked.too_many_connections(problem))
        } else {
            End::Lost(problem.to_string())
        }
    }
}

fn shown(time: SystemTime) -> String {
    Timestamp::try_from(time).map_or_else(|_| "?".to_owned(), |time| format!("{time:.3}"))
}

fn millis(wait: Duration) -> u64 {
    u64::try_from(wait.as_millis()).unwrap_or(u64::MAX)
}
