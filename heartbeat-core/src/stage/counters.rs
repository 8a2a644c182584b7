//! What a stage has done so far.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use metrics::{Counter, Gauge, Histogram, counter, gauge, histogram};

use crate::stage::Stage;

/// Counts what a stage does, for whoever watches it while it runs, and tells the same to `metrics`:
///
/// | metric | kind | what |
/// |---|---|---|
/// | `heartbeat_read_total` | counter | messages or posts read |
/// | `heartbeat_written_total` | counter | messages published or points stored |
/// | `heartbeat_dead_letters_total` | counter | dead letters published |
/// | `heartbeat_retries_total` | counter | failures that were tried again |
/// | `heartbeat_rebalances_total` | counter | commits lost to another member |
/// | `heartbeat_in_flight` | gauge | messages read and not yet committed |
/// | `heartbeat_batch_seconds` | histogram | from the read of a batch to its commit |
///
/// Each has the label `stage`.
#[derive(Debug)]
pub struct Counters {
    read: Tally,
    written: Tally,
    dead_letters: Tally,
    retries: Tally,
    rebalances: Tally,
    in_flight: Gauge,
    batch_seconds: Histogram,
}

#[derive(Debug)]
struct Tally {
    count: AtomicU64,
    metric: Counter,
}

impl Tally {
    fn new(metric: Counter) -> Self {
        Self {
            count: AtomicU64::new(0),
            metric,
        }
    }

    fn add(&self, n: usize) {
        let n = n as u64;
        self.count.fetch_add(n, Relaxed);
        self.metric.increment(n);
    }

    fn get(&self) -> u64 {
        self.count.load(Relaxed)
    }
}

/// What a stage did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Summary {
    /// Messages or posts read, redelivered ones again.
    pub read: u64,
    /// Messages published or points stored; dead letters are not among them.
    pub written: u64,
    /// Dead letters published.
    pub dead_letters: u64,
    /// Failures that were tried again.
    pub retries: u64,
    /// Batches given up because another member took over.
    pub rebalances: u64,
}

impl Counters {
    /// Counters at zero, for one stage.
    #[must_use]
    pub fn new(stage: Stage) -> Self {
        let stage = stage.as_str();
        Self {
            read: Tally::new(counter!("heartbeat_read_total", "stage" => stage)),
            written: Tally::new(counter!("heartbeat_written_total", "stage" => stage)),
            dead_letters: Tally::new(counter!("heartbeat_dead_letters_total", "stage" => stage)),
            retries: Tally::new(counter!("heartbeat_retries_total", "stage" => stage)),
            rebalances: Tally::new(counter!("heartbeat_rebalances_total", "stage" => stage)),
            in_flight: gauge!("heartbeat_in_flight", "stage" => stage),
            batch_seconds: histogram!("heartbeat_batch_seconds", "stage" => stage),
        }
    }

    /// What was done so far.
    #[must_use]
    pub fn summary(&self) -> Summary {
        Summary {
            read: self.read.get(),
            written: self.written.get(),
            dead_letters: self.dead_letters.get(),
            retries: self.retries.get(),
            rebalances: self.rebalances.get(),
        }
    }

    pub(crate) fn read(&self, messages: usize) {
        self.read.add(messages);
    }

    pub(crate) fn committed(&self, written: usize, dead_letters: usize, seconds: f64) {
        self.written.add(written);
        self.dead_letters.add(dead_letters);
        self.batch_seconds.record(seconds);
    }

    pub(crate) fn retried(&self) {
        self.retries.add(1);
    }

    pub(crate) fn rebalanced(&self) {
        self.rebalances.add(1);
    }

    #[expect(
        clippy::cast_precision_loss,
        reason = "a gauge is a float; in-flight counts are small"
    )]
    pub(crate) fn in_flight(&self, messages: usize) {
        self.in_flight.set(messages as f64);
    }
}
