//! A member of a consumer group.

use std::time::Duration;

use async_trait::async_trait;
use heartbeat_core::{Batch, Checkpoint, Max, Output, Result, Subscription};
use tokio::task::coop::consume_budget;
use tokio::time::timeout;

use super::MemoryBus;
use super::state::{Reader, Standing};
use crate::faults::Call;

/// Leaves its group when it is dropped.
#[derive(Debug)]
pub(super) struct MemorySubscription {
    bus: MemoryBus,
    reader: Reader,
}

impl MemorySubscription {
    pub(super) fn new(bus: MemoryBus, reader: Reader) -> Self {
        Self { bus, reader }
    }

    fn narrate_polled(&self, batch: &Batch) {
        let Some(narrator) = &self.bus.narrator else {
            return;
        };
        if batch.messages.is_empty() {
            narrator.got_nothing(&self.reader.topic);
        }
        for message in &batch.messages {
            narrator.got(&message.topic, &message.envelope);
        }
    }
}

#[async_trait]
impl Subscription for MemorySubscription {
    async fn poll(&mut self, max: Max, wait: Duration) -> Result<Batch> {
        consume_budget().await;
        self.bus.faults().before(Call::Poll)?;
        let some = self.bus.until(|state| {
            let batch = state.poll(&self.reader, max);
            (!batch.is_empty()).then_some(batch)
        });
        let batch = match timeout(wait, some).await {
            Ok(batch) => batch,
            Err(_) => self.bus.state().nothing(&self.reader),
        };
        self.narrate_polled(&batch);
        Ok(batch)
    }

    async fn commit(&mut self, checkpoint: &Checkpoint, outputs: &[Output]) -> Result<()> {
        consume_budget().await;
        self.bus.faults().before(Call::Commit)?;
        self.bus
            .until(|state| match state.standing(&self.reader, checkpoint) {
                Err(error) => Some(Err(error)),
                Ok(Standing::Done) => Some(Ok(())),
                Ok(Standing::Next) => {
                    // Who reads what it writes would wait for itself.
                    if !state.has_room(outputs, Some(&self.reader.topic)) {
                        return None;
                    }
                    state.advance(&self.reader, checkpoint);
                    state.append(outputs);
                    self.bus.narrate_added(outputs);
                    Some(Ok(()))
                }
            })
            .await?;
        self.bus.tell_change();
        self.bus.faults().after(Call::Commit)
    }

    async fn close(self: Box<Self>) -> Result<()> {
        Ok(()) // as dropping it does
    }
}

impl Drop for MemorySubscription {
    fn drop(&mut self) {
        self.bus.state().leave(&self.reader);
        self.bus.tell_change();
    }
}
