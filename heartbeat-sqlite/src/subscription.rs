//! One member of a group.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use heartbeat_core::{
    Batch, Checkpoint, Error, ErrorKind, Max, Message, Output, Result, Subscription, Topic,
};
use rusqlite::Connection;
use tokio::pin;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::task::AbortOnDropHandle;
use tracing::warn;

use crate::bus::Shared;
use crate::error::Failure;
use crate::group::{self, Member};
use crate::log::Reader;

/// How often a waiting poll looks for what other processes have published.
const LOOK_EVERY: Duration = Duration::from_millis(25);

/// How many times a lease is renewed before it would run out.
const RENEWALS: u32 = 3;

/// A member and where it is in its partitions.
#[derive(Debug)]
pub(crate) struct SqliteSubscription {
    shared: Arc<Shared>,
    member: Member,
    /// For each partition the offset behind what was polled last. Where there is none, or the
    /// group is further, reading goes on at the committed offset. An entry outlives the loss of
    /// its partition: whether what was polled still counts is found out when it is committed.
    polled: BTreeMap<i32, i64>,
    /// The partition that the last batch ended with: the next one begins behind it.
    last: i32,
    /// How many times a commit was turned down, and all batches polled before were void.
    generation: u64,
    heartbeat: AbortOnDropHandle<()>,
}

impl SqliteSubscription {
    pub(crate) async fn join(shared: Arc<Shared>, topic: Topic, group: String) -> Result<Self> {
        let (partitions, lease) = (shared.config.partitions, shared.config.lease);
        let member = shared
            .database
            .writer
            .run(move |connection| group::join(connection, &topic, partitions, &group, lease))
            .await?;
        let heartbeat = tokio::spawn(keep_alive(shared.clone(), member.clone()));
        Ok(Self {
            shared,
            member,
            polled: BTreeMap::new(),
            last: -1,
            generation: 0,
            heartbeat: AbortOnDropHandle::new(heartbeat),
        })
    }

    /// What is there now; `None` when partitions are to change hands first.
    async fn look(&self, max: Max) -> Result<Option<Vec<Message>>> {
        let shared = self.shared.clone();
        let member = self.member.clone();
        let polled = self.polled.clone();
        let last = self.last;
        self.shared
            .database
            .reader
            .run(move |connection| {
                let plan = member.plan(connection, &polled)?;
                if plan.is_unsettled() {
                    return Ok(None);
                }
                let mut cursors: Vec<(i32, i64)> = plan
                    .read
                    .into_iter()
                    .map(|(partition, committed)| {
                        let polled = polled.get(&partition).copied();
                        (partition, committed.max(polled.unwrap_or(committed)))
                    })
                    .collect();
                let behind = cursors.partition_point(|&(partition, _)| partition <= last);
                cursors.rotate_left(behind);
                read(connection, &shared, &member, cursors, max).map(Some)
            })
            .await
    }

    async fn settle(&self) -> Result<()> {
        let member = self.member.clone();
        let polled = self.polled.clone();
        self.shared
            .database
            .writer
            .run(move |connection| member.settle(connection, &polled))
            .await
    }

    /// Everything polled is void: goes back to what is committed.
    fn start_over(&mut self) {
        self.polled.clear();
        self.generation += 1;
    }

    /// Makes a batch of messages and moves behind them.
    fn advance(&mut self, messages: Vec<Message>) -> Batch {
        let mut checkpoint = Checkpoint {
            generation: self.generation,
            ..Checkpoint::default()
        };
        for message in &messages {
            let end = message.offset + 1;
            checkpoint
                .spans
                .entry(message.partition)
                .or_insert(message.offset..end)
                .end = end;
            self.polled.insert(message.partition, end);
            self.last = message.partition;
        }
        Batch {
            messages,
            checkpoint,
        }
    }
}

#[async_trait]
impl Subscription for SqliteSubscription {
    async fn poll(&mut self, max: Max, wait: Duration) -> Result<Batch> {
        let begun = Instant::now();
        loop {
            // Listens before it looks, so that nothing is missed in between.
            let shared = self.shared.clone();
            let published = shared.published.notified();
            pin!(published);
            published.as_mut().enable();

            match self.look(max).await? {
                None => {
                    self.settle().await?;
                    continue;
                }
                Some(messages) if !messages.is_empty() => return Ok(self.advance(messages)),
                Some(_) => {}
            }
            let left = wait.saturating_sub(begun.elapsed());
            if left.is_zero() {
                return Ok(self.advance(Vec::new()));
            }
            // Woken or not, it looks again.
            let _ = timeout(left.min(LOOK_EVERY), published).await;
        }
    }

    async fn commit(&mut self, checkpoint: &Checkpoint, outputs: &[Output]) -> Result<()> {
        if checkpoint.generation != self.generation {
            // So is what was polled since, for the caller.
            self.start_over();
            return Err(
                Error::rebalanced("the batch is void: an earlier one was turned down")
                    .with("topic", &self.member.topic)
                    .with("group", &self.member.group),
            );
        }
        let member = self.member.clone();
        let spans = checkpoint.spans.clone();
        let outputs = outputs.to_vec();
        let partitions = self.shared.config.partitions;
        let committed = self
            .shared
            .database
            .writer
            .run(move |connection| member.commit(connection, &spans, &outputs, partitions))
            .await;
        match &committed {
            Ok(()) => self.shared.published.notify_waiters(),
            Err(error) if error.kind() == ErrorKind::Rebalanced => {
                warn!(
                    error = error.report(),
                    "a batch was turned down; going back"
                );
                self.start_over();
            }
            Err(_) => {}
        }
        committed
    }

    async fn close(self: Box<Self>) -> Result<()> {
        let Self {
            shared,
            member,
            heartbeat,
            ..
        } = *self;
        drop(heartbeat);
        shared
            .database
            .writer
            .run(move |connection| member.leave(connection))
            .await?;
        shared.published.notify_waiters();
        Ok(())
    }
}

/// Renews a member's lease, however long its owner takes between two polls.
async fn keep_alive(shared: Arc<Shared>, member: Member) {
    loop {
        sleep(member.lease / RENEWALS).await;
        let again = member.clone();
        let renewed = shared
            .database
            .writer
            .run(move |connection| again.renew(connection))
            .await;
        if let Err(error) = renewed {
            warn!(
                error = error.report(), topic = %member.topic, group = member.group,
                "could not renew the lease; trying again"
            );
        }
    }
}

/// Messages of all partitions, from their cursors on: each has its share of `max` until it has no
/// more to give.
fn read(
    connection: &Connection,
    shared: &Shared,
    member: &Member,
    mut cursors: Vec<(i32, i64)>,
    max: Max,
) -> Result<Vec<Message>, Failure> {
    let reader = Reader {
        connection,
        schemas: &shared.schemas,
        topic: &member.topic,
        topic_id: member.topic_id,
    };
    let mut left = Max {
        messages: max.messages.max(1),
        ..max
    };
    let mut batch = Vec::new();
    while left.messages > 0 && !cursors.is_empty() {
        let mut more = Vec::with_capacity(cursors.len());
        let partitions = cursors.len();
        for (index, (partition, from)) in cursors.into_iter().enumerate() {
            let share = left.messages.div_ceil(partitions - index);
            let before = batch.len();
            reader.read(partition, from, share, &mut left, &mut batch)?;
            match batch.last() {
                Some(last) if share > 0 && batch.len() - before == share => {
                    more.push((partition, last.offset + 1));
                }
                _ => {}
            }
        }
        cursors = more;
    }
    Ok(batch)
}
