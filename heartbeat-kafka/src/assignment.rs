//! The partitions that a member has, what it has read of them and what of that is committed.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use heartbeat_core::{Max, Message, Topic};
use rdkafka::consumer::base_consumer::PartitionQueue;
use tokio::sync::Notify;
use tracing::{info, warn};

use crate::fetched::Fetched;
use crate::member::MemberContext;
use crate::partition::Partition;
use crate::registry::{Parsed, WriterSchema};
use crate::shared::lock;
use crate::trouble::Trouble;

/// Shared by a subscription, which reads and commits, and librdkafka, which gives partitions and takes them away.
#[derive(Debug)]
pub(crate) struct Assignment {
    topic: Topic,
    /// How long what is in hand may hold up a partition that is to go to another member.
    handover: Duration,
    state: Mutex<State>,
    /// Told when something was committed, or the member leaves.
    committed: Condvar,
    /// Told when there may be something to read.
    pub(crate) arrived: Notify,
}

#[derive(Debug, Default)]
struct State {
    owned: BTreeMap<i32, Partition>,
    /// Partitions that were taken away with messages in hand, and what was in hand. Should the member get one back, it
    /// does not read it until a commit that fails has told it that what it holds is void, or a commit that was on its way
    /// has gone through with all of it.
    lost: BTreeMap<i32, Range<i64>>,
    /// The partition that the last batch began with: the next one begins behind it.
    last: i32,
    leaving: bool,
    trouble: Option<Trouble>,
}

/// What there was to read.
pub(crate) enum Taken {
    /// Messages, and what they cover.
    Batch(Vec<Message>, BTreeMap<i32, Range<i64>>),
    /// Nothing was taken, as these schemas are to be found first.
    Unknown(BTreeSet<WriterSchema>),
}

/// What a checkpoint is to what was committed before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// The next one.
    Next,
    /// Committed already.
    Done,
    /// This partition is another member's now, or was in between.
    Void(i32),
    /// One that was polled before is not committed.
    OutOfTurn,
}

impl Assignment {
    pub(crate) fn new(topic: Topic, handover: Duration) -> Self {
        Self {
            topic,
            handover,
            state: Mutex::default(),
            committed: Condvar::new(),
            arrived: Notify::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// Why the member cannot go on, if it cannot. Told once.
    pub(crate) fn trouble(&self) -> Option<Trouble> {
        self.lock().trouble.take()
    }

    pub(crate) fn is_leaving(&self) -> bool {
        self.lock().leaving
    }

    /// From here on nothing is read, and no partition is held up.
    pub(crate) fn leave(&self) {
        self.lock().leaving = true;
        self.committed.notify_all();
    }

    /// Lets go of all partitions' queues.
    pub(crate) fn clear(&self) {
        let owned = std::mem::take(&mut self.lock().owned);
        drop(owned);
    }

    /// What is there now, within `max`: each partition has its share of it until it has no more to give.
    pub(crate) fn take(&self, max: Max, known: &impl Fn(&WriterSchema) -> Option<Parsed>) -> Taken {
        let mut state = self.lock();
        let counts = state.choose(max);
        if state.trouble.is_some() {
            // Whoever waits is to hear of it now.
            self.arrived.notify_waiters();
        }
        let mut unknown = BTreeSet::new();
        // Few: as many as there are versions of the topic's schema.
        let mut found: Vec<(WriterSchema, Parsed)> = Vec::new();
        for (partition, count) in &counts {
            let Some(partition) = state.owned.get(partition) else {
                continue;
            };
            for writer in partition
                .ahead
                .iter()
                .take(*count)
                .filter_map(Fetched::writer)
            {
                if !found.iter().any(|(seen, _)| *seen == writer) {
                    match known(&writer) {
                        Some(schema) => found.push((writer, schema)),
                        None => drop(unknown.insert(writer)),
                    }
                }
            }
        }
        if !unknown.is_empty() {
            return Taken::Unknown(unknown);
        }
        let mut messages = Vec::with_capacity(counts.iter().map(|(_, count)| count).sum());
        let mut spans = BTreeMap::new();
        for (number, count) in counts {
            let Some(partition) = state.owned.get_mut(&number) else {
                continue;
            };
            let given = partition.ahead.drain(..count).map(|fetched| {
                fetched.into_message(&self.topic, |writer| {
                    let found = found.iter().find(|(seen, _)| seen == writer);
                    found.map_or_else(
                        || Err("its schema was not found".to_owned()),
                        |(_, schema)| schema.clone(),
                    )
                })
            });
            let first = messages.len();
            messages.extend(given);
            let (Some(first), Some(last)) = (messages.get(first), messages.last()) else {
                continue;
            };
            let hand = partition.hand.get_or_insert(first.offset..first.offset);
            let span = hand.end..last.offset + 1;
            hand.end = span.end;
            spans.insert(number, span);
            state.last = number;
        }
        Taken::Batch(messages, spans)
    }

    /// Fetches ahead what the next batch will be, as far as it is there.
    pub(crate) fn fetch(&self, max: Max) {
        self.lock().choose(max);
    }

    /// Whether a checkpoint may be committed.
    pub(crate) fn standing(&self, spans: &BTreeMap<i32, Range<i64>>) -> Standing {
        let state = self.lock();
        let mut hands = Vec::with_capacity(spans.len());
        for (number, span) in spans {
            let owned = state
                .owned
                .get(number)
                .filter(|_| !state.lost.contains_key(number));
            match owned.and_then(|partition| partition.hand.as_ref()) {
                Some(hand) => hands.push((hand, span)),
                None => return Standing::Void(*number),
            }
        }
        if hands.iter().all(|(hand, span)| hand.start == span.start) {
            Standing::Next
        } else if hands.iter().all(|(hand, span)| hand.start == span.end) {
            Standing::Done
        } else {
            Standing::OutOfTurn
        }
    }

    /// A checkpoint was committed.
    pub(crate) fn advance(&self, spans: &BTreeMap<i32, Range<i64>>) {
        let mut state = self.lock();
        for (number, span) in spans {
            if let Some(hand) = state.owned.get_mut(number).and_then(|it| it.hand.as_mut()) {
                hand.start = span.end;
            }
            if let Entry::Occupied(mut lost) = state.lost.entry(*number) {
                lost.get_mut().start = span.end;
                if lost.get().is_empty() {
                    lost.remove();
                }
            }
        }
        drop(state);
        self.committed.notify_all();
        // What was lost and is back may be read now.
        self.arrived.notify_waiters();
    }

    /// All that is in hand is void: gives the offset that each partition is to be read from again.
    pub(crate) fn start_over(&self) -> BTreeMap<i32, i64> {
        let mut state = self.lock();
        state.lost.clear();
        let mut back = BTreeMap::new();
        for (number, partition) in &mut state.owned {
            if let Some(hand) = partition.hand.as_mut().filter(|hand| !hand.is_empty()) {
                hand.end = hand.start;
                back.insert(*number, hand.start);
                partition.ahead.clear();
            }
        }
        drop(state);
        self.committed.notify_all();
        back
    }

    /// The offsets that were committed by this member, by partition.
    pub(crate) fn committed(&self, partition: i32) -> Option<i64> {
        let state = self.lock();
        Some(state.owned.get(&partition)?.hand.as_ref()?.start)
    }

    /// The member may read these partitions.
    pub(crate) fn assigned(
        &self,
        queues: impl Iterator<Item = (i32, PartitionQueue<MemberContext>)>,
    ) {
        let mut state = self.lock();
        for (number, queue) in queues {
            state.owned.insert(number, Partition::new(queue));
        }
        let owned: Vec<i32> = state.owned.keys().copied().collect();
        drop(state);
        info!(topic = %self.topic, partitions = ?owned, "Reads these partitions.");
        self.arrived.notify_waiters();
    }

    /// The member loses these partitions, or has lost them already. While there is time, what is in hand of them is
    /// waited for: as long as this does not return, they are the member's and can be committed.
    pub(crate) fn revoked(&self, partitions: &[i32], already: bool) {
        let until = Instant::now() + self.handover;
        let mut state = self.lock();
        for number in partitions {
            if let Some(partition) = state.owned.get_mut(number) {
                partition.going = true;
            }
        }
        loop {
            let in_hand = partitions
                .iter()
                .any(|number| state.owned.get(number).is_some_and(Partition::is_in_hand));
            let left = until.saturating_duration_since(Instant::now());
            if !in_hand || already || state.leaving || left.is_zero() {
                break;
            }
            let waited = self.committed.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        let mut dropped = BTreeMap::new();
        for number in partitions {
            if let Some(partition) = state.owned.remove(number)
                && let Some(hand) = partition.hand.filter(|hand| !hand.is_empty())
            {
                dropped.insert(*number, hand);
            }
        }
        let leaving = state.leaving;
        state.lost.extend(dropped.clone());
        drop(state);
        if !dropped.is_empty() && !leaving {
            warn!(
                topic = %self.topic, partitions = ?dropped.keys(),
                "Partitions were taken away with work in flight; their new owner does it again."
            );
        }
        info!(topic = %self.topic, ?partitions, "Reads these partitions no more.");
        // Whoever waits for messages may have to hear of a trouble.
        self.arrived.notify_waiters();
    }

    /// A message came before its partition's queue was split off.
    pub(crate) fn stray(&self, message: Fetched) {
        let mut state = self.lock();
        if let Some(partition) = state.owned.get_mut(&message.partition) {
            partition.ahead.push_back(message);
        }
        drop(state);
        self.arrived.notify_waiters();
    }

    /// The client complains.
    pub(crate) fn failed(&self, trouble: Trouble) {
        self.lock().trouble = Some(trouble);
        self.arrived.notify_waiters();
    }
}

impl State {
    /// How many messages of each partition make the next batch.
    fn choose(&mut self, max: Max) -> Vec<(i32, usize)> {
        let Self {
            owned,
            lost,
            last,
            leaving,
            trouble,
        } = self;
        if *leaving {
            return Vec::new();
        }
        let mut turn: Vec<(i32, &mut Partition, usize)> = owned
            .iter_mut()
            .filter(|(number, partition)| !partition.going && !lost.contains_key(number))
            .map(|(number, partition)| (*number, partition, 0))
            .collect();
        let behind = turn.partition_point(|(number, ..)| number <= last);
        turn.rotate_left(behind);
        let mut messages = max.messages.max(1);
        let mut bytes = max.bytes;
        let mut chosen = 0;
        loop {
            let before = chosen;
            let partitions = turn.len();
            for (index, (_, partition, count)) in turn.iter_mut().enumerate() {
                let share = messages.div_ceil(partitions - index);
                for _ in 0..share {
                    let Some(size) = partition.size_at(*count, trouble) else {
                        break;
                    };
                    if size > bytes && chosen > 0 {
                        messages = 0;
                        break;
                    }
                    *count += 1;
                    chosen += 1;
                    messages -= 1;
                    bytes = bytes.saturating_sub(size);
                }
            }
            if messages == 0 || chosen == before {
                break;
            }
        }
        turn.into_iter()
            .filter(|(_, _, count)| *count > 0)
            .map(|(number, _, count)| (number, count))
            .collect()
    }
}
