//! What `analyze` and `transfer` share: read a topic, work on its batches, commit them in order.

use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;
use futures_util::StreamExt;
use futures_util::future::{BoxFuture, OptionFuture};
use futures_util::stream::FuturesOrdered;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use tracing::{Instrument, Span, debug, info, warn};

use crate::bus::{Batch, Bus, Checkpoint, Subscription};
use crate::dead_letter::DeadLetter;
use crate::error::{Error, ErrorKind, Result};
use crate::message::{Message, Output, Topic};
use crate::retry::Tries;
use crate::stage::fetch::Fetch;
use crate::stage::{Idle, Stage, StageOptions, Summary};

/// What a stage does with messages.
#[async_trait]
pub(super) trait Work: Send + Sync + 'static {
    /// Does it, trying again what may pass. An error ends the stage.
    async fn handle(&self, messages: Vec<Message>) -> Result<Handled>;
}

/// What became of a batch.
#[derive(Debug, Default)]
pub(super) struct Handled {
    /// To be published with the commit: results and dead letters.
    pub(super) outputs: Vec<Output>,
    /// How many messages came to their end.
    pub(super) written: usize,
    /// How many of the outputs are dead letters.
    pub(super) dead_letters: usize,
}

/// One stage that reads a topic.
pub(super) struct Pipeline<'a> {
    pub(super) stage: Stage,
    pub(super) bus: &'a dyn Bus,
    pub(super) topic: &'a Topic,
    pub(super) work: Arc<dyn Work>,
    /// Whether one batch must be done before the next may begin.
    pub(super) one_at_a_time: bool,
    pub(super) options: &'a StageOptions,
}

/// A batch that is being worked on.
struct Running {
    checkpoint: Checkpoint,
    messages: usize,
    tokens: usize,
    since: Instant,
    result: Result<Handled>,
}

impl Pipeline<'_> {
    /// Reads until it is idle or told to stop.
    pub(super) async fn run(self) -> Result<Summary> {
        let options = self.options;
        let subscribed = Tries::new("subscribe", options)
            .run(|| self.bus.subscribe(self.topic, &options.group))
            .await;
        let mut subscription = match subscribed {
            Err(error) if self.gave_up(&error) => return Ok(options.counters.summary()),
            subscribed => subscribed?,
        };
        info!(topic = %self.topic, group = options.group, "Reads the topic.");

        let consumer = Consumer {
            pipeline: &self,
            fetch: Fetch::new(options),
            waiting: None,
            running: FuturesOrdered::new(),
            messages: 0,
            tokens: 0,
            empty_polls: 0,
        };
        let overtime = async {
            options.shutdown.cancelled().await;
            tokio::time::sleep(options.drain).await;
        };
        let outcome = tokio::select! {
            outcome = consumer.run(subscription.as_mut()) => outcome,
            () = overtime => {
                warn!(drain = ?options.drain, "Work in flight took too long and is given back.");
                Ok(())
            }
        };
        options.counters.in_flight(0);
        let closed = match tokio::time::timeout(options.drain, subscription.close()).await {
            Ok(closed) => closed,
            Err(_) => Err(Error::unavailable("leaving the group took too long")),
        };
        match (outcome, closed) {
            (Err(error), _) if !self.gave_up(&error) => Err(error),
            (_, Err(error)) => {
                // The group's other members wait for the lease to end; nothing is lost.
                warn!(error = error.report(), "Could not leave the group.");
                Ok(options.counters.summary())
            }
            _ => Ok(options.counters.summary()),
        }
    }

    /// Whether `error` is only a try that was broken off by the shutdown.
    fn gave_up(&self, error: &Error) -> bool {
        error.is_retryable() && self.options.shutdown.is_cancelled()
    }
}

/// A pipeline at work.
struct Consumer<'a> {
    pipeline: &'a Pipeline<'a>,
    fetch: Fetch<'a>,
    /// The batch that was fetched ahead.
    waiting: Option<Batch>,
    running: FuturesOrdered<BoxFuture<'static, Running>>,
    /// How much is running.
    messages: usize,
    tokens: usize,
    empty_polls: u32,
}

impl Consumer<'_> {
    async fn run(mut self, subscription: &mut dyn Subscription) -> Result<()> {
        let options = self.pipeline.options;
        let mut stopping = false;
        // Wakes the loop once; from then on `is_through` sees it.
        let upstream = match &options.idle {
            Idle::WhenDrained(upstream) => Some(upstream),
            _ => None,
        };
        let mut awaits_upstream = upstream.is_some();
        loop {
            if !stopping {
                self.start_waiting();
                stopping = self.is_through().await?;
            }
            if stopping && self.running.is_empty() {
                return Ok(());
            }
            tokio::select! {
                biased;
                () = options.shutdown.cancelled(), if !stopping => {
                    info!(in_flight = self.messages, "Stops: finishes what is in flight.");
                    stopping = true;
                    // Fetched and not begun: given back.
                    self.waiting = None;
                }
                Some(()) = OptionFuture::from(upstream.map(CancellationToken::cancelled)), if awaits_upstream => {
                    awaits_upstream = false;
                }
                batch = self.fetch.next(subscription), if !stopping && self.waiting.is_none() => {
                    let batch = batch?;
                    if batch.is_empty() {
                        self.empty_polls += 1;
                    } else {
                        self.empty_polls = 0;
                        options.counters.read(batch.messages.len());
                        self.waiting = Some(batch);
                    }
                }
                // Last, so that there is work to do while this waits.
                Some(done) = self.running.next() => self.finish(subscription, done).await?,
            }
        }
    }

    /// Begins the batch that waits, if there is room for it.
    fn start_waiting(&mut self) {
        let Some(batch) = &self.waiting else { return };
        let tokens = batch
            .messages
            .iter()
            .map(|message| message.envelope.payload.len().div_ceil(4))
            .sum::<usize>();
        let messages = batch.messages.len();
        let limit = self.pipeline.options.in_flight;
        let room = !self.pipeline.one_at_a_time
            && self.messages + messages <= limit.messages
            && self.tokens + tokens <= limit.tokens;
        if !room && !self.running.is_empty() {
            return;
        }
        let Some(batch) = self.waiting.take() else {
            return;
        };
        self.messages += messages;
        self.tokens += tokens;
        self.pipeline.options.counters.in_flight(self.messages);

        let work = self.pipeline.work.clone();
        let since = Instant::now();
        let task = tokio::spawn(
            async move { work.handle(batch.messages).await }.instrument(Span::current()),
        );
        let task = AbortOnDropHandle::new(task);
        self.running.push_back(Box::pin(async move {
            let result = task.await.unwrap_or_else(|panic| {
                Err(Error::internal("the stage's work panicked").caused_by(panic))
            });
            Running {
                checkpoint: batch.checkpoint,
                messages,
                tokens,
                since,
                result,
            }
        }));
    }

    /// Commits a batch whose work is done.
    async fn finish(&mut self, subscription: &mut dyn Subscription, done: Running) -> Result<()> {
        let Pipeline { stage, options, .. } = self.pipeline;
        self.messages -= done.messages;
        self.tokens -= done.tokens;
        let mut handled = done.result?;
        let mut tries = Tries::new("commit", options);
        while let Err(error) = subscription
            .commit(&done.checkpoint, &handled.outputs)
            .await
        {
            match error.kind() {
                ErrorKind::Rebalanced => {
                    info!(
                        error = error.report(),
                        "A partition moved: its new owner does the work."
                    );
                    options.counters.rebalanced();
                    self.start_over();
                    return Ok(());
                }
                ErrorKind::Invalid => {
                    if bury(&mut handled.outputs, *stage, &options.group, error)? {
                        handled.written -= 1;
                        handled.dead_letters += 1;
                    }
                }
                _ => tries.again(error).await?,
            }
        }
        tries.succeeded();
        let seconds = done.since.elapsed().as_secs_f64();
        debug!(
            messages = done.messages,
            outputs = handled.outputs.len(),
            seconds,
            "Committed a batch."
        );
        options
            .counters
            .committed(handled.written, handled.dead_letters, seconds);
        options.counters.in_flight(self.messages);
        Ok(())
    }

    /// Forgets what was polled: it is void.
    fn start_over(&mut self) {
        self.running.clear();
        self.waiting = None;
        self.fetch.start_over();
        self.messages = 0;
        self.tokens = 0;
    }

    /// Whether it is time to end and the group has committed all there is.
    async fn is_through(&mut self) -> Result<bool> {
        let Pipeline {
            bus,
            topic,
            options,
            ..
        } = self.pipeline;
        let may_end = match &options.idle {
            Idle::Never => false,
            Idle::AfterEmptyPolls(polls) => self.empty_polls >= *polls,
            Idle::WhenDrained(upstream) => upstream.is_cancelled(),
        };
        if !may_end || self.waiting.is_some() || !self.running.is_empty() {
            return Ok(false);
        }
        let lag = Tries::new("read the lag", options)
            .run(|| bus.lag(topic, &options.group))
            .await?;
        Ok(lag.iter().all(|partition| partition.messages == 0))
    }
}

/// Replaces the output that `error` names by its dead letter, its value cut short. Gives whether it was none before.
///
/// # Errors
/// `error` itself when it names none, or when that is a short dead letter already.
pub(super) fn bury(
    outputs: &mut [Output],
    stage: Stage,
    reader: &str,
    error: Error,
) -> Result<bool> {
    let refused = match error.item() {
        Some(index) if error.kind() == ErrorKind::Invalid => outputs.get_mut(index),
        _ => None,
    };
    match refused {
        Some(output) if !DeadLetter::is_short(output) => {
            let lived = !DeadLetter::is_one(output);
            let letter = DeadLetter::of_output(stage, reader, output.clone(), &error);
            *output = letter.into_output();
            Ok(lived)
        }
        _ => Err(error),
    }
}
