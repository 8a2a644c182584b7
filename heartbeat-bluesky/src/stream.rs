//! Stays connected to the stream.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use heartbeat_core::{Received, Result};
use jiff::Timestamp;
use metrics::{Counter, counter};
use tokio::sync::mpsc;
use tokio::time::sleep;
use tracing::{info, warn};

use crate::connection::{Connection, Lost};
use crate::dial::Dial;
use crate::error::Failure;
use crate::intake::Intake;
use crate::settings::{Host, Settings};

/// The first wait after a failure; each further one is twice as long.
const FIRST: Duration = Duration::from_secs(1);

/// The longest one. Up to as much again is added by chance, so that clients of a server that was away do not all come at once.
const LONGEST: Duration = Duration::from_secs(30);

/// The posts of all of Bluesky are never further apart, in microseconds: where they are, some are missing.
const GAP: i64 = 60_000_000;

/// Reads the stream for as long as somebody takes the posts.
pub(crate) struct Reader {
    settings: Arc<Settings>,
    dial: Arc<dyn Dial>,
    intake: Intake,
    messages: mpsc::Sender<Result<Received>>,
    /// Which host is asked: an index.
    host: usize,
    backoff: ExponentialBackoff,
    /// How many hosts in a row have said that they never give a stream.
    refusals: usize,
    /// When the last message came.
    alive: Option<SystemTime>,
    connections: Counter,
}

/// Why a connection is no longer read.
enum End {
    /// It was lost. Perhaps it gave something new before.
    Lost { gave: bool, lost: Lost },
    /// Or could not be had.
    Failed(Failure),
    /// The time to end has come, or nobody takes the posts any more.
    Done,
}

impl Reader {
    pub(crate) fn new(
        settings: Arc<Settings>,
        dial: Arc<dyn Dial>,
        intake: Intake,
        messages: mpsc::Sender<Result<Received>>,
    ) -> Self {
        // The same host goes on exactly where it was.
        let last = intake.place().host();
        let is_last = |host: &Host| Some(host.name.as_str()) == last;
        Self {
            host: settings.hosts.iter().position(is_last).unwrap_or(0),
            settings,
            dial,
            intake,
            messages,
            backoff: backoff(),
            refusals: 0,
            alive: None,
            connections: counter!("heartbeat_bluesky_connections_total"),
        }
    }

    /// Ends at the time to end, when a person must do something, or when nobody listens.
    pub(crate) async fn run(mut self) {
        if let Err(error) = self.read().await {
            // Without a receiver nobody misses it.
            let _ = self.messages.send(Err(error)).await;
        }
    }

    async fn read(&mut self) -> Result<()> {
        let settings = self.settings.clone();
        loop {
            // There is at least one, and the index is one of them.
            let Some(host) = settings.hosts.get(self.host) else {
                return Ok(());
            };
            let wait = match self.follow(host).await {
                End::Done => return Ok(()),
                End::Lost { gave: true, lost } => {
                    warn!(
                        host = host.name,
                        why = lost.why,
                        "The stream was lost; connects again."
                    );
                    self.backoff = backoff();
                    if !lost.is_fault {
                        continue;
                    }
                    Duration::ZERO
                }
                End::Lost { gave: false, lost } => {
                    let wait = self.wait();
                    warn!(
                        host = host.name,
                        why = lost.why,
                        wait_ms = millis(wait),
                        "The stream ended before it gave anything; tries again."
                    );
                    wait
                }
                End::Failed(failure) => self.failed(failure)?,
            };
            self.host = (self.host + 1) % settings.hosts.len();
            sleep(wait).await;
        }
    }

    /// How long to wait after a connection could not be had.
    fn failed(&mut self, failure: Failure) -> Result<Duration> {
        let hosts = self.settings.hosts.len();
        self.refusals = if failure.is_final {
            self.refusals + 1
        } else {
            0
        };
        if self.refusals >= hosts {
            return Err(failure.error);
        }
        let mut wait = self.wait();
        if hosts == 1 {
            // Others did not ask for it.
            wait = wait.max(failure.error.wait_before_retry().unwrap_or_default());
        }
        warn!(
            error = failure.error.report(),
            wait_ms = millis(wait),
            "There is no stream; tries again."
        );
        Ok(wait)
    }

    fn wait(&mut self) -> Duration {
        self.backoff.next().unwrap_or(LONGEST)
    }

    /// Connects to a host and reads the connection to its end.
    async fn follow(&mut self, host: &Host) -> End {
        let place = self.intake.place();
        let (cursor, front) = (place.cursor_at(&host.name), place.front());
        let mut connection = match Connection::open(&*self.dial, host, cursor).await {
            Ok(connection) => connection,
            Err(failure) => return End::Failed(failure),
        };
        self.intake.begin(&host.name);
        self.connections.increment(1);
        self.refusals = 0;
        self.tell(host);
        let mut first = true;
        let mut gave = false;
        loop {
            let message = match connection.next().await {
                Ok(message) => message,
                Err(lost) => return End::Lost { gave, lost },
            };
            let taken = self.intake.message(&host.name, message);
            if let Some(time) = taken.time_us {
                self.alive = Some(SystemTime::now());
                if std::mem::take(&mut first) {
                    tell_of_gap(host, cursor, time);
                }
                // Not what only comes again: it would be asked for at once for ever.
                gave = gave || front.is_none_or(|front| time > front);
            }
            if taken.is_end {
                info!(host = host.name, "The time to end has come.");
                return End::Done;
            }
            if let Some(received) = taken.received
                && self.messages.send(Ok(received)).await.is_err()
            {
                return End::Done;
            }
        }
    }

    fn tell(&self, host: &Host) {
        match self.alive {
            Some(alive) => info!(
                host = host.name,
                from = shown(alive),
                to = shown(SystemTime::now()),
                "Connected again; what was posted between comes now."
            ),
            None => info!(host = host.name, "Connected to the stream."),
        }
    }
}

/// Jetstream begins later, and does not say so, where it no longer has what was asked for.
fn tell_of_gap(host: &Host, cursor: Option<i64>, first: i64) {
    if let Some(cursor) = cursor
        && first.saturating_sub(cursor) > GAP
    {
        warn!(
            host = host.name,
            from = moment(cursor),
            to = moment(first),
            "Jetstream has not all that was asked for: posts between may be missing."
        );
    }
}

fn backoff() -> ExponentialBackoff {
    ExponentialBuilder::default()
        .with_min_delay(FIRST)
        .with_max_delay(LONGEST)
        .with_jitter()
        .without_max_times()
        .build()
}

fn moment(time_us: i64) -> String {
    Timestamp::from_microsecond(time_us)
        .map_or_else(|_| "?".to_owned(), |time| format!("{time:.3}"))
}

fn shown(time: SystemTime) -> String {
    Timestamp::try_from(time).map_or_else(|_| "?".to_owned(), |time| format!("{time:.3}"))
}

fn millis(wait: Duration) -> u64 {
    u64::try_from(wait.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_are_doubled_up_to_a_minute_and_no_two_clients_have_the_same() {
        let waits = || backoff().take(8).map(|wait| wait.as_secs_f64());
        for (wait, least) in waits().zip([1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0, 30.0]) {
            assert!(
                (least..=2.0 * least).contains(&wait),
                "{wait} after {least}"
            );
        }
        assert!(!waits().eq(waits()));
    }
}
