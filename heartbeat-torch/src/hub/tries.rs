//! Trying again what may pass, a few times.

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use heartbeat_core::{Error, Result};
use tracing::warn;

/// So often a failure that may pass is tried again: three to six seconds in all.
const TRIES: usize = 4;

/// Whoever asks to be left alone for longer gets no second try.
const LONGEST: Duration = Duration::from_secs(60);

/// The tries that are left.
#[derive(Debug)]
pub(super) struct Tries(ExponentialBackoff);

impl Default for Tries {
    fn default() -> Self {
        let waits = ExponentialBuilder::default()
            .with_min_delay(Duration::from_millis(200))
            .with_factor(2.0)
            .with_max_times(TRIES)
            .with_jitter();
        Self(waits.build())
    }
}

impl Tries {
    /// Waits after a failure that may pass; gives any other back, and this one too when no try is
    /// left.
    pub(super) async fn again(&mut self, error: Error) -> Result<()> {
        let asked = error.wait_before_retry().unwrap_or_default();
        if !error.is_retryable() || asked > LONGEST {
            return Err(error);
        }
        let Some(wait) = self.0.next() else {
            return Err(error);
        };
        let wait = wait.max(asked);
        warn!(
            error = error.report(),
            wait_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX),
            "Trying the Hub again after a failure that may pass."
        );
        tokio::time::sleep(wait).await;
        Ok(())
    }
}
