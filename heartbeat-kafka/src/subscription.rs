//! One member of a group, as heartbeat sees it.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::sync::{Arc, Weak};
use std::time::Duration;

use async_trait::async_trait;
use heartbeat_core::{
    Batch, Checkpoint, Error, ErrorKind, Max, Output, Result, Subscription, Topic,
};
use rdkafka::consumer::{BaseConsumer, Consumer};
use tokio::pin;
use tokio::sync::oneshot;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, timeout};
use tracing::warn;

use crate::assignment::{Assignment, Standing, Taken};
use crate::error::explain;
use crate::list;
use crate::member::{Member, MemberContext, membership};
use crate::records::Records;
use crate::registry::{Parsed, WriterSchema};
use crate::shared::{Shared, Slot};
use crate::transactions::{Offsets, Transactions, was_fenced};
use crate::trouble::Trouble;
use crate::worker::Worker;

/// One commit begins while the broker still writes down the last.
const LANES: usize = 2;

/// A member and the producer that its commits go through.
#[derive(Debug)]
pub(crate) struct KafkaSubscription {
    shared: Arc<Shared>,
    topic: Topic,
    group: String,
    member: Member,
    transactions: Worker<Transactions>,
    /// How many times all batches polled before became void.
    generation: u64,
    /// The most that any poll was to bring.
    most: Max,
    slot: Slot,
}

impl KafkaSubscription {
    pub(crate) async fn join(shared: Arc<Shared>, topic: Topic, group: String) -> Result<Self> {
        let member = join(&shared, &topic, &group).await?;
        let slot = shared.slot(&group);
        let id = shared.transactional_id(&format!("{group}.{}", slot.number));
        let transactions = shared.transactions(&group, id, LANES);
        let transactions = Worker::start(move || transactions)?;
        Ok(Self {
            shared,
            topic,
            group,
            member,
            transactions,
            generation: 0,
            most: Max {
                messages: 0,
                bytes: 0,
            },
            slot,
        })
    }

    /// What stands in the way of going on, dealt with or told.
    async fn deal_with(&mut self, trouble: Trouble) -> Result<()> {
        match trouble {
            Trouble::Told(error) => Err(self.named(error)),
            Trouble::Missing => self.shared.partitions(&self.topic).await.map(drop),
            Trouble::Broken(error) => {
                warn!(
                    error = error.report(),
                    group = self.group,
                    "Joins the group anew."
                );
                self.generation += 1;
                self.member = join(&self.shared, &self.topic, &self.group).await?;
                Ok(())
            }
        }
    }

    /// Everything in hand is void: goes back to what is committed.
    async fn start_over(&mut self) -> Result<()> {
        self.generation += 1;
        let back = self.member.assignment.start_over();
        if back.is_empty() {
            return Ok(());
        }
        let (consumer, topic) = (self.member.consumer(), self.topic.clone());
        let patience = self.shared.config.request_timeout;
        let sought = self
            .transactions
            .run(move |_| seek(&consumer, &topic, &back, patience))
            .await;
        if let Err(error) = sought {
            self.member.assignment.failed(Trouble::Broken(error));
        }
        Ok(())
    }

    fn named(&self, error: Error) -> Error {
        error.with("topic", &self.topic).with("group", &self.group)
    }
}

async fn join(shared: &Arc<Shared>, topic: &Topic, group: &str) -> Result<Member> {
    let partitions = shared.partitions(topic).await?.len();
    let config = shared.settings.member(group, partitions);
    let told = shared.told(group);
    let assignment = Assignment::new(topic.clone(), shared.config.handover);
    Member::join(&config, told, topic, assignment)
}

fn seek(
    consumer: &Weak<BaseConsumer<MemberContext>>,
    topic: &Topic,
    back: &BTreeMap<i32, i64>,
    patience: Duration,
) -> Result<()> {
    let Some(consumer) = consumer.upgrade() else {
        return Ok(());
    };
    let list = list::at(
        topic,
        back.iter().map(|(partition, offset)| (*partition, *offset)),
    )?;
    let sought = consumer.seek_partitions(list, patience).map_err(explain)?;
    for element in sought.elements() {
        element.error().map_err(explain)?;
    }
    Ok(())
}

#[async_trait]
impl Subscription for KafkaSubscription {
    async fn poll(&mut self, max: Max, wait: Duration) -> Result<Batch> {
        let until = Instant::now() + wait;
        self.most = Max {
            messages: max.messages.max(self.most.messages),
            bytes: max.bytes.max(self.most.bytes),
        };
        // Those that the registry does not have are not remembered beyond this poll.
        let mut found: HashMap<WriterSchema, Parsed> = HashMap::new();
        loop {
            if let Some(trouble) = self.member.assignment.trouble() {
                self.deal_with(trouble).await?;
            }
            // Listens before it looks, so that nothing is missed in between.
            let assignment = self.member.assignment.clone();
            let arrived = assignment.arrived.notified();
            pin!(arrived);
            arrived.as_mut().enable();

            let registry = &self.shared.registry;
            let known = |writer: &WriterSchema| {
                found
                    .get(writer)
                    .cloned()
                    .or_else(|| registry.cached(writer))
            };
            match assignment.take(max, &known) {
                Taken::Unknown(writers) => {
                    for writer in writers {
                        let schema = registry.schema(&writer).await?;
                        found.insert(writer, schema);
                    }
                    continue;
                }
                Taken::Batch(messages, spans) => {
                    if !messages.is_empty() || Instant::now() >= until {
                        return Ok(Batch {
                            messages,
                            checkpoint: Checkpoint {
                                spans,
                                generation: self.generation,
                            },
                        });
                    }
                }
            }
            let left = until.saturating_duration_since(Instant::now());
            // Woken or not, it looks again.
            let _ = timeout(left, arrived).await;
        }
    }

    async fn commit(&mut self, checkpoint: &Checkpoint, outputs: &[Output]) -> Result<()> {
        if checkpoint.generation != self.generation {
            // So is what was polled since, for the caller.
            self.start_over().await?;
            return Err(self.named(Error::rebalanced(
                "the batch is void: an earlier one was turned down",
            )));
        }
        let records = self.shared.records(outputs).await?;
        let commit = Commit {
            records,
            spans: checkpoint.spans.clone(),
            topic: self.topic.clone(),
            assignment: self.member.assignment.clone(),
            consumer: self.member.consumer(),
            patience: self.shared.config.request_timeout,
        };
        let (begin, begun) = oneshot::channel();
        let commit = self
            .transactions
            .run(move |transactions| commit.run(transactions, begin));
        // While the brokers write, the next batch is copied out of librdkafka. Not before: the commit looks at what is in
        // hand first.
        let (assignment, most) = (self.member.assignment.clone(), self.most);
        let next = async move {
            if begun.await.is_ok() {
                // That it is not fetched yet does no harm.
                let _ = spawn_blocking(move || assignment.fetch(most)).await;
            }
        };
        let (committed, ()) = tokio::join!(commit, next);
        match committed {
            Err(error) if error.kind() == ErrorKind::Rebalanced => {
                self.start_over().await?;
                Err(self.named(error))
            }
            Err(error) if error.kind() == ErrorKind::Misconfigured => {
                Err(error.with("group", &self.group))
            }
            committed => committed,
        }
    }

    async fn close(self: Box<Self>) -> Result<()> {
        let Self {
            member,
            transactions,
            slot,
            ..
        } = *self;
        tokio::join!(member.leave(), transactions.close());
        drop(slot);
        Ok(())
    }
}

/// A commit on its way.
struct Commit {
    records: Records,
    spans: BTreeMap<i32, Range<i64>>,
    topic: Topic,
    assignment: Arc<Assignment>,
    consumer: Weak<BaseConsumer<MemberContext>>,
    patience: Duration,
}

impl Commit {
    /// Tells `begin` when it has come to where it only waits for the brokers.
    fn run(self, transactions: &mut Transactions, begin: oneshot::Sender<()>) -> Result<()> {
        // Before the look at who owns what: should a partition go to another member behind that, the broker does not
        // take offsets under this membership any more.
        let (consumer, group) = membership(&self.consumer)?;
        if consumer.assignment_lost() {
            // Without a membership, any offsets are taken.
            return Err(Error::rebalanced("the member was put out of its group"));
        }
        let ends = self
            .spans
            .iter()
            .map(|(partition, span)| (*partition, span.end));
        let list = list::at(&self.topic, ends)?;
        match self.assignment.standing(&self.spans) {
            Standing::Next => {}
            Standing::Done => return Ok(()),
            Standing::Void(partition) => {
                return Err(Error::rebalanced(
                    "the batch is void: its partitions went to another member",
                )
                .with("partition", partition));
            }
            Standing::OutOfTurn => {
                return Err(Error::internal(
                    "checkpoints are committed in the order of their polls",
                ));
            }
        }
        if transactions.settle(|| self.is_committed(&consumer))? {
            self.assignment.advance(&self.spans);
            return Ok(());
        }
        drop(consumer);
        // Nobody waits for it when the call was dropped.
        let _ = begin.send(());
        let published = transactions.publish(&self.records, Some(Offsets { list, group }));
        match published {
            Ok(()) => self.assignment.advance(&self.spans),
            Err(ref error) if was_fenced(error) => transactions.rename(),
            Err(_) => {}
        }
        published
    }

    /// Whether the group stands behind the spans already.
    fn is_committed(&self, consumer: &BaseConsumer<MemberContext>) -> Result<bool> {
        let asked = list::of(&self.topic, self.spans.keys().copied());
        let told = consumer
            .committed_offsets(asked, self.patience)
            .map_err(explain)?;
        let committed = list::offsets(&told)?;
        // All of them moved or none did.
        Ok(self.spans.iter().all(|(partition, span)| {
            committed
                .get(partition)
                .is_some_and(|offset| *offset >= span.end)
        }))
    }
}
