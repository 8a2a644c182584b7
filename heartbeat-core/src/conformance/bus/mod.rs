//! What every [`Bus`] and [`Subscription`] promises.

mod commit;
mod group;
mod poll;
mod publish;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::{PLENTY, SHORT, id_of, output, unique};
use crate::bus::{Batch, Bus, Subscription};
use crate::message::{Output, Payload, Topic};

pub use commit::*;
pub use group::*;
pub use poll::*;
pub use publish::*;

/// Makes the bus under test.
#[async_trait]
pub trait BusHarness: Sync {
    /// Another handle to the one bus, as another process would have it.
    async fn open(&self) -> Arc<dyn Bus>;

    /// Creates a topic, and the topic of its dead letters.
    async fn create_topic(&self, topic: &Topic, partitions: i32);

    /// How long it takes, at most, until the partitions of a vanished member are another's.
    fn takeover(&self) -> Duration;

    /// A value that the bus refuses to publish, such as one that is too large, if there is any: none
    /// unless told.
    fn refused(&self) -> Option<Payload> {
        None
    }
}

promises! {
    for<'a> (harness: &'a dyn BusHarness);
    messages_come_back_whole,
    one_key_one_partition_one_order,
    another_handle_sees_what_was_published,
    a_closed_handle_leaves_the_others,
    positions_move_with_their_messages,
    a_publish_is_all_or_nothing,
    two_readers_of_one_source_publish_once,
    what_can_never_be_published_is_named,
    publishers_do_not_disturb_each_other,
    an_empty_publish_is_fine,
    a_missing_topic_is_empty_or_refused,
    every_group_reads_everything,
    a_poll_waits_for_the_first_message,
    an_empty_poll_takes_as_long_as_told,
    a_poll_keeps_to_its_limits,
    a_dropped_poll_loses_nothing,
    lag_counts_what_is_not_committed,
    checkpoints_cover_their_messages,
    what_is_not_committed_is_read_again,
    what_is_committed_is_not_read_again,
    a_commit_publishes_with_the_advance,
    a_commit_is_all_or_nothing,
    a_repeated_commit_publishes_once,
    a_vanished_member_is_taken_over,
    a_slow_member_keeps_its_partitions,
    members_share_the_partitions,
    a_commit_of_what_was_lost_publishes_nothing,
    members_come_and_go_and_nothing_is_doubled,
}

/// Every promise, one after the other.
pub async fn all(harness: &dyn BusHarness) {
    for (name, promise) in PROMISES {
        println!("bus: {name}");
        promise(harness).await;
    }
}

async fn topic(harness: &dyn BusHarness, stem: &str, partitions: i32) -> Topic {
    let topic = Topic::new(&unique(stem)).unwrap();
    harness.create_topic(&topic, partitions).await;
    topic
}

async fn publish(bus: &dyn Bus, topic: &Topic, ids: impl IntoIterator<Item = i64>) {
    let outputs: Vec<Output> = ids.into_iter().map(|id| output(topic, id)).collect();
    bus.publish(&outputs, None).await.unwrap();
}

/// How long to wait for messages that are surely there.
pub(super) fn patience(harness: &dyn BusHarness) -> Duration {
    harness.takeover() + Duration::from_secs(10)
}

/// Nothing more comes.
async fn assert_quiet(subscription: &mut dyn Subscription) {
    let batch = subscription.poll(PLENTY, SHORT).await.unwrap();
    assert_eq!(batch.messages, [], "more messages than published");
}

/// How many messages the group has not committed.
async fn total_lag(bus: &dyn Bus, topic: &Topic, group: &str) -> u64 {
    let lag = bus.lag(topic, group).await.unwrap();
    lag.iter().map(|partition| partition.messages).sum()
}

/// The messages of a batch on their way to another topic.
fn copies(batch: &Batch, to: &Topic) -> Vec<Output> {
    let copy = |envelope| Output {
        topic: to.clone(),
        envelope,
    };
    let envelopes = batch.messages.iter().map(|it| it.envelope.clone());
    envelopes.map(copy).collect()
}

/// Tweets 0 to `keys`, round by round: what [`rounds`] makes out again.
fn round_outputs(topic: &Topic, keys: i64, rounds: std::ops::Range<u8>) -> Vec<Output> {
    rounds
        .flat_map(|round| {
            (0..keys).map(move |id| {
                let mut output = output(topic, id);
                output.envelope.headers.push("round", vec![round]);
                output
            })
        })
        .collect()
}

/// The rounds of each tweet, in the order they came.
fn rounds(batch: &Batch) -> BTreeMap<i64, Vec<u8>> {
    let mut rounds: BTreeMap<i64, Vec<u8>> = BTreeMap::new();
    for message in &batch.messages {
        let round = message.envelope.headers.get("round").unwrap();
        rounds.entry(id_of(message)).or_default().push(round[0]);
    }
    rounds
}
