//! Trying again what may pass, a few times.

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use heartbeat_core::{Error, Result};
use tokio::time::Instant;
use tracing::warn;

/// How long to go on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Waits {
    /// The wait after the first failure; it doubles, with jitter.
    pub(super) first: Duration,
    /// No try begins later than this after the first one.
    pub(super) within: Duration,
}

impl Default for Waits {
    fn default() -> Self {
        Self {
            first: Duration::from_millis(200),
            within: Duration::from_secs(3),
        }
    }
}

/// The tries that are left.
#[derive(Debug)]
pub(super) struct Tries {
    backoff: ExponentialBackoff,
    end: Instant,
}

impl Tries {
    pub(super) fn new(waits: Waits) -> Self {
        let backoff = ExponentialBuilder::default()
            .with_min_delay(waits.first)
            .with_factor(2.0)
            .without_max_times()
            .with_jitter();
        Self {
            backoff: backoff.build(),
            end: Instant::now() + waits.within,
        }
    }

    /// Waits after a failure that may pass, at least as long as the registry asked; gives any other
    /// back, and this one too when there is no time for another try.
    pub(super) async fn again(&mut self, error: Error) -> Result<()> {
        if !error.is_retryable() {
            return Err(error);
        }
        let Some(wait) = self.backoff.next() else {
            return Err(error);
        };
        let wait = wait.max(error.wait_before_retry().unwrap_or_default());
        // The time is looked at, not summed up: what a silent registry takes counts as well.
        let left = self.end.saturating_duration_since(Instant::now());
        if wait > left {
            return Err(error);
        }
        warn!(
            error = error.report(),
            wait_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX),
            "Trying the schema registry again after a failure that may pass."
        );
        tokio::time::sleep(wait).await;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn away() -> Error {
        Error::unavailable("away")
    }

    #[tokio::test(start_paused = true)]
    async fn what_may_pass_is_tried_for_some_seconds() {
        let start = Instant::now();
        let mut tries = Tries::new(Waits::default());
        let mut failures = 1;
        while tries.again(away()).await.is_ok() {
            failures += 1;
        }
        assert!((4..=5).contains(&failures), "{failures}");
        let waited = start.elapsed();
        assert!(waited > Duration::from_secs(1), "{waited:?}");
        assert!(waited < Duration::from_millis(3100), "{waited:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn the_registry_says_how_long_to_wait_up_to_a_limit() {
        let start = Instant::now();
        let mut tries = Tries::new(Waits::default());
        let asked = |seconds| away().retry_after(Duration::from_secs(seconds));
        tries.again(asked(2)).await.unwrap();
        assert!(start.elapsed() >= Duration::from_secs(2));
        let error = tries.again(asked(60)).await.unwrap_err();
        assert_eq!(error.wait_before_retry(), Some(Duration::from_secs(60)));
        assert!(start.elapsed() < Duration::from_secs(3));
    }

    #[tokio::test(start_paused = true)]
    async fn what_cannot_pass_is_not_tried_again() {
        let start = Instant::now();
        let mut tries = Tries::new(Waits::default());
        tries.again(Error::misconfigured("x")).await.unwrap_err();
        assert_eq!(start.elapsed(), Duration::ZERO);
    }
}
