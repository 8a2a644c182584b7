//! What stages have done, in numbers.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use heartbeat_core::{Counters, Stage};
use indicatif::HumanCount;
use serde::Serialize;

/// Counts what stages do from now on.
#[derive(Debug, Clone)]
pub(crate) struct Tally {
    stages: Vec<(Stage, Arc<Counters>)>,
    since: Instant,
}

/// What was done; nothing is said of stages that did not run here.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub(crate) struct Done {
    /// Posts or messages that the first of the stages read.
    read: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    published: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    scored: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stored: Option<u64>,
    dead_letters: u64,
    retries: u64,
    seconds: f64,
    /// What came to its end in the last of the stages, each second.
    per_second: f64,
}

impl Tally {
    pub(crate) fn new(stages: Vec<(Stage, Arc<Counters>)>) -> Self {
        Self {
            stages,
            since: Instant::now(),
        }
    }

    /// What was done so far.
    pub(crate) fn done(&self) -> Done {
        let mut done = Done::default();
        let mut written = 0;
        for (index, (stage, counters)) in self.stages.iter().enumerate() {
            let summary = counters.summary();
            if index == 0 {
                done.read = summary.read;
            }
            written = summary.written;
            match stage {
                Stage::Ingest => done.published = Some(written),
                Stage::Analyze => done.scored = Some(written),
                Stage::Transfer => done.stored = Some(written),
            }
            done.dead_letters += summary.dead_letters;
            done.retries += summary.retries;
        }
        done.seconds = self.since.elapsed().as_secs_f64();
        done.per_second = rate(written, self.since.elapsed());
        done
    }
}

impl Done {
    /// What came to its end in the last of the stages.
    pub(crate) fn written(&self) -> u64 {
        let last = self.stored.or(self.scored).or(self.published);
        last.unwrap_or_default()
    }

    /// The counts in a few words each.
    pub(crate) fn counts(&self) -> String {
        // What is published is all that is read but dead letters: it is told where nothing follows.
        let published = self.published.filter(|_| self.scored.is_none());
        let mut counts = format!("read {}", HumanCount(self.read));
        for (what, count) in [
            ("published", published),
            ("scored", self.scored),
            ("stored", self.stored),
        ] {
            if let Some(count) = count {
                counts.push_str(&format!(", {what} {}", HumanCount(count)));
            }
        }
        counts
    }

    pub(crate) fn dead_letters(&self) -> u64 {
        self.dead_letters
    }
}

impl fmt::Display for Done {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts = self.counts();
        let (seconds, per_second) = (self.seconds, HumanCount(self.per_second.round() as u64));
        let letters = match self.dead_letters {
            0 => "no dead letters".to_owned(),
            1 => "1 dead letter".to_owned(),
            more => format!("{} dead letters", HumanCount(more)),
        };
        write!(
            f,
            "{counts}, {letters}, in {seconds:.1} s ({per_second} a second)"
        )?;
        if self.dead_letters > 0 {
            write!(
                f,
                "\n`heartbeat dead-letters list` tells what failed and why."
            )?;
        }
        Ok(())
    }
}

/// So many in so long, each second.
pub(crate) fn rate(count: u64, time: Duration) -> f64 {
    let seconds = time.as_secs_f64();
    if seconds > 0.0 {
        count as f64 / seconds
    } else {
        0.0
    }
}
