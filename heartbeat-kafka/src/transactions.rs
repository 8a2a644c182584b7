//! Publishing in transactions.

use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use heartbeat_core::{Error, ErrorKind, Result, Topic};
use rdkafka::TopicPartitionList;
use rdkafka::config::FromClientConfigAndContext;
use rdkafka::consumer::ConsumerGroupMetadata;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseRecord, Producer, ThreadedProducer};
use tracing::{debug, warn};

use crate::client::{Deliveries, Told};
use crate::error::{code, explain, is_fenced};
use crate::records::Records;
use crate::settings::Settings;
use crate::shared::random;
use crate::worker::spawn;

/// How often to look whether messages have been taken.
const TICK: Duration = Duration::from_micros(100);

/// How much longer than it was told librdkafka may take before it is given up.
const MARGIN: Duration = Duration::from_millis(500);

/// The offsets that a transaction moves a group to, and the membership they are moved under.
pub(crate) struct Offsets {
    pub(crate) list: TopicPartitionList,
    pub(crate) group: ConsumerGroupMetadata,
}

/// Publishes in transactions, one at a time. Its calls block.
///
/// A broker tells that a transaction is committed a moment before its producer may begin another, so one that commits
/// often has several producers, each with a transactional id of its own, which take turns.
///
/// They are made when they are first needed, and one whose transaction failed is made anew. Then what it left half done is
/// cleared away first, by the broker that keeps the transactional id's state.
pub(crate) struct Transactions {
    settings: Settings,
    told: Told,
    /// What the transactional ids begin with.
    id: String,
    lanes: Vec<Option<Transactor>>,
    /// The one whose turn it is.
    turn: usize,
    /// How long one transaction may take, and how long its end may be waited for.
    timeout: Duration,
    in_doubt: bool,
}

type Transactor = Arc<ThreadedProducer<Deliveries>>;

/// What is left to do with a transaction that failed.
enum Rest {
    /// Nothing of it counts: it is to be aborted.
    Abort,
    /// Nothing of it counts, and the producer is of no use any more.
    Nothing,
    /// Whether it counts is not known.
    Doubt,
}

impl Transactions {
    /// With so many producers, at least one.
    pub(crate) fn new(
        settings: Settings,
        told: Told,
        id: String,
        lanes: usize,
        timeout: Duration,
    ) -> Self {
        Self {
            settings,
            told,
            id,
            lanes: (0..lanes).map(|_| None).collect(),
            turn: 0,
            timeout,
            in_doubt: false,
        }
    }

    /// Finds out what became of the last transaction when that is not known: whether `is_there` finds it, once the broker
    /// has ended it one way or the other, for everybody to see. `false` when it is known.
    ///
    /// # Errors
    /// That could not be found out: this is to be asked again.
    pub(crate) fn settle(&mut self, is_there: impl FnOnce() -> Result<bool>) -> Result<bool> {
        if !self.in_doubt {
            return Ok(false);
        }
        self.make_ready()?;
        let is_there = is_there()?;
        self.in_doubt = false;
        Ok(is_there)
    }

    /// Makes the producers ready. Whoever published under the same transactional ids is fenced off from then on.
    pub(crate) fn make_ready(&mut self) -> Result<()> {
        for (number, lane) in self.lanes.iter_mut().enumerate() {
            if lane.is_some() {
                continue;
            }
            let id = format!("{}.{number}", self.id);
            let deliveries = Deliveries::new(self.told.clone());
            let config = self.settings.producer(&id);
            let producer = ThreadedProducer::from_config_and_context(&config, deliveries);
            let producer = producer.map_err(explain)?;
            if let Err(error) = producer.init_transactions(self.timeout) {
                let error = explain(error).with("transactional id", &id);
                return Err(self.told.health.explain(error));
            }
            debug!(id, "Publishes in transactions.");
            *lane = Some(Arc::new(producer));
        }
        Ok(())
    }

    /// Publishes `records` and moves a group to `offsets`: all of it or nothing.
    ///
    /// # Errors
    /// Nothing counts, unless [`settle`](Self::settle) says that it is not known.
    pub(crate) fn publish(&mut self, records: &Records, offsets: Option<Offsets>) -> Result<()> {
        self.make_ready()?;
        let lanes = self.lanes.len();
        let lane = &mut self.lanes[self.turn];
        let Some(producer) = lane.as_ref() else {
            return Err(Error::internal("a producer that is ready is not there"));
        };
        let until = Instant::now() + self.timeout;
        let Err((error, rest)) = transact(producer, records, offsets, until) else {
            self.turn = (self.turn + 1) % lanes;
            return Ok(());
        };
        match rest {
            Rest::Abort => {
                // So that others need not wait for its end. It comes in any case when the id is taken again.
                if let Err(error) = producer.abort_transaction(self.timeout) {
                    debug!(%error, "Could not abort.");
                }
            }
            Rest::Nothing => {}
            Rest::Doubt => self.in_doubt = true,
        }
        // Even when it could be aborted. What was on its way then is given up on this side, but a broker may have taken it,
        // and would drop without a word what comes later under the same numbers. Messages were lost while producers were used again.
        *lane = None;
        Err(self.told.health.explain(error))
    }

    /// Takes another transactional id. What the old one left half done ends by its timeout.
    pub(crate) fn rename(&mut self) {
        let id = format!("{}.{:016x}", self.id, random());
        warn!(
            old = self.id,
            new = id,
            "Another process publishes under this one's transactional id, so this one takes another. \
             If both have the same `instance`, give each its own."
        );
        self.lanes.fill_with(|| None);
        self.turn = 0;
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
    producer: &Transactor,
    records: &Records,
    offsets: Option<Offsets>,
    until: Instant,
) -> Result<(), (Error, Rest)> {
    let left = || until.saturating_duration_since(Instant::now());
    producer
        .begin_transaction()
        .map_err(|error| (explain(error), Rest::Nothing))?;
    // Both at the same time: neither is of any account before the end.
    let moving = match offsets {
        Some(offsets) => Some(move_group(producer, offsets, left())?),
        None => None,
    };
    let sent = records
        .to_send()
        .enumerate()
        .try_for_each(|(index, record)| {
            send(producer, record, until).map_err(|error| (error, index))
        });
    // Nothing else may be asked of the producer meanwhile.
    let moved = match moving {
        Some(moving) => moving.recv_timeout(left() + MARGIN).map_err(|_| {
            let late = Error::unavailable("offsets were not taken in time");
            (late, Rest::Nothing)
        })?,
        None => Ok(()),
    };
    sent.map_err(|(error, index)| {
        let told = reason(producer, &error, records);
        let told = told.unwrap_or_else(|| refused(error, records, index));
        (told, Rest::Abort)
    })?;
    moved.map_err(|error| match reason(producer, &error, records) {
        Some(told) => (told, Rest::Abort),
        None => failed(error),
    })?;
    // Not by librdkafka's flush, which rdkafka asks in steps of 100 ms.
    while producer.in_flight_count() > 0 && !left().is_zero() {
        thread::sleep(TICK);
    }
    if let Some((index, error)) = producer.context().failure() {
        if let Some(told) = reason(producer, &error, records) {
            return Err((told, Rest::Abort));
        }
        let fenced = code(&error).is_some_and(is_fenced);
        let rest = if fenced { Rest::Nothing } else { Rest::Abort };
        return Err((refused(error, records, index), rest));
    }
    if producer.in_flight_count() > 0 {
        let late =
            Error::unavailable("messages were not taken in time").with("messages", records.len());
        return Err((late, Rest::Abort));
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

/// Moves a group within the transaction; gives what its answer comes by.
///
/// On a thread of its own: when the group's coordinator has died while this producer had nothing to do, librdkafka waits
/// for that broker without end, whatever it was told. The producer is then left to that thread, and another is made.
fn move_group(
    producer: &Transactor,
    offsets: Offsets,
    timeout: Duration,
) -> Result<mpsc::Receiver<Result<(), KafkaError>>, (Error, Rest)> {
    let (answer, answered) = mpsc::channel();
    let its = producer.clone();
    spawn(move || {
        let Offsets { list, group } = offsets;
        // When nobody waits for it any more, nobody misses it.
        let _ = answer.send(its.send_offsets_to_transaction(&list, &group, timeout));
    })
    .map_err(|error| (error, Rest::Abort))?;
    Ok(answered)
}

/// Hands a record to librdkafka, waiting while its queue is full.
fn send(
    producer: &Transactor,
    mut record: BaseRecord<'_, [u8], [u8], usize>,
    until: Instant,
) -> Result<(), KafkaError> {
    loop {
        record = match producer.send(record) {
            Ok(()) => return Ok(()),
            Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), record))
                if Instant::now() < until =>
            {
                record
            }
            Err((error, _)) => return Err(error),
        };
        thread::sleep(TICK);
    }
}

/// Why a transaction failed, when an error merely says that it did: its records are taken back then, nothing more is
/// taken, and what happened is told to whoever begins another, which is never begun inside this one.
fn reason(producer: &Transactor, error: &KafkaError, records: &Records) -> Option<Error> {
    use RDKafkaErrorCode::{PurgeInflight, PurgeQueue, State};
    if !matches!(code(error), Some(PurgeInflight | PurgeQueue | State)) {
        return None;
    }
    let reason = producer.begin_transaction().err()?;
    if code(&reason) == Some(State) {
        return None;
    }
    // It is not told which of the records it was.
    let topics: Vec<&str> = records.topics().iter().map(Topic::as_str).collect();
    Some(explain(reason).with("topic", topics.join(", ")))
}

/// The error of a record that was not taken.
fn refused(error: KafkaError, records: &Records, index: usize) -> Error {
    let error = explain(error);
    let Some((topic, largest, bytes)) = records.largest_beside(index) else {
        return error;
    };
    let error = error.with("topic", topic);
    if error.kind() != ErrorKind::Invalid {
        return error;
    }
    // A broker refuses a whole batch of them: it is for the largest.
    error
        .with("bytes", bytes)
        .hint("The topic's `max.message.bytes` is the limit, and `message.max.bytes` in `[bus.properties]` this side's.")
        .at_item(largest)
}

fn failed(error: KafkaError) -> (Error, Rest) {
    let rest = match &error {
        KafkaError::Transaction(error) if error.is_fatal() || is_fenced(error.code()) => {
            Rest::Nothing
        }
        _ => Rest::Abort,
    };
    (explain(error), rest)
}
