//! A topic: its partitions and the groups that read it.

use std::collections::{HashMap, VecDeque};
use std::hash::{DefaultHasher, Hasher};
use std::num::NonZeroU16;

use heartbeat_core::{Batch, Envelope, Max, Message, PartitionLag, Payload, Topic};

use super::group::Group;

#[derive(Debug)]
pub(super) struct Log {
    topic: Topic,
    partitions: Vec<Partition>,
    groups: HashMap<String, Group>,
}

#[derive(Debug, Default)]
pub(super) struct Partition {
    /// The offset of the first message it still holds.
    first: i64,
    messages: VecDeque<Message>,
}

impl Partition {
    /// The offset behind the last message.
    pub(super) fn end(&self) -> i64 {
        self.first + self.messages.len() as i64
    }

    fn from(&self, offset: i64) -> impl Iterator<Item = &Message> {
        let skipped = usize::try_from(offset - self.first).unwrap_or(0);
        self.messages.range(skipped.min(self.messages.len())..)
    }

    fn forget_before(&mut self, offset: i64) {
        while self.first < offset && self.messages.pop_front().is_some() {
            self.first += 1;
        }
    }
}

impl Log {
    pub(super) fn new(topic: Topic, partitions: NonZeroU16) -> Self {
        Self {
            topic,
            partitions: (0..partitions.get())
                .map(|_| Partition::default())
                .collect(),
            groups: HashMap::new(),
        }
    }

    pub(super) fn append(&mut self, mut envelope: Envelope, timestamp: i64) {
        if let Payload::Raw { reason, .. } = &mut envelope.payload {
            "it was published as bytes without a schema".clone_into(reason);
        }
        // One process, one version of the hash: as stable as a bus in memory is.
        let mut hasher = DefaultHasher::new();
        hasher.write(&envelope.key);
        let index = (hasher.finish() % self.partitions.len() as u64) as usize;
        let partition = &mut self.partitions[index];
        partition.messages.push_back(Message {
            topic: self.topic.clone(),
            partition: index as i32,
            offset: partition.end(),
            timestamp,
            envelope,
        });
    }

    /// The group of that name, which begins at the first messages when it is new.
    pub(super) fn group(&mut self, name: &str) -> &mut Group {
        if !self.groups.contains_key(name) {
            let group = Group::new(self.partitions.iter().map(|partition| partition.first));
            self.groups.insert(name.to_owned(), group);
        }
        self.groups
            .get_mut(name)
            .expect("it is there or was put there")
    }

    /// What comes next for a member, within `max`; the partition read first changes each time.
    pub(super) fn poll(&mut self, group: &str, member: u64, max: Max) -> Batch {
        let Some(group) = self.groups.get_mut(group) else {
            return Batch::default();
        };
        let mut batch = group.nothing(member);
        let mut bytes = 0;
        for index in group.turn(member) {
            let begin = group.next(member, index);
            let mut end = begin;
            for message in self.partitions[index].from(begin) {
                bytes += message.envelope.size();
                let full = batch.messages.len() >= max.messages || bytes > max.bytes;
                if full && !batch.messages.is_empty() {
                    break;
                }
                batch.messages.push(message.clone());
                end = message.offset + 1;
            }
            if end > begin {
                group.set_next(member, index, end);
                batch.checkpoint.spans.insert(index as i32, begin..end);
            }
        }
        batch
    }

    pub(super) fn lag(&self, group: &str) -> Vec<PartitionLag> {
        let group = self.groups.get(group);
        (0..)
            .zip(&self.partitions)
            .map(|(index, partition)| {
                let committed = group.map_or(partition.first, |group| group.committed(index));
                PartitionLag {
                    partition: index as i32,
                    messages: (partition.end() - committed) as u64,
                }
            })
            .collect()
    }

    /// The most that a group at work has not committed.
    pub(super) fn backlog(&self) -> usize {
        let lag = |group: &Group| -> i64 {
            (0..)
                .zip(&self.partitions)
                .map(|(index, partition)| partition.end() - group.committed(index))
                .sum()
        };
        let at_work = self.groups.values().filter(|group| group.has_members());
        at_work.map(lag).max().unwrap_or(0) as usize
    }

    /// Forgets what all groups have committed.
    pub(super) fn trim(&mut self) {
        for (index, partition) in (0..).zip(&mut self.partitions) {
            let committed = self.groups.values().map(|group| group.committed(index));
            if let Some(slowest) = committed.min() {
                partition.forget_before(slowest);
            }
        }
    }

    pub(super) fn messages(&self) -> impl Iterator<Item = &Message> {
        self.partitions
            .iter()
            .flat_map(|partition| &partition.messages)
    }
}
