//! Everything a bus holds, to be changed under one lock: each method is one step of it.

use std::collections::HashMap;
use std::num::NonZeroU16;
use std::time::{SystemTime, UNIX_EPOCH};

use heartbeat_core::{
    Batch, Checkpoint, Error, Max, Message, Output, PartitionLag, Position, Progress, Result, Topic,
};

use super::MemoryConfig;
use super::group::Group;
use super::topic::Log;

#[derive(Debug, Default)]
pub(super) struct State {
    config: MemoryConfig,
    topics: HashMap<Topic, Log>,
    /// Of the sources, by name.
    positions: HashMap<String, Position>,
    members: u64,
}

/// What a step that may be taken is to what was done before.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// The next one.
    Next,
    /// Done already: the answer was lost, or another process was faster.
    Done,
}

/// Who reads: a member of a group on a topic.
#[derive(Debug)]
pub(super) struct Reader {
    pub(super) topic: Topic,
    group: String,
    member: u64,
}

impl State {
    pub(super) fn new(config: MemoryConfig) -> Self {
        Self {
            config,
            ..Self::default()
        }
    }

    /// Whether the topic was not there before.
    pub(super) fn create(&mut self, topic: &Topic, partitions: NonZeroU16) -> bool {
        let new = !self.topics.contains_key(topic);
        if new {
            let log = Log::new(topic.clone(), partitions);
            self.topics.insert(topic.clone(), log);
        }
        new
    }

    fn log(&mut self, topic: &Topic) -> &mut Log {
        self.create(topic, self.config.partitions);
        self.topics
            .get_mut(topic)
            .expect("it is there or was put there")
    }

    pub(super) fn messages(&self, topic: &Topic) -> Vec<Message> {
        let log = self.topics.get(topic);
        log.into_iter().flat_map(Log::messages).cloned().collect()
    }

    pub(super) fn position(&self, source: &str) -> Option<Position> {
        self.positions.get(source).cloned()
    }

    /// What a step of a source is to the bus.
    pub(super) fn source_standing(&self, progress: &Progress) -> Result<Standing> {
        let position = self.positions.get(&progress.source);
        if position == Some(&progress.to) {
            Ok(Standing::Done)
        } else if position == progress.from.as_ref() {
            Ok(Standing::Next)
        } else {
            Err(
                Error::rebalanced("the source is elsewhere: another process reads it too")
                    .with("source", &progress.source),
            )
        }
    }

    pub(super) fn set_position(&mut self, progress: &Progress) {
        self.positions
            .insert(progress.source.clone(), progress.to.clone());
    }

    /// Whether none of the topics of `outputs`, but for `except`, is full.
    pub(super) fn has_room(&self, outputs: &[Output], except: Option<&Topic>) -> bool {
        let Some(capacity) = self.config.capacity else {
            return true;
        };
        let full = |topic: &Topic| {
            let log = self.topics.get(topic);
            log.is_some_and(|log| log.backlog() >= capacity.get())
        };
        outputs
            .chunk_by(|one, next| one.topic == next.topic)
            .map(|run| &run[0].topic)
            .all(|topic| Some(topic) == except || !full(topic))
    }

    pub(super) fn append(&mut self, outputs: &[Output]) {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let now = now.as_millis() as i64;
        for run in outputs.chunk_by(|one, next| one.topic == next.topic) {
            let log = self.log(&run[0].topic);
            for output in run {
                log.append(output.envelope.clone(), now);
            }
        }
    }

    pub(super) fn join(&mut self, topic: &Topic, group: &str) -> Reader {
        self.members += 1;
        let member = self.members;
        self.log(topic).group(group).join(member);
        Reader {
            topic: topic.clone(),
            group: group.to_owned(),
            member,
        }
    }

    fn group(&mut self, reader: &Reader) -> &mut Group {
        self.log(&reader.topic).group(&reader.group)
    }

    pub(super) fn leave(&mut self, reader: &Reader) {
        self.group(reader).leave(reader.member);
    }

    pub(super) fn poll(&mut self, reader: &Reader, max: Max) -> Batch {
        self.log(&reader.topic)
            .poll(&reader.group, reader.member, max)
    }

    pub(super) fn nothing(&mut self, reader: &Reader) -> Batch {
        self.group(reader).nothing(reader.member)
    }

    pub(super) fn standing(
        &mut self,
        reader: &Reader,
        checkpoint: &Checkpoint,
    ) -> Result<Standing> {
        self.group(reader)
            .standing(reader.member, checkpoint)
            .map_err(|error| {
                error
                    .with("topic", &reader.topic)
                    .with("group", &reader.group)
            })
    }

    pub(super) fn advance(&mut self, reader: &Reader, checkpoint: &Checkpoint) {
        let trims = self.config.capacity.is_some();
        let log = self.log(&reader.topic);
        log.group(&reader.group).advance(checkpoint);
        if trims {
            log.trim();
        }
    }

    pub(super) fn lag(&self, topic: &Topic, group: &str) -> Vec<PartitionLag> {
        self.topics
            .get(topic)
            .map(|log| log.lag(group))
            .unwrap_or_default()
    }
}
