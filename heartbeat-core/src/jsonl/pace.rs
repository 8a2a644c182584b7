//! When recorded posts are due.

use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use crate::error::{Error, Result};

/// Plays a recording by its own clock, faster or slower.
#[derive(Debug)]
pub(super) struct Pace {
    speed: f64,
    /// When the first post was given, and when it had come in.
    start: Option<(Instant, SystemTime)>,
}

impl Pace {
    pub(super) fn new(speed: f64) -> Result<Self> {
        if !(speed > 0.0 && speed.is_finite()) {
            return Err(Error::misconfigured("a recording cannot be played so fast")
                .with("speed", speed)
                .hint("Give a number above 0, such as 1 or 60, or none for as fast as can be."));
        }
        Ok(Self { speed, start: None })
    }

    /// Begins anew with the next post.
    pub(super) fn restart(&mut self) {
        self.start = None;
    }

    /// When a post is due that came in `at`. The first is due now, and so is one that lies before it.
    pub(super) fn due(&mut self, at: SystemTime) -> Instant {
        let (start, first) = *self.start.get_or_insert_with(|| (Instant::now(), at));
        let since = at.duration_since(first).unwrap_or_default();
        let wait = Duration::try_from_secs_f64(since.as_secs_f64() / self.speed);
        // Out of range, it is never.
        let due = wait.ok().and_then(|wait| start.checked_add(wait));
        due.unwrap_or_else(|| start + Duration::from_secs(u32::MAX.into()))
    }
}
