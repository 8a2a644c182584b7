//! Publishing in transactions.

use std::time::{Duration, Instant};

use heartbeat_core::{Error, ErrorKind, Result};
use rdkafka::TopicPartitionList;
use rdkafka::config::FromClientConfigAndContext;
use rdkafka::consumer::ConsumerGroupMetadata;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{Producer, ThreadedProducer};
use tracing::{debug, warn};

use crate::client::{Deliveries, Told};
use crate::error::{code, explain, is_fenced};
use crate::settings::Settings;
use crate::wire::Record;

/// The offsets that a transaction moves a group to, and the membership they are moved under.
pub(crate) struct Offsets {
    pub(crate) list: TopicPartitionList,
    pub(crate) group: ConsumerGroupMetadata,
}

/// A producer that publishes in transactions, one at a time. Its calls block.
///
/// It is made when it is first needed, and made anew when it broke. Then what the last one left half done is
/// cleared away first, by the broker that keeps the transactional id's state.
pub(crate) struct Transactions {
    settings: Settings,
    told: Told,
    id: String,
    producer: Option<ThreadedProducer<Deliveries>>,
    /// How long one transaction may take, and how long its end may be waited for.
    timeout: Duration,
    in_doubt: bool,
}

/// What is left to do with a transaction that failed.
enum Rest {
    /// Nothing of it counts: it is to be aborted.
    Abort,
    /// The producer is of no use any more. Nothing of it counts.
    Renew,
    /// The producer is of no use any more, and whether the transaction counts is not known.
    Doubt,
}

impl Transactions {
    pub(crate) fn new(settings: Settings, told: Told, id: String, timeout: Duration) -> Self {
        Self {
            settings,
            told,
            id,
            producer: None,
            timeout,
            in_doubt: false,
        }
    }

    /// Whether the producer has its transactional id to itself, as far as it knows.
    pub(crate) fn is_ready(&self) -> bool {
        self.producer.is_some()
    }

    /// Whether it is not known what became of the last transaction. It is when this has been asked: the broker
    /// has then ended it one way or the other, for everybody to see.
    ///
    /// # Errors
    /// The broker could not be asked: this is to be asked again.
    pub(crate) fn settle(&mut self) -> Result<bool> {
        if self.in_doubt {
            self.ready()?;
            self.in_doubt = false;
            return Ok(true);
        }
        Ok(false)
    }

    /// Makes the producer ready. Whoever published under the same transactional id is fenced off from then on.
    pub(crate) fn ready(&mut self) -> Result<&ThreadedProducer<Deliveries>> {
        let producer = match self.producer.take() {
            Some(producer) => producer,
            None => {
                let config = self.settings.producer(&self.id);
                let deliveries = Deliveries::new(self.told.clone());
                let producer = ThreadedProducer::from_config_and_context(&config, deliveries)
                    .map_err(explain)?;
                let ready = producer.init_transactions(self.timeout).map_err(explain);
                ready.map_err(|error| {
                    self.told
                        .health
                        .explain(error.with("transactional id", &self.id))
                })?;
                debug!(id = self.id, "Publishes in transactions.");
                producer
            }
        };
        Ok(self.producer.insert(producer))
    }

    /// Publishes `records` and moves a group to `offsets`: all of it or nothing.
    ///
    /// # Errors
    /// Nothing counts, unless [`settle`](Self::settle) says that it is not known.
    pub(crate) fn publish(&mut self, records: &[Record], offsets: Option<&Offsets>) -> Result<()> {
        let timeout = self.timeout;
        let producer = self.ready()?;
        let Err((error, rest)) = transact(producer, records, offsets, Instant::now() + timeout)
        else {
            return Ok(());
        };
        match rest {
            Rest::Abort => {
                if let Err(abort) = abort(producer, timeout) {
                    debug!(error = %abort, "The producer is made anew, as it could not abort.");
                    self.producer = None;
                }
            }
            Rest::Renew => self.producer = None,
            Rest::Doubt => {
                self.producer = None;
                self.in_doubt = true;
            }
        }
        Err(self.told.health.explain(error))
    }

    /// Takes another transactional id. What the old one left half done ends by its timeout.
    pub(crate) fn rename(&mut self, id: String) {
        warn!(
            old = self.id,
            new = id,
            "Another process publishes under this one's transactional id, so this one takes another. \
             If both have the same `instance`, give each its own."
        );
        self.producer = None;
        self.id = id;
    }
}

/// Whether an error says that another process took the transactional id.
pub(crate) fn was_fenced(error: &Error) -> bool {
    std::error::Error::source(error)
        .and_then(|cause| cause.downcast_ref::<KafkaError>())
        .and_then(code)
        .is_some_and(is_fenced)
}

fn transact(
    producer: &ThreadedProducer<Deliveries>,
    records: &[Record],
    offsets: Option<&Offsets>,
    until: Instant,
) -> Result<(), (Error, Rest)> {
    let left = || until.saturating_duration_since(Instant::now());
    let deliveries = producer.context();
    deliveries.begin(records.len());
    producer
        .begin_transaction()
        .map_err(|error| (explain(error), Rest::Renew))?;
    for (index, record) in records.iter().enumerate() {
        send(producer, record, index, until)
            .map_err(|error| (refused(error, records, index), Rest::Abort))?;
    }
    if let Some(Offsets { list, group }) = offsets {
        producer
            .send_offsets_to_transaction(list, group, left())
            .map_err(failed)?;
    }
    match deliveries.wait(until) {
        Ok(true) => {}
        Ok(false) => {
            let late = Error::unavailable("messages were not taken in time")
                .with("messages", records.len());
            return Err((late, Rest::Abort));
        }
        Err((index, error)) if code(&error).is_some_and(is_fenced) => {
            return Err((refused(error, records, index), Rest::Renew));
        }
        Err((index, error)) => return Err((refused(error, records, index), Rest::Abort)),
    }
    // librdkafka counts a message until its report is let go of, a moment after that was seen; to commit before would
    // be to wait in rdkafka's own steps of 100 ms.
    while producer.in_flight_count() > 0 && !left().is_zero() {
        std::thread::sleep(Duration::from_micros(20));
    }
    loop {
        match producer.commit_transaction(left()) {
            Ok(()) => return Ok(()),
            Err(KafkaError::Transaction(error)) if error.is_retriable() && !left().is_zero() => {}
            Err(KafkaError::Transaction(error)) if error.txn_requires_abort() => {
                return Err((explain(KafkaError::Transaction(error)), Rest::Abort));
            }
            Err(error) => return Err((explain(error), Rest::Doubt)),
        }
    }
}

/// Hands a record to librdkafka, waiting while its queue is full.
fn send(
    producer: &ThreadedProducer<Deliveries>,
    record: &Record,
    index: usize,
    until: Instant,
) -> Result<(), KafkaError> {
    loop {
        match producer.send(record.to_send(index)) {
            Ok(()) => return Ok(()),
            Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), _))
                if Instant::now() < until =>
            {
                std::thread::sleep(Duration::from_millis(1));
            }
            Err((error, _)) => return Err(error),
        }
    }
}

/// The error of a record that was not taken.
fn refused(error: KafkaError, records: &[Record], index: usize) -> Error {
    let error = explain(error);
    let Some(record) = records.get(index) else {
        return error;
    };
    let error = error.with("topic", &record.topic);
    if error.kind() != ErrorKind::Invalid {
        return error;
    }
    // A broker refuses a whole batch of them: it is for the largest.
    let largest = records
        .iter()
        .enumerate()
        .filter(|(_, other)| other.topic == record.topic)
        .max_by_key(|(_, other)| other.size());
    let (index, bytes) = largest.map_or((index, record.size()), |(index, it)| (index, it.size()));
    error
        .with("bytes", bytes)
        .hint("The topic's `max.message.bytes` is the limit, and `message.max.bytes` in `[bus.properties]` this side's.")
        .at_item(index)
}

fn failed(error: KafkaError) -> (Error, Rest) {
    let rest = match &error {
        KafkaError::Transaction(error) if error.is_fatal() || is_fenced(error.code()) => {
            Rest::Renew
        }
        _ => Rest::Abort,
    };
    (explain(error), rest)
}

fn abort(producer: &ThreadedProducer<Deliveries>, timeout: Duration) -> Result<(), KafkaError> {
    let until = Instant::now() + timeout;
    producer.abort_transaction(timeout)?;
    // No report of it may be taken for one of the next.
    while producer.in_flight_count() > 0 && Instant::now() < until {
        std::thread::sleep(Duration::from_micros(200));
    }
    Ok(())
}
