//! The contract of what carries messages from stage to stage.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::time::Duration;

use async_trait::async_trait;

use crate::error::Result;
use crate::message::{Message, Output, Topic};
use crate::source::Position;

/// Topics of messages, read by groups of consumers: Kafka's model.
///
/// A topic has partitions; a message goes to the partition its key decides, so that messages of
/// one key stay in order. An empty key is none: such messages may go to any partition. Every group
/// reads every message once; the partitions are shared out among the group's members, each to one
/// member at a time. A group that is new to a topic begins at its first message.
#[cfg_attr(feature = "mocks", mockall::automock)]
#[async_trait]
pub trait Bus: fmt::Debug + Send + Sync + 'static {
    /// Publishes `outputs`, and with them how far their source has come.
    ///
    /// All of it or nothing becomes visible, and it is durable when this returns `Ok`.
    /// Outputs of one key keep their order.
    ///
    /// With `progress` nothing is ever published twice: when the source is at [`Progress::to`] already, the
    /// outputs were published before (the same posts lie between two positions) and this is `Ok` without
    /// doing anything; when it is neither there nor at [`Progress::from`], nothing is published.
    ///
    /// # Errors
    /// [`ErrorKind::Rebalanced`](crate::ErrorKind::Rebalanced) when the source is elsewhere: another process
    /// reads it too. [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) when one of the outputs can never be
    /// published (it is too large, say): [`Error::item`](crate::Error::item) tells which.
    /// [`ErrorKind::Unavailable`](crate::ErrorKind::Unavailable) when the same call may be made again.
    async fn publish(&self, outputs: &[Output], progress: Option<Progress>) -> Result<()>;

    /// Where the source of that name was with the last [`publish`](Self::publish) that told;
    /// `None` when there was none.
    async fn position(&self, source: &str) -> Result<Option<Position>>;

    /// Joins `group` as a new member that reads `topic`.
    ///
    /// # Errors
    /// [`ErrorKind::Misconfigured`](crate::ErrorKind::Misconfigured) when the topic is missing and the bus
    /// does not create topics by itself.
    async fn subscribe(&self, topic: &Topic, group: &str) -> Result<Box<dyn Subscription>>;

    /// How far `group` is behind in each partition of `topic`, whoever reads it; in partition order.
    ///
    /// All lags are 0 exactly when the group has committed every message there is. A topic
    /// that does not exist yet has no partitions.
    async fn lag(&self, topic: &Topic, group: &str) -> Result<Vec<PartitionLag>>;

    /// Lets go of what this handle holds: files, connections, threads. The last call; other handles go on.
    ///
    /// What was published or committed is durable already. A handle that is dropped without is tidied up later.
    async fn close(&self) -> Result<()>;
}

/// One member of a consumer group, reading one topic.
///
/// What is not committed is read again: after [`close`](Self::close), after the member is dropped or its
/// process killed, its partitions go to the other members, who begin at the committed offsets.
#[cfg_attr(feature = "mocks", mockall::automock)]
#[async_trait]
pub trait Subscription: fmt::Debug + Send + 'static {
    /// The messages behind the last ones polled: what is there now, at least one if there is any,
    /// within `max`; or, when nothing comes for as long as `wait`, an empty batch.
    ///
    /// Messages of one partition come in order and without gaps. Messages that cannot be read come as
    /// [`Payload::Raw`](crate::Payload::Raw). Dropping the call loses nothing: the next poll gives the same messages.
    async fn poll(&mut self, max: Max, wait: Duration) -> Result<Batch>;

    /// Publishes `outputs` and moves the group past `checkpoint`, in one atomic step, durable when this
    /// returns `Ok`. Checkpoints are committed in the order of their polls; one without a span, of a batch that
    /// is [empty](Batch::is_empty), is not to be committed at all.
    ///
    /// To be awaited to its end. After [`ErrorKind::Unavailable`](crate::ErrorKind::Unavailable) the same
    /// call may be made again; nothing is then published twice.
    ///
    /// # Errors
    /// [`ErrorKind::Rebalanced`](crate::ErrorKind::Rebalanced) when a partition of the checkpoint is no longer this
    /// member's. Nothing was published, and the member has gone back to the committed offsets of what it
    /// still owns: batches polled before are void and are polled again.
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) as in [`Bus::publish`]: nothing was published, and the
    /// checkpoint may be committed with other outputs.
    async fn commit(&mut self, checkpoint: &Checkpoint, outputs: &[Output]) -> Result<()>;

    /// Leaves the group, so that its partitions are free at once.
    async fn close(self: Box<Self>) -> Result<()>;
}

/// The most that one poll may bring.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Max {
    /// Messages, at least 1.
    pub messages: usize,
    /// Bytes of keys, values and headers. A single message may be larger.
    pub bytes: usize,
}

/// What one poll brought.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Batch {
    /// The messages: each partition's in order, the partitions in any order.
    pub messages: Vec<Message>,
    /// What to commit when they are done.
    pub checkpoint: Checkpoint,
}

impl Batch {
    /// Whether it brings nothing to do or to commit.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.messages.is_empty() && self.checkpoint.spans.is_empty()
    }

    /// Adds the batch of the next poll, so that both are committed in one. Takes its place when that was polled under
    /// another assignment of partitions: then this one is void.
    pub fn append(&mut self, next: Self) {
        if self.checkpoint.generation != next.checkpoint.generation {
            *self = next;
            return;
        }
        self.messages.extend(next.messages);
        for (partition, span) in next.checkpoint.spans {
            self.checkpoint
                .spans
                .entry(partition)
                .and_modify(|whole| whole.end = span.end)
                .or_insert(span);
        }
    }
}

/// The offsets a batch covers: what [`Subscription::commit`] moves the group past.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Checkpoint {
    /// For each partition the first offset covered and the one behind the last. The first is the
    /// group's committed offset by the time this checkpoint's turn has come.
    pub spans: BTreeMap<i32, Range<i64>>,
    /// Which assignment of partitions it was polled under; the bus gives it its meaning.
    pub generation: u64,
}

/// How far a source has come with what is published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    /// The source's [name](crate::Source::name).
    pub source: String,
    /// Where it was before, as the bus knows it.
    pub from: Option<Position>,
    /// Where it is behind the last of the outputs.
    pub to: Position,
}

/// How far a group is behind in one partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PartitionLag {
    /// The partition.
    pub partition: i32,
    /// How many messages the group has not committed.
    pub messages: u64,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::{Envelope, Message, Payload};

    fn batch(offset: i64, generation: u64) -> Batch {
        Batch {
            messages: vec![Message {
                topic: Topic::known("t"),
                partition: 0,
                offset,
                timestamp: 0,
                envelope: Envelope::new(Vec::new().into(), Payload::Tombstone),
            }],
            checkpoint: Checkpoint {
                spans: BTreeMap::from([(0, offset..offset + 1)]),
                generation,
            },
        }
    }

    fn offsets(batch: &Batch) -> Vec<i64> {
        batch.messages.iter().map(|it| it.offset).collect()
    }

    #[test]
    fn batches_in_a_row_are_one() {
        let mut whole = batch(7, 1);
        whole.append(batch(8, 1));
        assert_eq!(offsets(&whole), [7, 8]);
        assert_eq!(whole.checkpoint.spans[&0], 7..9);
    }

    #[test]
    fn what_was_polled_under_another_assignment_is_void() {
        let mut whole = batch(7, 1);
        whole.append(batch(5, 2));
        assert_eq!(whole, batch(5, 2));
    }
}
