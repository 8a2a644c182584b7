//! A consumer in a group, and the thread that keeps it there.

use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use heartbeat_core::{Error, Result, Topic};
use rdkafka::config::{FromClientConfigAndContext, RDKafkaLogLevel};
use rdkafka::consumer::{
    BaseConsumer, Consumer, ConsumerContext, ConsumerGroupMetadata, Rebalance,
};
use rdkafka::error::KafkaError;
use rdkafka::statistics::Statistics;
use rdkafka::topic_partition_list::TopicPartitionListElem;
use rdkafka::{ClientConfig, ClientContext};
use tokio::sync::oneshot;

use crate::assignment::Assignment;
use crate::client::Told;
use crate::error::explain;
use crate::fetched::{Fetched, Pieces};
use crate::statistics;
use crate::trouble::Trouble;
use crate::worker::spawn;

/// How long the thread waits for the next event; how soon it sees that it is to end.
const TICK: Duration = Duration::from_millis(50);

/// A member of a group. Its thread polls for as long as this lives, so that the group keeps it however long its
/// owner works; then it leaves.
#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) assignment: Arc<Assignment>,
    consumer: Weak<BaseConsumer<MemberContext>>,
    ended: oneshot::Receiver<()>,
}

/// Passes on what librdkafka gives and takes.
pub(crate) struct MemberContext {
    told: Told,
    assignment: Arc<Assignment>,
    /// The consumer whose context this is.
    consumer: OnceLock<Weak<BaseConsumer<Self>>>,
}

impl Member {
    /// Joins; partitions come when the group has shared them out.
    pub(crate) fn join(
        config: &ClientConfig,
        told: Told,
        topic: &Topic,
        assignment: Assignment,
    ) -> Result<Self> {
        let assignment = Arc::new(assignment);
        let context = MemberContext {
            told,
            assignment: assignment.clone(),
            consumer: OnceLock::new(),
        };
        let consumer = BaseConsumer::from_config_and_context(config, context).map_err(explain)?;
        let consumer = Arc::new(consumer);
        let weak = Arc::downgrade(&consumer);
        // Set once: it was made a moment ago.
        let _ = consumer.context().consumer.set(weak.clone());
        consumer.subscribe(&[topic.as_str()]).map_err(explain)?;
        let (end, ended) = oneshot::channel();
        let keeping = assignment.clone();
        spawn(move || {
            keep(consumer, &keeping);
            // Nobody may wait for it.
            let _ = end.send(());
        })?;
        Ok(Self {
            assignment,
            consumer: weak,
            ended,
        })
    }

    /// The consumer, for as long as the member is in the group.
    pub(crate) fn consumer(&self) -> Weak<BaseConsumer<MemberContext>> {
        self.consumer.clone()
    }

    /// Leaves the group, so that its partitions are free at once.
    pub(crate) async fn leave(mut self) {
        self.assignment.leave();
        // Without an answer it has ended, too.
        let _ = (&mut self.ended).await;
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        self.assignment.leave();
    }
}

/// The membership that offsets are committed under, as it is now.
pub(crate) fn membership(
    consumer: &Weak<BaseConsumer<MemberContext>>,
) -> Result<(Arc<BaseConsumer<MemberContext>>, ConsumerGroupMetadata)> {
    let consumer = consumer.upgrade();
    consumer
        .and_then(|consumer| {
            let group = consumer.group_metadata()?;
            Some((consumer, group))
        })
        .ok_or_else(|| Error::rebalanced("the member has left its group"))
}

fn keep(consumer: Arc<BaseConsumer<MemberContext>>, assignment: &Assignment) {
    let mut pieces = Pieces::new();
    while !assignment.is_leaving() {
        match consumer.poll(TICK) {
            None => {}
            Some(Ok(message)) => assignment.stray(Fetched::copy(&message, &mut pieces)),
            Some(Err(error)) => {
                if let Some(trouble) = Trouble::of(error) {
                    assignment.failed(trouble);
                }
            }
        }
    }
    // They hold the consumer, which leaves the group when it is dropped: here, as that blocks.
    assignment.clear();
    drop(consumer);
}

impl ClientContext for MemberContext {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, line: &str) {
        self.told.log(level, facility, line);
    }

    fn error(&self, error: KafkaError, words: &str) {
        self.told.error(error, words);
    }

    fn stats(&self, statistics: Statistics) {
        statistics::tell_lag(&self.told.client, &statistics, &self.assignment);
        self.told.stats(statistics);
    }
}

impl ConsumerContext for MemberContext {
    fn pre_rebalance(&self, consumer: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        match rebalance {
            Rebalance::Assign(partitions) => {
                // None while the consumer is dropped.
                let Some(consumer) = self.consumer.get().and_then(Weak::upgrade) else {
                    return;
                };
                let queues = partitions.elements().into_iter().filter_map(|element| {
                    let number = element.partition();
                    let mut queue = consumer.split_partition_queue(element.topic(), number)?;
                    let assignment = self.assignment.clone();
                    queue.set_nonempty_callback(move || assignment.arrived.notify_waiters());
                    Some((number, queue))
                });
                self.assignment.assigned(queues);
            }
            Rebalance::Revoke(partitions) => {
                let elements = partitions.elements();
                let numbers: Vec<i32> = elements
                    .iter()
                    .map(TopicPartitionListElem::partition)
                    .collect();
                self.assignment
                    .revoked(&numbers, consumer.assignment_lost());
            }
            Rebalance::Error(error) => {
                if let Some(trouble) = Trouble::of(error.clone()) {
                    self.assignment.failed(trouble);
                }
            }
        }
    }
}
