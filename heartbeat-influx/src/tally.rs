//! Numbers that a store tells of itself and to `metrics`.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use metrics::{Counter, counter};

/// How often something has happened.
#[derive(Debug)]
pub(crate) struct Tally {
    count: AtomicU64,
    metric: Counter,
}

impl Tally {
    pub(crate) fn new(metric: &'static str) -> Self {
        Self {
            count: AtomicU64::new(0),
            metric: counter!(metric),
        }
    }

    pub(crate) fn add(&self, times: u64) {
        self.count.fetch_add(times, Relaxed);
        self.metric.increment(times);
    }

    pub(crate) fn get(&self) -> u64 {
        self.count.load(Relaxed)
    }
}
