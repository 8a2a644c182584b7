//! The stage that takes posts in.

use std::time::Instant;

use tracing::{Instrument, debug, info, info_span};

use crate::bus::{Bus, Progress};
use crate::dead_letter::DeadLetter;
use crate::error::{ErrorKind, Result};
use crate::message::Output;
use crate::retry::Tries;
use crate::source::{Position, Source, SourceBatch};
use crate::stage::pipeline::bury;
use crate::stage::{Stage, StageOptions, Summary};

/// Reads a source and publishes its tweets.
///
/// The source's position is published with its tweets in one atomic step, so that a source that can be
/// resumed is read exactly once, however often this is stopped or killed, and also when several
/// processes read the same source: whoever is first with a piece has it, the others go on behind it.
/// The next posts are read while the last ones are published.
///
/// Ends when the source ends or [`StageOptions::shutdown`] is cancelled.
///
/// # Errors
/// Any that does not pass and is no single post's fault.
pub async fn ingest(
    source: &mut dyn Source,
    bus: &dyn Bus,
    options: &StageOptions,
) -> Result<Summary> {
    let span = info_span!("ingest", source = source.name());
    let stage = Ingest { bus, options };
    match stage.run(source).instrument(span).await {
        // A try that was broken off by the shutdown: what was not published is read again.
        Err(error) if error.is_retryable() && options.shutdown.is_cancelled() => {
            Ok(options.counters.summary())
        }
        done => done.map(|()| options.counters.summary()),
    }
}

struct Ingest<'a> {
    bus: &'a dyn Bus,
    options: &'a StageOptions,
}

impl Ingest<'_> {
    async fn run(&self, source: &mut dyn Source) -> Result<()> {
        let name = source.name().to_owned();
        let mut at = self.stored_position(&name).await?;
        let from = at.clone().filter(|_| !self.options.from_start);
        match &from {
            Some(position) => info!(%position, "Goes on where the last run stopped."),
            None => info!("Reads the source from where it begins."),
        }
        source.resume(from).await?;

        let mut next = self.read(source).await?;
        while let Some(batch) = next {
            let publish = self.publish(&name, at.as_ref(), batch);
            // What becomes of the one does not wait for the other, which may take as long as nobody posts.
            let read = async { Ok(self.read(source).await) };
            match tokio::try_join!(publish, read) {
                Ok((position, following)) => {
                    at = position.or(at);
                    next = following?;
                }
                Err(error) if error.kind() == ErrorKind::Rebalanced => {
                    info!(
                        error = error.report(),
                        "Another process has read this: goes on behind it."
                    );
                    self.options.counters.rebalanced();
                    at = self.stored_position(&name).await?;
                    source.resume(at.clone()).await?;
                    next = self.read(source).await?;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    async fn stored_position(&self, source: &str) -> Result<Option<Position>> {
        Tries::new("read the position", self.options)
            .run(|| self.bus.position(source))
            .await
    }

    /// The next posts; `None` at the source's end or when the stage is told to stop.
    async fn read(&self, source: &mut dyn Source) -> Result<Option<SourceBatch>> {
        let mut tries = Tries::new("read the source", self.options);
        let batch = loop {
            let batch = tokio::select! {
                biased;
                () = self.options.shutdown.cancelled() => Ok(None),
                batch = source.next_batch(self.options.max.messages) => batch,
            };
            match batch {
                Ok(batch) => break batch,
                Err(error) => tries.again(error).await?,
            }
        };
        if let Some(batch) = &batch {
            self.options
                .counters
                .read(batch.tweets.len() + batch.rejected.len());
        }
        Ok(batch)
    }

    /// Publishes a batch; gives the position behind it.
    async fn publish(
        &self,
        source: &str,
        at: Option<&Position>,
        batch: SourceBatch,
    ) -> Result<Option<Position>> {
        let started = Instant::now();
        let topic = &self.options.topics.ingest;
        let (mut tweets, mut dead_letters) = (batch.tweets.len(), batch.rejected.len());
        let mut outputs = Vec::with_capacity(tweets + dead_letters);
        for tweet in &batch.tweets {
            outputs.push(Output {
                topic: topic.clone(),
                envelope: tweet.to_envelope()?,
            });
        }
        outputs.extend(
            batch
                .rejected
                .into_iter()
                .map(|rejected| DeadLetter::of_input(source, topic, rejected).into_output()),
        );
        let progress = batch.position.clone().map(|to| Progress {
            source: source.to_owned(),
            from: at.cloned(),
            to,
        });
        loop {
            let result = Tries::new("publish", self.options)
                .run(|| self.bus.publish(&outputs, progress.clone()))
                .await;
            match result {
                Err(error) if error.kind() == ErrorKind::Invalid => {
                    if bury(&mut outputs, Stage::Ingest, source, error)? {
                        tweets -= 1;
                        dead_letters += 1;
                    }
                }
                result => break result?,
            }
        }
        let seconds = started.elapsed().as_secs_f64();
        debug!(tweets, seconds, "Published a batch.");
        self.options
            .counters
            .committed(tweets, dead_letters, seconds);
        Ok(batch.position)
    }
}
