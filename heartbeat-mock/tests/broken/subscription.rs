//! The sins of a bus that its members commit.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use heartbeat_core::{
    Batch, Bus, Checkpoint, Error, ErrorKind, Max, Message, Output, Payload, Result, Subscription,
};
use tokio::task::yield_now;
use tokio::time::sleep;

use crate::bus::{ALL, BrokenBus, Sin};

/// A member with its bus's sin.
#[derive(Debug)]
pub(crate) struct BrokenSubscription {
    bus: BrokenBus,
    /// `None` when it was thrown out.
    inner: Option<Box<dyn Subscription>>,
    /// All that was polled.
    polled: Batch,
    committed: Option<Checkpoint>,
}

impl BrokenSubscription {
    pub(crate) fn new(bus: BrokenBus, inner: Box<dyn Subscription>) -> Self {
        Self {
            bus,
            inner: Some(inner),
            polled: Batch::default(),
            committed: None,
        }
    }

    fn has(&self, sin: Sin) -> bool {
        self.bus.has(sin)
    }

    fn member(&mut self) -> Result<&mut Box<dyn Subscription>> {
        self.inner
            .as_mut()
            .ok_or_else(|| Error::rebalanced("thrown out"))
    }

    /// It no longer reads, and owns its partitions all the same.
    fn stay_in(&mut self) {
        let undead = self.bus.shared.undead.lock();
        undead
            .expect("nobody panics with it")
            .extend(self.inner.take());
    }

    fn alter(&self, message: &mut Message) {
        match &mut message.envelope.payload {
            Payload::Raw { reason, .. } if self.has(Sin::GivesNoReason) => reason.clear(),
            _ => {}
        }
        if self.has(Sin::TellsTimeInMicroseconds) {
            message.timestamp *= 1000;
        }
        if self.has(Sin::SpreadsOneKey) {
            message.partition = (message.offset % 4) as i32;
        }
    }

    /// The offset behind the last message polled, by partition.
    fn ends(&self) -> BTreeMap<i32, i64> {
        let spans = &self.polled.checkpoint.spans;
        spans
            .iter()
            .map(|(&partition, span)| (partition, span.end))
            .collect()
    }
}

#[async_trait]
impl Subscription for BrokenSubscription {
    async fn poll(&mut self, mut max: Max, mut wait: Duration) -> Result<Batch> {
        let asked = max;
        if self.has(Sin::NeverWaits) {
            wait = Duration::ZERO;
        }
        if self.has(Sin::SleepsItOut) {
            sleep(std::mem::take(&mut wait)).await;
        }
        if self.has(Sin::IgnoresMaxMessages) {
            max.messages = ALL.messages;
        }
        if self.has(Sin::IgnoresMaxBytes) {
            max.bytes = ALL.bytes;
        }
        if self.has(Sin::CountsOnlyValues) {
            // As if the values were a third of the messages.
            max.bytes = max.bytes.saturating_mul(3);
        }
        let mut batch = self.member()?.poll(max, wait).await?;
        if self.has(Sin::LosesDroppedPolls) {
            yield_now().await;
        }
        if self.has(Sin::CommitsWhatItPolls) && !batch.is_empty() {
            self.member()?.commit(&batch.checkpoint, &[]).await?;
        }
        if self.has(Sin::ThrowsOutWhoWorks) && !batch.is_empty() {
            self.inner = None;
        }
        if self.has(Sin::SkipsTheLarge) {
            batch
                .messages
                .retain(|message| message.envelope.size() <= asked.bytes);
        }
        if self.has(Sin::DoesNotGoBack) {
            let ends = self.ends();
            let is_new = |it: &Message| ends.get(&it.partition).is_none_or(|end| it.offset >= *end);
            batch.messages.retain(is_new);
        }
        self.polled.append(batch.clone());
        for message in &mut batch.messages {
            self.alter(message);
        }
        for span in batch.checkpoint.spans.values_mut() {
            span.end += i64::from(self.has(Sin::SpansReachTooFar));
            span.end -= i64::from(self.has(Sin::SpansFallShort));
        }
        Ok(batch)
    }

    async fn commit(&mut self, checkpoint: &Checkpoint, outputs: &[Output]) -> Result<()> {
        if let Err(refused) = self.bus.refuse(outputs).await {
            if self.has(Sin::MovesOnWithoutTheRefused) {
                self.member()?.commit(checkpoint, &[]).await?;
            }
            return Err(refused);
        }
        if self.has(Sin::RefusesRepeats) && self.committed.as_ref() == Some(checkpoint) {
            return Err(Error::internal("committed before"));
        }
        self.committed = Some(checkpoint.clone());

        let (bus, polled) = (self.bus.clone(), self.polled.checkpoint.clone());
        let member = self.member()?;
        let done = match bus.sin {
            Some(Sin::CommitsAllItPolled) => member.commit(&polled, outputs).await,
            Some(Sin::ForgetsTheOutputs) => member.commit(checkpoint, &[]).await,
            Some(Sin::ForgetsTheAdvance) => bus.inner.publish(outputs, None).await,
            Some(Sin::PublishesRepeats) => {
                bus.inner.publish(outputs, None).await?;
                member.commit(checkpoint, &[]).await
            }
            Some(Sin::PublishesThenAdvances) => {
                bus.inner.publish(outputs, None).await?;
                yield_now().await;
                member.commit(checkpoint, &[]).await
            }
            Some(Sin::AdvancesThenPublishes) => {
                member.commit(checkpoint, &[]).await?;
                yield_now().await;
                bus.inner.publish(outputs, None).await
            }
            _ => member.commit(checkpoint, outputs).await,
        };
        match done {
            Err(error) if error.kind() == ErrorKind::Rebalanced => {
                if bus.has(Sin::PublishesWhatWasLost) {
                    bus.inner.publish(outputs, None).await?;
                }
                if bus.has(Sin::HidesTheLoss) {
                    Ok(())
                } else {
                    Err(error)
                }
            }
            done => done,
        }
    }

    async fn close(mut self: Box<Self>) -> Result<()> {
        if self.has(Sin::StaysWhenClosed) {
            self.stay_in();
        }
        match self.inner.take() {
            Some(inner) => inner.close().await,
            None => Ok(()),
        }
    }
}

impl Drop for BrokenSubscription {
    fn drop(&mut self) {
        if self.has(Sin::KeepsTheVanished) {
            self.stay_in();
        }
    }
}
