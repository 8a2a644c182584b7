//! [`MemoryBus`]: the bus of one process.

mod group;
mod state;
mod subscription;
mod topic;

use std::num::{NonZeroU16, NonZeroUsize};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use heartbeat_core::{
    Bus, Error, Message, Output, PartitionLag, Position, Progress, Result, Subscription, Topic,
};
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;
use tokio::task::coop::consume_budget;

use crate::faults::{Call, Faults};
use crate::lock::lock;
use crate::narrator::Narrator;
use state::{Standing, State};
use subscription::MemorySubscription;

/// How a [`MemoryBus`] is set up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MemoryConfig {
    /// How many partitions a topic gets when it is first used: 4 unless set.
    pub partitions: NonZeroU16,
    /// How many messages a topic may hold that a group at work has not committed. None unless set:
    /// topics keep all their messages.
    ///
    /// When set, messages that all groups of a topic have committed are forgotten (a group that comes
    /// later begins behind them), and who would publish to a topic that is full waits. A topic that
    /// no member of any group reads is never full.
    pub capacity: Option<NonZeroUsize>,
}

impl Default for MemoryConfig {
    fn default() -> Self {
        Self {
            partitions: const { NonZeroU16::new(4).unwrap() },
            capacity: None,
        }
    }
}

/// A bus in memory. Clones are handles to the same bus.
///
/// It keeps the contract of [`Bus`] in full and lasts as long as its last handle. Topics are
/// created when they are first used.
#[derive(Debug, Clone, Default)]
pub struct MemoryBus {
    shared: Arc<Shared>,
    narrator: Option<Narrator>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    /// Told after every change that somebody may wait for.
    changed: Notify,
    faults: Faults,
}

impl MemoryBus {
    /// An empty bus.
    #[must_use]
    pub fn new(config: MemoryConfig) -> Self {
        let shared = Shared {
            state: Mutex::new(State::new(config)),
            ..Shared::default()
        };
        Self {
            shared: Arc::new(shared),
            narrator: None,
        }
    }

    /// The same bus, which tells `narrator` what is published and polled through this handle and
    /// what is made of it.
    #[must_use]
    pub fn narrated(self, narrator: Narrator) -> Self {
        Self {
            narrator: Some(narrator),
            ..self
        }
    }

    /// The errors its calls shall answer, for every handle.
    #[must_use]
    pub fn faults(&self) -> &Faults {
        &self.shared.faults
    }

    /// Creates a topic with a number of partitions of its own.
    ///
    /// # Errors
    /// [`ErrorKind::Misconfigured`](heartbeat_core::ErrorKind::Misconfigured) when it is already there.
    pub fn create_topic(&self, topic: &Topic, partitions: NonZeroU16) -> Result<()> {
        if self.state().create(topic, partitions) {
            Ok(())
        } else {
            Err(Error::misconfigured("the topic is already there").with("topic", topic))
        }
    }

    /// All messages that `topic` holds, partition by partition: what a test looks at.
    #[must_use]
    pub fn messages(&self, topic: &Topic) -> Vec<Message> {
        self.state().messages(topic)
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        lock(&self.shared.state)
    }

    /// Makes the attempt again after each change until it brings something.
    async fn until<T>(&self, mut attempt: impl FnMut(&mut State) -> Option<T>) -> T {
        loop {
            // Hears of every change from here on.
            let changed = self.shared.changed.notified();
            if let Some(done) = attempt(&mut self.state()) {
                return done;
            }
            changed.await;
        }
    }

    fn tell_change(&self) {
        self.shared.changed.notify_waiters();
    }

    fn narrate_added(&self, outputs: &[Output]) {
        if let Some(narrator) = &self.narrator {
            for output in outputs {
                narrator.added(&output.topic, &output.envelope);
            }
        }
    }
}

#[async_trait]
impl Bus for MemoryBus {
    async fn publish(&self, outputs: &[Output], progress: Option<Progress>) -> Result<()> {
        consume_budget().await;
        self.faults().before(Call::Publish)?;
        self.until(|state| {
            let standing = progress.as_ref().map(|it| state.source_standing(it));
            match standing.unwrap_or(Ok(Standing::Next)) {
                Err(error) => return Some(Err(error)),
                Ok(Standing::Done) => return Some(Ok(())),
                Ok(Standing::Next) if !state.has_room(outputs, None) => return None,
                Ok(Standing::Next) => {}
            }
            state.append(outputs);
            if let Some(progress) = &progress {
                state.set_position(progress);
            }
            // Under the lock, so that nobody can be told of a message before this.
            self.narrate_added(outputs);
            Some(Ok(()))
        })
        .await?;
        self.tell_change();
        self.faults().after(Call::Publish)
    }

    async fn position(&self, source: &str) -> Result<Option<Position>> {
        self.faults().before(Call::Position)?;
        Ok(self.state().position(source))
    }

    async fn subscribe(&self, topic: &Topic, group: &str) -> Result<Box<dyn Subscription>> {
        self.faults().before(Call::Subscribe)?;
        let reader = self.state().join(topic, group);
        self.tell_change();
        Ok(Box::new(MemorySubscription::new(self.clone(), reader)))
    }

    async fn lag(&self, topic: &Topic, group: &str) -> Result<Vec<PartitionLag>> {
        self.faults().before(Call::Lag)?;
        Ok(self.state().lag(topic, group))
    }

    async fn close(&self) -> Result<()> {
        Ok(())
    }
}
