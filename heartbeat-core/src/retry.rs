//! Trying again what may pass.

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::error::{Error, Result};
use crate::stage::{Counters, StageOptions};

/// How long to wait between tries: from `first`, doubling, with jitter, up to `longest`; for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retry {
    /// The wait after the first failure.
    pub first: Duration,
    /// The longest wait.
    pub longest: Duration,
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            first: Duration::from_millis(100),
            longest: Duration::from_secs(30),
        }
    }
}

/// One operation that is tried until it succeeds, fails for good or the stage is told to stop.
#[derive(Debug)]
pub(crate) struct Tries<'a> {
    what: &'static str,
    retry: Retry,
    backoff: ExponentialBackoff,
    failures: u32,
    /// `None` when no stage counts it.
    counters: Option<&'a Counters>,
    shutdown: &'a CancellationToken,
}

impl<'a> Tries<'a> {
    pub(crate) fn new(what: &'static str, options: &'a StageOptions) -> Self {
        Self {
            counters: Some(&options.counters),
            ..options.retry.tries(what, &options.shutdown)
        }
    }

    /// Calls `operation` until it is through.
    pub(crate) async fn run<T, F>(mut self, mut operation: impl FnMut() -> F) -> Result<T>
    where
        F: Future<Output = Result<T>>,
    {
        loop {
            match operation().await {
                Ok(value) => {
                    self.succeeded();
                    return Ok(value);
                }
                Err(error) => self.again(error).await?,
            }
        }
    }

    /// Waits after a failure that may pass; gives any other back, and this one too when the stage is
    /// told to stop.
    pub(crate) async fn again(&mut self, error: Error) -> Result<()> {
        let wait = self.failed(&error).ok_or_else(|| error.clone())?;
        tokio::select! {
            biased;
            () = self.shutdown.cancelled() => Err(error),
            () = tokio::time::sleep(wait) => Ok(()),
        }
    }

    /// Notes a failure and tells how long to wait, at least as long as the other side asked; `None`
    /// when it is final.
    pub(crate) fn failed(&mut self, error: &Error) -> Option<Duration> {
        if !error.is_retryable() {
            return None;
        }
        self.failures += 1;
        if let Some(counters) = self.counters {
            counters.retried();
        }
        let wait = self.backoff.next().unwrap_or(self.retry.longest);
        let wait = wait.max(error.wait_before_retry().unwrap_or_default());
        warn!(
            what = self.what,
            error = error.report(),
            failures = self.failures,
            wait_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX),
            "Trying again after a failure that may pass."
        );
        Some(wait)
    }

    /// Notes that it works; the next failure begins with the shortest wait again.
    pub(crate) fn succeeded(&mut self) {
        if self.failures > 0 {
            info!(what = self.what, failures = self.failures, "Works again.");
            self.failures = 0;
            self.backoff = self.retry.backoff();
        }
    }
}

impl Retry {
    /// Calls `operation` until it is through, and tells in the log when it has to be called again. `what` is its name
    /// there: `open the bus`.
    ///
    /// # Errors
    /// One that does not pass, or any once `shutdown` is cancelled.
    pub async fn run<T, F>(
        self,
        what: &'static str,
        shutdown: &CancellationToken,
        operation: impl FnMut() -> F,
    ) -> Result<T>
    where
        F: Future<Output = Result<T>>,
    {
        self.tries(what, shutdown).run(operation).await
    }

    fn tries<'a>(self, what: &'static str, shutdown: &'a CancellationToken) -> Tries<'a> {
        Tries {
            what,
            retry: self,
            backoff: self.backoff(),
            failures: 0,
            counters: None,
            shutdown,
        }
    }

    fn backoff(&self) -> ExponentialBackoff {
        ExponentialBuilder::default()
            .with_min_delay(self.first)
            .with_max_delay(self.longest)
            .with_jitter()
            .without_max_times()
            .build()
    }
}
