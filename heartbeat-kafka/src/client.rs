//! The contexts of Kafka clients: where what librdkafka tells goes.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Instant;

use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{DeliveryResult, ProducerContext};
use rdkafka::statistics::Statistics;
use tracing::{debug, trace, warn};

use crate::error;
use crate::health::{Health, plain};
use crate::statistics;

/// What all clients of a bus share: log lines become events, complaints are kept, statistics become metrics.
#[derive(Debug, Clone)]
pub(crate) struct Told {
    pub(crate) health: Arc<Health>,
    /// What the client is for, such as a group's name.
    pub(crate) client: Arc<str>,
}

impl Told {
    pub(crate) fn log_line(&self, level: RDKafkaLogLevel, facility: &str, line: &str) {
        let (client, line) = (&*self.client, plain(line));
        match level {
            // It goes on trying whatever it complains about; what fails for good fails a call.
            _ if facility == "CONFWARN" => trace!(client, facility, "{line}"),
            RDKafkaLogLevel::Emerg
            | RDKafkaLogLevel::Alert
            | RDKafkaLogLevel::Critical
            | RDKafkaLogLevel::Error
            | RDKafkaLogLevel::Warning => warn!(client, facility, "{line}"),
            RDKafkaLogLevel::Notice | RDKafkaLogLevel::Info => debug!(client, facility, "{line}"),
            RDKafkaLogLevel::Debug => trace!(client, facility, "{line}"),
        }
    }

    pub(crate) fn complaint(&self, error: &KafkaError, words: &str) {
        match error::code(error) {
            // Nothing is wrong.
            Some(RDKafkaErrorCode::PartitionEOF) | None => {}
            Some(code) => {
                statistics::count_error(&self.client, code);
                self.health.note(code, words);
            }
        }
    }
}

/// The context of a client that only asks, or that only reads.
impl ClientContext for Told {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, line: &str) {
        self.log_line(level, facility, line);
    }

    fn error(&self, error: KafkaError, words: &str) {
        self.complaint(&error, words);
    }

    fn stats(&self, statistics: Statistics) {
        statistics::tell(&self.client, &statistics);
    }
}

impl rdkafka::consumer::ConsumerContext for Told {}

/// The context of a producer: counts what is on its way.
#[derive(Debug)]
pub(crate) struct Deliveries {
    told: Told,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    on_the_way: usize,
    /// The first message that was not taken: which one of the transaction, and why.
    failed: Option<(usize, KafkaError)>,
}

impl Deliveries {
    pub(crate) fn new(told: Told) -> Self {
        Self {
            told,
            state: Mutex::default(),
            changed: Condvar::new(),
        }
    }

    /// A transaction of so many messages begins.
    pub(crate) fn begin(&self, messages: usize) {
        *self.lock() = State {
            on_the_way: messages,
            failed: None,
        };
    }

    /// Waits until all have arrived, or one has failed; `false` when time is up.
    ///
    /// # Errors
    /// A message was not taken: which one, and why.
    pub(crate) fn wait(&self, until: Instant) -> Result<bool, (usize, KafkaError)> {
        let mut state = self.lock();
        loop {
            if let Some((index, error)) = &state.failed {
                return Err((*index, error.clone()));
            }
            if state.on_the_way == 0 {
                return Ok(true);
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(false);
            }
            let waited = self.changed.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ClientContext for Deliveries {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, line: &str) {
        self.told.log_line(level, facility, line);
    }

    fn error(&self, error: KafkaError, words: &str) {
        self.told.complaint(&error, words);
    }

    fn stats(&self, statistics: Statistics) {
        statistics::tell(&self.told.client, &statistics);
    }
}

impl ProducerContext for Deliveries {
    /// Which message of the transaction it is.
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, index: usize) {
        let mut state = self.lock();
        state.on_the_way = state.on_the_way.saturating_sub(1);
        if let Err((error, _)) = result
            && state.failed.is_none()
        {
            state.failed = Some((index, error.clone()));
        }
        if state.on_the_way == 0 || state.failed.is_some() {
            self.changed.notify_all();
        }
    }
}
