//! The contexts of Kafka clients: where what librdkafka tells goes.

use std::sync::{Arc, Mutex};

use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{DeliveryResult, ProducerContext};
use rdkafka::statistics::Statistics;
use tracing::{debug, trace, warn};

use crate::error;
use crate::health::{Health, clear, plain};
use crate::shared::lock;
use crate::statistics;

/// What all clients of a bus share: log lines become events, complaints are kept, statistics become metrics.
#[derive(Debug, Clone)]
pub(crate) struct Told {
    pub(crate) health: Arc<Health>,
    /// What the client is for, such as a group's name.
    pub(crate) client: Arc<str>,
}

/// The context of a client that only asks, or that only reads. The others' contexts pass on to it.
impl ClientContext for Told {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, line: &str) {
        let (client, line) = (&*self.client, plain(line));
        // To the library it is not always an error when a connection ends, but it may be why a call got no answer.
        if facility == "FAIL" {
            self.health
                .note(RDKafkaErrorCode::BrokerTransportFailure, line);
        }
        match level {
            // It goes on trying whatever it complains about; what fails for good fails a call.
            _ if facility == "CONFWARN" => trace!(client, facility, "{line}"),
            // Each is a part of the reason for a line that follows.
            _ if facility == "SSL" => debug!(client, facility, "{line}"),
            RDKafkaLogLevel::Emerg
            | RDKafkaLogLevel::Alert
            | RDKafkaLogLevel::Critical
            | RDKafkaLogLevel::Error
            | RDKafkaLogLevel::Warning => warn!(client, facility, "{}", clear(line)),
            RDKafkaLogLevel::Notice | RDKafkaLogLevel::Info => debug!(client, facility, "{line}"),
            RDKafkaLogLevel::Debug => trace!(client, facility, "{line}"),
        }
    }

    fn error(&self, error: KafkaError, words: &str) {
        match error::code(&error) {
            // Nothing is wrong.
            Some(RDKafkaErrorCode::PartitionEOF) | None => {}
            Some(code) => {
                statistics::count_error(&self.client, code);
                self.health.note(code, words);
            }
        }
    }

    fn stats(&self, statistics: Statistics) {
        statistics::tell(&self.client, &statistics);
    }
}

impl rdkafka::consumer::ConsumerContext for Told {}

/// The context of a producer: keeps the first message that was not taken. librdkafka reports no others.
#[derive(Debug)]
pub(crate) struct Deliveries {
    told: Told,
    /// Which one of the transaction it is, and why.
    failed: Mutex<Option<(usize, KafkaError)>>,
}

impl Deliveries {
    pub(crate) fn new(told: Told) -> Self {
        Self {
            told,
            failed: Mutex::default(),
        }
    }

    /// The first message that was not taken.
    pub(crate) fn failure(&self) -> Option<(usize, KafkaError)> {
        lock(&self.failed).take()
    }
}

impl ClientContext for Deliveries {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, line: &str) {
        self.told.log(level, facility, line);
    }

    fn error(&self, error: KafkaError, words: &str) {
        self.told.error(error, words);
    }

    fn stats(&self, statistics: Statistics) {
        self.told.stats(statistics);
    }
}

impl ProducerContext for Deliveries {
    /// Which message of the transaction it is.
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, index: usize) {
        if let Err((error, _)) = result {
            lock(&self.failed).get_or_insert_with(|| (index, error.clone()));
        }
    }
}
