//! The next batch to work on: how full, how old, and what to do when reading fails.

use std::time::Duration;

use tokio::time::Instant;

use crate::bus::{Batch, Max, Subscription};
use crate::error::Result;
use crate::retry::Tries;
use crate::stage::StageOptions;

/// Fills batches. Its state outlives a call, so that a call may be dropped without loss.
pub(super) struct Fetch<'a> {
    options: &'a StageOptions,
    /// A batch that is not full, and when its first message came.
    partial: Option<(Batch, Instant)>,
    /// When reading may be tried again after a failure.
    not_before: Option<Instant>,
    tries: Tries<'a>,
}

impl<'a> Fetch<'a> {
    pub(super) fn new(options: &'a StageOptions) -> Self {
        Self {
            options,
            partial: None,
            not_before: None,
            tries: Tries::new("poll", options),
        }
    }

    /// Forgets what was read and not yet given.
    pub(super) fn start_over(&mut self) {
        self.partial = None;
    }

    /// The next batch: full, or as old as it may get; empty when one poll brought nothing.
    ///
    /// Waits out failures that may pass.
    pub(super) async fn next(&mut self, subscription: &mut dyn Subscription) -> Result<Batch> {
        loop {
            if let Some(instant) = self.not_before {
                tokio::time::sleep_until(instant).await;
                self.not_before = None;
            }
            let (room, wait) = match self.partial.take() {
                None => (self.options.max, self.options.wait),
                Some((batch, since)) => match self.room(&batch, since) {
                    None => return Ok(batch),
                    Some(room) => {
                        self.partial = Some((batch, since));
                        room
                    }
                },
            };
            match subscription.poll(room, wait).await {
                Ok(batch) => {
                    self.tries.succeeded();
                    match &mut self.partial {
                        None if batch.is_empty() => return Ok(batch),
                        None => self.partial = Some((batch, Instant::now())),
                        Some((partial, _)) => partial.append(batch),
                    }
                }
                Err(error) => {
                    let wait = self.tries.failed(&error).ok_or(error)?;
                    self.not_before = Some(Instant::now() + wait);
                }
            }
        }
    }

    /// How much more a batch may take and how long it may wait for it; `None` when it is ready.
    fn room(&self, batch: &Batch, since: Instant) -> Option<(Max, Duration)> {
        let held: usize = batch
            .messages
            .iter()
            .map(|message| message.envelope.size())
            .sum();
        let room = Max {
            messages: self
                .options
                .max
                .messages
                .saturating_sub(batch.messages.len()),
            bytes: self.options.max.bytes.saturating_sub(held),
        };
        let wait = self.options.linger.saturating_sub(since.elapsed());
        (room.messages > 0 && room.bytes > 0 && !wait.is_zero()).then_some((room, wait))
    }
}
