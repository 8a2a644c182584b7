//! Stages at work in this process.

use std::sync::Arc;
use std::time::Duration;

use heartbeat_core::{
    Analyzer, Bus, Counters, Error, Result, Source, Stage, StageOptions, Store, Summary, analyze,
    ingest, transfer,
};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

/// What is left for the rest once the stages have had their time to drain and to leave their groups.
const MARGIN: Duration = Duration::from_secs(5);

/// The stages that work in this process. When one fails, the others are told to stop.
#[derive(Debug)]
pub(crate) struct Flow {
    bus: Arc<dyn Bus>,
    store: Option<Arc<dyn Store>>,
    stop: CancellationToken,
    tasks: JoinSet<(Stage, Result<Summary>)>,
    /// The longest that any of them may take to drain.
    drain: Duration,
    counters: Vec<(Stage, Arc<Counters>)>,
}

impl Flow {
    /// No stage yet; those to come work over `bus` until `stop` is cancelled.
    pub(crate) fn new(bus: Arc<dyn Bus>, stop: CancellationToken) -> Self {
        Self {
            bus,
            store: None,
            stop,
            tasks: JoinSet::new(),
            drain: Duration::ZERO,
            counters: Vec::new(),
        }
    }

    /// Starts the stage that takes posts in; gives what is cancelled when it has ended.
    pub(crate) fn ingest(
        &mut self,
        mut source: Box<dyn Source>,
        options: StageOptions,
    ) -> CancellationToken {
        let bus = self.bus.clone();
        self.start(Stage::Ingest, options, async move |options| {
            ingest(source.as_mut(), bus.as_ref(), &options).await
        })
    }

    /// Starts the stage that scores; gives what is cancelled when it has ended.
    pub(crate) fn analyze(
        &mut self,
        analyzer: Arc<dyn Analyzer>,
        options: StageOptions,
    ) -> CancellationToken {
        let bus = self.bus.clone();
        self.start(Stage::Analyze, options, async move |options| {
            analyze(bus.as_ref(), analyzer, &options).await
        })
    }

    /// Starts the stage that stores; gives what is cancelled when it has ended.
    pub(crate) fn transfer(
        &mut self,
        store: Arc<dyn Store>,
        options: StageOptions,
    ) -> CancellationToken {
        let bus = self.bus.clone();
        self.store = Some(store.clone());
        self.start(Stage::Transfer, options, async move |options| {
            transfer(bus.as_ref(), store, &options).await
        })
    }

    fn start<F>(
        &mut self,
        stage: Stage,
        mut options: StageOptions,
        work: impl FnOnce(StageOptions) -> F,
    ) -> CancellationToken
    where
        F: Future<Output = Result<Summary>> + Send + 'static,
    {
        options.shutdown = self.stop.clone();
        self.drain = self.drain.max(options.drain);
        self.counters.push((stage, options.counters.clone()));
        let ended = CancellationToken::new();
        let guard = ended.clone().drop_guard();
        let work = work(options);
        self.tasks.spawn(async move {
            let done = work.await;
            drop(guard);
            (stage, done)
        });
        ended
    }

    /// What each stage has done so far, in the order they were started.
    pub(crate) fn counters(&self) -> Vec<(Stage, Arc<Counters>)> {
        self.counters.clone()
    }

    /// Waits until all stages have ended, and closes the bus and the store behind them.
    ///
    /// # Errors
    /// That of the stage that failed first; or that they did not stop in time.
    pub(crate) async fn finish(mut self) -> Result<()> {
        let ended = self.ended().await;
        let close = async {
            self.bus.close().await?;
            match &self.store {
                Some(store) => store.close().await,
                None => Ok(()),
            }
        };
        match tokio::time::timeout(MARGIN, close).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => warn!(error = error.report(), "Could not close bus and store."),
            Err(_) => warn!("Bus and store did not close in time."),
        }
        ended
    }

    async fn ended(&mut self) -> Result<()> {
        let limit = 2 * self.drain + MARGIN;
        let stop = self.stop.clone();
        let overdue = async {
            stop.cancelled().await;
            tokio::time::sleep(limit).await;
        };
        tokio::pin!(overdue);
        let mut first = Ok(());
        loop {
            let ended = tokio::select! {
                ended = self.tasks.join_next() => ended,
                () = &mut overdue => {
                    return first.and(Err(Error::unavailable("the stages did not stop in time")
                        .with("limit", format!("{limit:?}"))
                        .hint("Nothing is lost: what was not committed is done again.")));
                }
            };
            let failure = match ended {
                None => return first,
                Some(Ok((stage, Ok(_)))) => {
                    if stage == Stage::Ingest && !self.stop.is_cancelled() {
                        info!("The source has ended.");
                    }
                    continue;
                }
                Some(Ok((stage, Err(error)))) => error.with("stage", stage),
                Some(Err(panic)) => Error::internal("a stage panicked").caused_by(panic),
            };
            self.stop.cancel();
            if first.is_ok() {
                first = Err(failure);
            } else {
                error!(error = failure.report(), "Another stage failed too.");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use async_trait::async_trait;
    use heartbeat_core::{Output, PartitionLag, Position, Progress, Subscription, Topic};
    use heartbeat_mock::{FakeConfig, FakeSource};

    use super::*;

    /// A bus that never answers when something is published.
    #[derive(Debug)]
    struct Stuck;

    #[async_trait]
    impl Bus for Stuck {
        async fn publish(&self, _: &[Output], _: Option<Progress>) -> Result<()> {
            std::future::pending().await
        }

        async fn position(&self, _: &str) -> Result<Option<Position>> {
            Ok(None)
        }

        async fn subscribe(&self, topic: &Topic, _: &str) -> Result<Box<dyn Subscription>> {
            Err(Error::misconfigured("no such topic").with("topic", topic))
        }

        async fn lag(&self, _: &Topic, _: &str) -> Result<Vec<PartitionLag>> {
            Ok(Vec::new())
        }

        async fn close(&self) -> Result<()> {
            Ok(())
        }
    }

    fn ingesting(stop: &CancellationToken) -> Flow {
        let source = FakeSource::new(FakeConfig::default()).unwrap();
        let mut flow = Flow::new(Arc::new(Stuck), stop.clone());
        flow.ingest(Box::new(source), StageOptions::new(Stage::Ingest));
        flow
    }

    #[tokio::test(start_paused = true)]
    async fn a_stage_that_does_not_stop_is_given_up() {
        let stop = CancellationToken::new();
        let flow = ingesting(&stop);
        tokio::time::sleep(Duration::from_secs(1)).await;
        stop.cancel();
        let error = flow.finish().await.unwrap_err();
        assert!(
            error.to_string().contains("did not stop in time"),
            "{error}"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_failure_is_told_though_another_stage_does_not_stop() {
        let stop = CancellationToken::new();
        let mut flow = ingesting(&stop);
        let store = Arc::new(heartbeat_mock::MemoryStore::new());
        flow.transfer(store, StageOptions::new(Stage::Transfer));
        let error = flow.finish().await.unwrap_err();
        assert!(error.to_string().contains("no such topic"), "{error}");
        assert!(error.to_string().contains("stage transfer"), "{error}");
        assert!(stop.is_cancelled());
    }
}
