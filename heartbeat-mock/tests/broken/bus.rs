//! Sins of a bus.

use std::num::NonZeroU16;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use heartbeat_core::conformance::bus::{BusHarness, PROMISES};
use heartbeat_core::{
    Bus, Error, Headers, Max, Output, PartitionLag, Payload, Position, Progress, Result,
    Subscription, Topic,
};
use heartbeat_mock::MemoryBus;
use tokio::task::yield_now;

use crate::subscription::BrokenSubscription;

sins! {
    ForgetsHeaders => messages_come_back_whole;
    GivesNoReason => messages_come_back_whole;
    /// Or any other unit than milliseconds.
    TellsTimeInMicroseconds => messages_come_back_whole;
    SpreadsOneKey => one_key_one_partition_one_order;
    ReversesOneCall => one_key_one_partition_one_order;
    KeepsToItsHandle => another_handle_sees_what_was_published;
    ClosesForAll => a_closed_handle_leaves_the_others;
    ForgetsPositions => positions_move_with_their_messages;
    MovesOnlyWithMessages => positions_move_with_their_messages;
    PublishesOneByOne => a_publish_is_all_or_nothing;
    MovesThenPublishes => a_publish_is_all_or_nothing;
    PublishesThenMoves => a_publish_is_all_or_nothing;
    PublishesAgain => two_readers_of_one_source_publish_once;
    MovesFromAnywhere => two_readers_of_one_source_publish_once;
    NamesNoItem => what_can_never_be_published_is_named;
    PublishesTheRest => what_can_never_be_published_is_named;
    MovesOnWithoutTheRefused => what_can_never_be_published_is_named;
    DropsWhileBusy => publishers_do_not_disturb_each_other;
    RefusesNothing => an_empty_publish_is_fine;
    CountsMissingTopics => a_missing_topic_is_empty_or_refused;
    HasOneGroup => every_group_reads_everything;
    BeginsAtTheEnd => every_group_reads_everything;
    NeverWaits => a_poll_waits_for_the_first_message, an_empty_poll_takes_as_long_as_told;
    SleepsItOut => a_poll_waits_for_the_first_message;
    IgnoresMaxMessages => a_poll_keeps_to_its_limits;
    IgnoresMaxBytes => a_poll_keeps_to_its_limits;
    /// Keys and headers do not count.
    CountsOnlyValues => a_poll_keeps_to_its_limits;
    SkipsTheLarge => a_poll_keeps_to_its_limits;
    LosesDroppedPolls => a_dropped_poll_loses_nothing;
    CommitsWhatItPolls => lag_counts_what_is_not_committed, what_is_not_committed_is_read_again;
    SumsLagUp => lag_counts_what_is_not_committed;
    LeavesOutLagsOfZero => lag_counts_what_is_not_committed;
    SpansReachTooFar => checkpoints_cover_their_messages;
    SpansFallShort => checkpoints_cover_their_messages;
    StaysWhenClosed => what_is_not_committed_is_read_again;
    CommitsAllItPolled => what_is_committed_is_not_read_again;
    ForgetsTheAdvance => what_is_committed_is_not_read_again, a_commit_publishes_with_the_advance;
    ForgetsTheOutputs => a_commit_publishes_with_the_advance;
    PublishesThenAdvances => a_commit_is_all_or_nothing;
    AdvancesThenPublishes => a_commit_is_all_or_nothing;
    PublishesRepeats => a_repeated_commit_publishes_once;
    RefusesRepeats => a_repeated_commit_publishes_once;
    KeepsTheVanished => a_vanished_member_is_taken_over;
    ThrowsOutWhoWorks => a_slow_member_keeps_its_partitions;
    GivesTheFirstAll => members_share_the_partitions;
    GivesEachAll => members_share_the_partitions;
    HidesTheLoss => a_commit_of_what_was_lost_publishes_nothing;
    DoesNotGoBack => a_commit_of_what_was_lost_publishes_nothing;
    PublishesWhatWasLost =>
        a_commit_of_what_was_lost_publishes_nothing, members_come_and_go_and_nothing_is_doubled;
}

#[tokio::test(start_paused = true)]
async fn sins_of_a_bus_are_found() {
    crate::assert_found(SINS, PROMISES, |sin, promise| async move {
        promise(&BrokenBus::new(sin)).await;
    })
    .await;
}

pub(crate) const ALL: Max = Max {
    messages: usize::MAX,
    bytes: usize::MAX,
};

/// What even the bus without sin refuses.
const REFUSED: &[u8] = b"too large";

/// A [`MemoryBus`] with one sin, and its own harness.
#[derive(Debug, Clone)]
pub(crate) struct BrokenBus {
    pub(crate) inner: MemoryBus,
    pub(crate) sin: Option<Sin>,
    pub(crate) shared: Arc<Shared>,
}

#[derive(Debug, Default)]
pub(crate) struct Shared {
    busy: AtomicBool,
    closed: AtomicBool,
    /// The group of each that ever joined one.
    members: Mutex<Vec<String>>,
    /// Members that nobody reads with any more, and that own their partitions all the same.
    pub(crate) undead: Mutex<Vec<Box<dyn Subscription>>>,
}

impl BrokenBus {
    fn new(sin: Option<Sin>) -> Self {
        Self {
            inner: MemoryBus::default(),
            sin,
            shared: Arc::default(),
        }
    }

    pub(crate) fn has(&self, sin: Sin) -> bool {
        self.sin == Some(sin)
    }

    /// Fails when one of the outputs is refused.
    pub(crate) async fn refuse(&self, outputs: &[Output]) -> Result<()> {
        let refused = |output: &Output| match &output.envelope.payload {
            Payload::Raw { bytes, .. } => bytes == REFUSED,
            _ => false,
        };
        let Some(index) = outputs.iter().position(refused) else {
            return Ok(());
        };
        if self.has(Sin::PublishesTheRest) {
            self.inner.publish(&outputs[..index], None).await?;
        }
        let error = Error::invalid("too large");
        Err(if self.has(Sin::NamesNoItem) {
            error
        } else {
            error.at_item(index)
        })
    }

    /// What a new member reads in which group, and whether it is the first one there.
    fn assign(&self, topic: &Topic, group: &str) -> Result<(Topic, String, bool)> {
        let mut members = self.shared.members.lock().expect("nobody panics with it");
        let first = !members.iter().any(|it| it == group);
        members.push(group.to_owned());
        let group = match self.sin {
            Some(Sin::HasOneGroup) => "everyone".to_owned(),
            Some(Sin::GivesEachAll) => format!("{group}-{}", members.len()),
            _ => group.to_owned(),
        };
        let topic = match self.sin {
            Some(Sin::GivesTheFirstAll) if !first => Topic::new("silence")?,
            _ => topic.clone(),
        };
        Ok((topic, group, first))
    }

    async fn is_at(&self, progress: Option<&Progress>) -> Result<bool> {
        Ok(match progress {
            Some(progress) => self.position(&progress.source).await?.as_ref() == Some(&progress.to),
            None => false,
        })
    }
}

#[async_trait]
impl Bus for BrokenBus {
    async fn publish(&self, outputs: &[Output], mut progress: Option<Progress>) -> Result<()> {
        self.refuse(outputs).await?;
        let mut outputs = outputs.to_vec();
        match self.sin {
            Some(Sin::ForgetsHeaders) => {
                for output in &mut outputs {
                    output.envelope.headers = Headers::default();
                }
            }
            Some(Sin::ReversesOneCall) => outputs.reverse(),
            Some(Sin::ForgetsPositions) => progress = None,
            Some(Sin::MovesOnlyWithMessages) if outputs.is_empty() => return Ok(()),
            Some(Sin::RefusesNothing) if outputs.is_empty() => {
                return Err(Error::invalid("nothing to publish"));
            }
            Some(Sin::PublishesOneByOne) => {
                for output in outputs.drain(..) {
                    self.inner.publish(&[output], None).await?;
                    yield_now().await;
                }
            }
            Some(Sin::MovesThenPublishes) if !self.is_at(progress.as_ref()).await? => {
                self.inner.publish(&[], progress.take()).await?;
                yield_now().await;
            }
            Some(Sin::PublishesThenMoves) if !self.is_at(progress.as_ref()).await? => {
                self.inner.publish(&outputs, None).await?;
                outputs.clear();
                yield_now().await;
            }
            Some(Sin::PublishesAgain) if self.is_at(progress.as_ref()).await? => progress = None,
            Some(Sin::MovesFromAnywhere) => {
                if let Some(progress) = &mut progress {
                    progress.from = self.position(&progress.source).await?;
                }
            }
            Some(Sin::ClosesForAll) if self.shared.closed.load(Ordering::Relaxed) => {
                return Err(Error::unavailable("closed"));
            }
            Some(Sin::DropsWhileBusy) => {
                if self.shared.busy.swap(true, Ordering::Relaxed) {
                    return Ok(());
                }
                yield_now().await;
                self.shared.busy.store(false, Ordering::Relaxed);
            }
            _ => {}
        }
        self.inner.publish(&outputs, progress).await
    }

    async fn position(&self, source: &str) -> Result<Option<Position>> {
        self.inner.position(source).await
    }

    async fn subscribe(&self, topic: &Topic, group: &str) -> Result<Box<dyn Subscription>> {
        let (topic, group, first) = self.assign(topic, group)?;
        let mut member = self.inner.subscribe(&topic, &group).await?;
        if self.has(Sin::BeginsAtTheEnd) && first {
            let missed = member.poll(ALL, Duration::ZERO).await?;
            member.commit(&missed.checkpoint, &[]).await?;
        }
        Ok(Box::new(BrokenSubscription::new(self.clone(), member)))
    }

    async fn lag(&self, topic: &Topic, group: &str) -> Result<Vec<PartitionLag>> {
        let mut lag = self.inner.lag(topic, group).await?;
        let none = PartitionLag {
            partition: 0,
            messages: 0,
        };
        match self.sin {
            Some(Sin::CountsMissingTopics) if lag.is_empty() => lag.push(none),
            Some(Sin::LeavesOutLagsOfZero) => lag.retain(|it| it.messages > 0),
            Some(Sin::SumsLagUp) => {
                let messages = lag.iter().map(|it| it.messages).sum();
                lag = vec![PartitionLag { messages, ..none }];
            }
            _ => {}
        }
        Ok(lag)
    }

    async fn close(&self) -> Result<()> {
        self.shared.closed.store(true, Ordering::Relaxed);
        self.inner.close().await
    }
}

#[async_trait]
impl BusHarness for BrokenBus {
    async fn open(&self) -> Arc<dyn Bus> {
        Arc::new(match self.sin {
            Some(Sin::KeepsToItsHandle) => Self::new(self.sin),
            _ => self.clone(),
        })
    }

    async fn create_topic(&self, topic: &Topic, partitions: i32) {
        let partitions = u16::try_from(partitions).ok().and_then(NonZeroU16::new);
        let partitions = partitions.expect("a number of partitions");
        for topic in [topic, &topic.dead_letters()] {
            let created = self.inner.create_topic(topic, partitions);
            created.expect("a new topic");
        }
    }

    fn takeover(&self) -> Duration {
        Duration::from_secs(1)
    }

    fn refused(&self) -> Option<Payload> {
        Some(Payload::Raw {
            bytes: Bytes::from_static(REFUSED),
            reason: String::new(),
        })
    }
}
