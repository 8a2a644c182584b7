//! Reading a topic of dead letters.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use backon::{BackoffBuilder, ExponentialBuilder};
use heartbeat::backend;
use heartbeat::config::BusConfig;
use heartbeat_core::{Batch, Bus, Error, Max, Message, PartitionLag, Result, Subscription, Topic};
use tracing::warn;

/// The group whose offsets tell which dead letters are done with.
pub(super) const GROUP: &str = "heartbeat-dead-letters";

const MAX: Max = Max {
    messages: 500,
    bytes: 4 << 20,
};

/// How long one poll waits.
const WAIT: Duration = Duration::from_millis(200);

/// How long to wait for dead letters that another member of the group holds: longer than a killed one
/// keeps them.
const PATIENCE: Duration = Duration::from_secs(15);

/// After so many empty polls a partition that was nearly read to its end has no more.
const DRY: u32 = 5;

/// For each partition the offset behind its last dead letter.
pub(super) type Ends = BTreeMap<i32, i64>;

/// Opens a bus with the dead letters of `topics`.
///
/// # Errors
/// One is missing, on a bus that makes none by itself.
pub(super) async fn open(config: BusConfig, topics: &[Topic]) -> Result<Arc<dyn Bus>> {
    #[cfg(feature = "kafka")]
    if matches!(config, BusConfig::Kafka(_)) {
        let bus = backend::open_bus(config).await?;
        for topic in topics {
            if lag(bus.as_ref(), topic).await?.is_empty() {
                return Err(heartbeat::kafka::missing_topic(topic));
            }
        }
        return Ok(bus);
    }
    #[cfg(not(feature = "kafka"))]
    let _ = topics;
    backend::open_bus(config).await
}

async fn lag(bus: &dyn Bus, topic: &Topic) -> Result<Vec<PartitionLag>> {
    patiently("read the lag", async || bus.lag(topic, GROUP).await).await
}

/// Shows `each` the dead letters there are now, until it breaks off. The group passes none of them.
pub(super) async fn scan(
    bus: &dyn Bus,
    topic: &Topic,
    mut each: impl FnMut(&Message) -> Result<ControlFlow<()>>,
) -> Result<Ends> {
    let mut ends = Ends::new();
    let mut unseen = Unseen::new(&lag(bus, topic).await?);
    // Nothing to read, and perhaps no such topic.
    if unseen.is_empty() {
        return Ok(ends);
    }
    let mut reader = Reader::open(bus, topic).await?;
    let result = async {
        while !unseen.is_empty() {
            let Some(batch) = reader
                .next(|polls| polls >= DRY && unseen.may_be_empty())
                .await?
            else {
                break;
            };
            for message in &batch.messages {
                if each(message)?.is_break() {
                    return Ok(());
                }
            }
            unseen.remove(&batch);
            for (partition, span) in batch.checkpoint.spans {
                ends.insert(partition, span.end);
            }
        }
        Ok(())
    }
    .await;
    reader.close().await;
    result.map(|()| ends)
}

/// How much of each partition is to be read.
#[derive(Debug, PartialEq, Eq)]
struct Unseen(BTreeMap<i32, Left>);

/// How much is left of a partition. Kafka puts marks of its own between messages. Of a long way to go, they are counted
/// as messages: so many messages may never come, but as many offsets at least will be passed.
#[derive(Debug, PartialEq, Eq)]
struct Left {
    messages: i64,
    offsets: i64,
}

impl Unseen {
    fn new(lag: &[PartitionLag]) -> Self {
        let behind = lag.iter().filter(|partition| partition.messages > 0);
        let left = behind.map(|lag| {
            let messages = lag.messages.try_into().unwrap_or(i64::MAX);
            let offsets = messages;
            (lag.partition, Left { messages, offsets })
        });
        Self(left.collect())
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether what is left may be no messages at all.
    fn may_be_empty(&self) -> bool {
        self.0.values().all(|left| left.offsets <= 0)
    }

    fn remove(&mut self, batch: &Batch) {
        for message in &batch.messages {
            if let Some(left) = self.0.get_mut(&message.partition) {
                left.messages -= 1;
            }
        }
        for (partition, span) in &batch.checkpoint.spans {
            if let Some(left) = self.0.get_mut(partition) {
                left.offsets -= span.end - span.start;
            }
        }
        self.0.retain(|_, left| left.messages > 0);
    }
}

/// A member of the group that expects something to read.
pub(super) struct Reader<'a> {
    topic: &'a Topic,
    subscription: Box<dyn Subscription>,
}

impl<'a> Reader<'a> {
    pub(super) async fn open(bus: &dyn Bus, topic: &'a Topic) -> Result<Self> {
        let subscription =
            patiently("subscribe", async || bus.subscribe(topic, GROUP).await).await?;
        Ok(Self {
            topic,
            subscription,
        })
    }

    /// The next batch, which is not empty. `None` when, after some empty polls, `is_over` says so.
    pub(super) async fn next(&mut self, is_over: impl Fn(u32) -> bool) -> Result<Option<Batch>> {
        let begun = Instant::now();
        let mut polls = 0;
        while begun.elapsed() < PATIENCE {
            let batch = patiently("poll", async || self.subscription.poll(MAX, WAIT).await).await?;
            if !batch.is_empty() {
                return Ok(Some(batch));
            }
            polls += 1;
            if is_over(polls) {
                return Ok(None);
            }
        }
        Err(
            Error::unavailable("some of the dead letters are with another reader")
                .with("topic", self.topic)
                .with("group", GROUP)
                .hint("Wait until the other `heartbeat dead-letters` has ended."),
        )
    }

    pub(super) fn subscription(&mut self) -> &mut dyn Subscription {
        self.subscription.as_mut()
    }

    /// Leaves the group. A failure costs the next reader a wait, no more.
    pub(super) async fn close(self) {
        if let Err(error) = self.subscription.close().await {
            warn!(error = error.report(), "Could not leave the group.");
        }
    }
}

/// Tries a few times, as somebody waits for the answer.
pub(super) async fn patiently<T>(
    what: &str,
    mut operation: impl AsyncFnMut() -> Result<T>,
) -> Result<T> {
    let mut waits = ExponentialBuilder::default()
        .with_jitter()
        .with_min_delay(Duration::from_millis(200))
        .with_max_times(5)
        .build();
    loop {
        let error = match operation().await {
            Err(error) if error.is_retryable() => error,
            done => return done,
        };
        let Some(wait) = waits.next() else {
            return Err(error);
        };
        let wait = wait.max(error.wait_before_retry().unwrap_or_default());
        warn!(what, error = error.report(), ?wait, "Trying again.");
        tokio::time::sleep(wait).await;
    }
}

#[cfg(test)]
mod tests {
    use heartbeat_core::{Checkpoint, Envelope, Payload};

    use super::*;

    /// Messages of partition 0 at these offsets.
    fn batch(offsets: &[i64], end: i64) -> Batch {
        let message = |offset: &i64| Message {
            topic: Topic::new("ingest.dead").unwrap(),
            partition: 0,
            offset: *offset,
            timestamp: 0,
            envelope: Envelope::new(Default::default(), Payload::Tombstone),
        };
        Batch {
            messages: offsets.iter().map(message).collect(),
            checkpoint: Checkpoint {
                spans: BTreeMap::from([(0, offsets[0]..end)]),
                generation: 0,
            },
        }
    }

    fn unseen(messages: u64) -> Unseen {
        Unseen::new(&[0, 1].map(|partition| PartitionLag {
            partition,
            messages: if partition == 0 { messages } else { 0 },
        }))
    }

    #[test]
    fn messages_are_counted_and_gaps_are_not() {
        let mut unseen = unseen(3);
        unseen.remove(&batch(&[0, 2], 3));
        assert!(!unseen.is_empty());
        assert!(unseen.may_be_empty());
        unseen.remove(&batch(&[4], 5));
        assert!(unseen.is_empty());
    }

    #[test]
    fn a_partition_that_another_reader_holds_is_not_over() {
        let mut unseen = unseen(4);
        unseen.remove(&batch(&[0, 1], 2));
        assert!(!unseen.may_be_empty());
    }
}
