//! How it goes: a live line on a terminal, a log line now and then anywhere else.

use std::time::Duration;

use heartbeat_core::JsonlProgress;
use indicatif::{HumanCount, ProgressBar, ProgressStyle};
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::task::AbortOnDropHandle;
use tracing::info;

use crate::cli::context::Context;
use crate::cli::done::{Done, Tally, rate};
use crate::cli::mood::Mood;

/// How often the live line changes.
const LIVE: Duration = Duration::from_millis(200);

/// How often a log line tells how it goes.
const LOGGED: Duration = Duration::from_secs(10);

/// The rate is that of at least so long.
const RATE_OVER: Duration = Duration::from_secs(2);

/// What is shown.
#[derive(Debug)]
pub(crate) struct Status {
    pub(crate) tally: Tally,
    pub(crate) mood: Option<Mood>,
    pub(crate) file: Option<JsonlProgress>,
}

impl Status {
    /// Shows it until the handle is dropped.
    pub(crate) fn show(self, context: &Context) -> Shown {
        let bar = context.live.then(|| context.progress.add(self.bar()));
        let task = tokio::spawn(self.keep_showing(bar.clone()));
        Shown {
            bar,
            _task: AbortOnDropHandle::new(task),
        }
    }

    fn bar(&self) -> ProgressBar {
        let total = self.file.as_ref().and_then(JsonlProgress::total);
        let (bar, template) = match total {
            Some(total) => (
                ProgressBar::new(total),
                "{spinner} {bar:16} {bytes} of {total_bytes}  {wide_msg}",
            ),
            None => (ProgressBar::new_spinner(), "{spinner} {wide_msg}"),
        };
        match ProgressStyle::with_template(template) {
            Ok(style) => bar.with_style(style.progress_chars("━━╌")),
            Err(_) => bar, // the templates above are right
        }
    }

    async fn keep_showing(self, bar: Option<ProgressBar>) {
        let mut ticks = interval(if bar.is_some() { LIVE } else { LOGGED });
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        ticks.tick().await;
        let mut pace = Pace::new();
        loop {
            ticks.tick().await;
            let done = self.tally.done();
            let per_second = pace.of(&done);
            match &bar {
                Some(bar) => {
                    if let Some(file) = &self.file {
                        bar.set_position(file.read());
                    }
                    bar.set_message(self.line(&done, per_second));
                    bar.tick();
                }
                None => info!(
                    dead_letters = done.dead_letters(),
                    per_second = per_second.map(f64::round),
                    "So far {}.",
                    done.counts()
                ),
            }
        }
    }

    fn line(&self, done: &Done, per_second: Option<f64>) -> String {
        let mut parts = vec![done.counts()];
        match done.dead_letters() {
            0 => {}
            letters => parts.push(format!("dead {}", HumanCount(letters))),
        }
        if let Some(per_second) = per_second {
            parts.push(format!("{}/s", HumanCount(per_second.round() as u64)));
        }
        if let Some(mood) = &self.mood {
            parts.push(format!("mood {mood}"));
        }
        parts.join("  ")
    }
}

/// The status while it is shown.
#[derive(Debug)]
pub(crate) struct Shown {
    bar: Option<ProgressBar>,
    _task: AbortOnDropHandle<()>,
}

impl Drop for Shown {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// The rate of late.
struct Pace {
    since: Instant,
    written: u64,
    per_second: Option<f64>,
}

impl Pace {
    fn new() -> Self {
        Self {
            since: Instant::now(),
            written: 0,
            per_second: None,
        }
    }

    /// Messages a second; `None` before that can be told.
    fn of(&mut self, done: &Done) -> Option<f64> {
        let over = self.since.elapsed();
        if over >= RATE_OVER {
            self.per_second = Some(rate(done.written() - self.written, over));
            self.since = Instant::now();
            self.written = done.written();
        }
        self.per_second
    }
}
