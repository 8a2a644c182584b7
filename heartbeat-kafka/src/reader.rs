//! A consumer that belongs to no group: it looks at topics and at what groups have committed.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use heartbeat_core::{Error, ErrorKind, Result, Topic};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Message};

use crate::client::Told;
use crate::error::{code, explain};
use crate::list;

/// How often to look whether an open transaction has ended.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// How long open transactions are waited for before a lag is told.
const OPEN: Duration = Duration::from_secs(1);

/// Reads committed messages. Its calls block.
pub(crate) struct Reader {
    consumer: BaseConsumer<Told>,
    /// How long one call may take.
    patience: Duration,
}

impl Reader {
    pub(crate) fn new(consumer: BaseConsumer<Told>, patience: Duration) -> Self {
        Self { consumer, patience }
    }

    /// What the consumer's group has committed of these partitions.
    pub(crate) fn committed(
        &self,
        topic: &Topic,
        partitions: &[i32],
    ) -> Result<BTreeMap<i32, i64>> {
        let asked = list::of(topic, partitions.iter().copied());
        let until = Instant::now() + self.patience;
        let told = loop {
            let told = self
                .consumer
                .committed_offsets(asked.clone(), self.patience / 3);
            let error = match told {
                Ok(told) => break told,
                // What the group's coordinator refuses is told elsewhere, and the call merely runs out of time.
                Err(error) => self.refusal().unwrap_or_else(|| explain(error)),
            };
            if !error.is_retryable() || Instant::now() >= until {
                return Err(error);
            }
            std::thread::sleep(LOOK_EVERY);
        };
        list::offsets(&told)
    }

    /// What a person must act on, of what the consumer was told of late.
    fn refusal(&self) -> Option<Error> {
        let told = std::iter::from_fn(|| self.consumer.poll(Duration::ZERO));
        let mut errors = told.filter_map(Result::err).map(explain);
        errors.find(|error| error.kind() == ErrorKind::Misconfigured)
    }

    /// The first offset there is and the one behind the last committed message.
    pub(crate) fn ends(&self, topic: &Topic, partition: i32) -> Result<(i64, i64)> {
        self.consumer
            .fetch_watermarks(topic.as_str(), partition, self.patience)
            .map_err(explain)
    }

    /// As [`ends`](Self::ends), once all transactions before `written` have ended, or at `until`.
    pub(crate) fn stable_end(
        &self,
        topic: &Topic,
        partition: i32,
        written: i64,
        until: Instant,
    ) -> Result<(i64, i64)> {
        loop {
            let (first, stable) = self.ends(topic, partition)?;
            if stable >= written || Instant::now() >= until {
                return Ok((first, stable));
            }
            std::thread::sleep(LOOK_EVERY);
        }
    }

    /// Shows `each` the messages of partitions from these offsets on, until all ends are reached or it breaks off.
    pub(crate) fn scan(
        &self,
        topic: &Topic,
        from: &BTreeMap<i32, i64>,
        each: impl FnMut(&BorrowedMessage<'_>) -> ControlFlow<()>,
    ) -> Result<()> {
        if from.is_empty() {
            return Ok(());
        }
        let offsets = from.iter().map(|(partition, offset)| (*partition, *offset));
        let assignment = list::at(topic, offsets)?;
        self.consumer.assign(&assignment).map_err(explain)?;
        let scanned = self.read(from.len(), each);
        let unassigned = self.consumer.unassign().map_err(explain);
        scanned
            .and(unassigned)
            .map_err(|error| error.with("topic", topic))
    }

    fn read(
        &self,
        mut open: usize,
        mut each: impl FnMut(&BorrowedMessage<'_>) -> ControlFlow<()>,
    ) -> Result<()> {
        let mut quiet_since = Instant::now();
        while open > 0 {
            match self.consumer.poll(Duration::from_millis(100)) {
                Some(Ok(message)) => {
                    quiet_since = Instant::now();
                    if each(&message).is_break() {
                        return Ok(());
                    }
                }
                Some(Err(KafkaError::PartitionEOF(_))) => open -= 1,
                Some(Err(error)) if is_passing(&error) => {}
                Some(Err(error)) => return Err(explain(error)),
                None if quiet_since.elapsed() > self.patience => {
                    return Err(Error::unavailable("Kafka did not answer in time"));
                }
                None => {}
            }
        }
        Ok(())
    }
}

/// Whether librdkafka goes on by itself.
fn is_passing(error: &KafkaError) -> bool {
    use RDKafkaErrorCode::{AllBrokersDown, BrokerTransportFailure, Resolve};
    matches!(
        code(error),
        Some(AllBrokersDown | BrokerTransportFailure | Resolve)
    )
}

/// How many messages lie behind what the reader's group has committed, by partition: the exact number up to about
/// `most`, above that what offsets tell, transactions' own marks among them.
///
/// `written` is the offset behind the last message of each partition, committed or not. A transaction is there for its
/// writer a moment before it is for readers, so what is still open is waited for, and counted if it stays so.
pub(crate) fn lag(
    reader: &Reader,
    topic: &Topic,
    written: &BTreeMap<i32, i64>,
    most: u64,
) -> Result<BTreeMap<i32, u64>> {
    let partitions: Vec<i32> = written.keys().copied().collect();
    let committed = reader.committed(topic, &partitions)?;
    let until = Instant::now() + OPEN;
    let mut lag: BTreeMap<i32, u64> = partitions.iter().map(|it| (*it, 0)).collect();
    let mut add = |partition, messages: i64| {
        *lag.entry(partition).or_default() += u64::try_from(messages).unwrap_or(0);
    };
    let mut from = BTreeMap::new();
    let mut ends = BTreeMap::new();
    for (partition, written) in written {
        let (first, stable) = reader.stable_end(topic, *partition, *written, until)?;
        let at = committed
            .get(partition)
            .copied()
            .unwrap_or(first)
            .max(first);
        let end = stable.min(*written);
        add(*partition, written - end);
        if at < end {
            from.insert(*partition, at);
            ends.insert(*partition, end);
        }
    }
    let mut counted = 0;
    let mut reached = from.clone();
    reader.scan(topic, &from, |message| {
        let partition = message.partition();
        // What lies behind the ends was published after they were asked for.
        if ends
            .get(&partition)
            .is_some_and(|end| message.offset() < *end)
        {
            add(partition, 1);
            reached.insert(partition, message.offset() + 1);
            counted += 1;
        }
        if counted < most {
            ControlFlow::Continue(())
        } else {
            ControlFlow::Break(())
        }
    })?;
    if counted >= most {
        for (partition, end) in ends {
            add(
                partition,
                end - reached.get(&partition).copied().unwrap_or(end),
            );
        }
    }
    Ok(lag)
}
