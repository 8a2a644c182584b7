//! Posts are paid for: counts them, and tells when they are spent.

use std::fs;
use std::io::ErrorKind::NotFound;
use std::path::{Path, PathBuf};
use std::time::Duration;

use heartbeat_core::{Error, Result};
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::Offset;
use serde::{Deserialize, Serialize};
use tracing::{info, warn};

use crate::config::BudgetConfig;

/// The file says so many posts more than have come, so that none is missing in it after a crash.
const AHEAD: u64 = 25;

/// When so many percent of a budget are spent, that is told.
const WARNINGS: [u64; 3] = [50, 80, 95];

/// Counts posts against a budget.
#[derive(Debug)]
pub(crate) struct Meter {
    spans: Vec<Span>,
    path: PathBuf,
    /// What is in it. A span without a limit now is kept: it is still true.
    file: File,
    /// The posts that may come before the file has to be written again.
    written_ahead: u64,
}

/// A day or a month, and what of its budget is spent.
#[derive(Debug)]
struct Span {
    name: &'static str,
    most: u64,
    /// Its first day.
    first: Date,
    spent: u64,
    warned: u64,
    /// What came in this run, and since when: for a forecast.
    came: u64,
    since: Timestamp,
}

/// What the file holds.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
struct File {
    day: Option<Count>,
    month: Option<Count>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Count {
    /// The first day of what is counted.
    from: Date,
    posts: u64,
}

impl Meter {
    /// Goes on with the count of the file.
    pub(crate) fn open(budget: &BudgetConfig, now: Timestamp) -> Result<Self> {
        let mut meter = Self {
            spans: Vec::new(),
            path: budget.file.clone(),
            file: File::default(),
            written_ahead: 0,
        };
        if budget.day.is_none() && budget.month.is_none() {
            return Ok(meter);
        }
        meter.file = read(&meter.path)?;
        let file = meter.file.clone();
        for (name, most, count) in [
            ("day", budget.day, file.day),
            ("month", budget.month, file.month),
        ] {
            if let Some(most) = most {
                let first = first_day(name, now);
                let before = count.filter(|count| count.from == first);
                meter.spans.push(Span {
                    name,
                    most,
                    first,
                    spent: before.map_or(0, |count| count.posts),
                    warned: 0,
                    came: 0,
                    since: now,
                });
            }
        }
        // That it can be written is known before the first post is paid for.
        meter.write(0)?;
        Ok(meter)
    }

    /// The budget that is spent, if one is.
    pub(crate) fn spent(&mut self, now: Timestamp) -> Option<&'static str> {
        for span in &mut self.spans {
            span.turn(now);
        }
        self.spans
            .iter()
            .find(|span| span.spent >= span.most)
            .map(|span| span.name)
    }

    /// Counts a post.
    pub(crate) fn count(&mut self, now: Timestamp) -> Result<()> {
        if self.spans.is_empty() {
            return Ok(());
        }
        for span in &mut self.spans {
            span.turn(now);
            span.spent += 1;
            span.came += 1;
            span.warn(now);
        }
        match self.written_ahead.checked_sub(1) {
            Some(left) => {
                self.written_ahead = left;
                Ok(())
            }
            None => self.write(AHEAD),
        }
    }

    /// Writes what is spent, without what was counted ahead.
    pub(crate) fn close(&mut self) -> Result<()> {
        match self.spans.is_empty() {
            true => Ok(()),
            false => self.write(0),
        }
    }

    fn write(&mut self, ahead: u64) -> Result<()> {
        for span in &self.spans {
            let count = Some(Count {
                from: span.first,
                posts: span.spent + ahead,
            });
            match span.name {
                "day" => self.file.day = count,
                _ => self.file.month = count,
            }
        }
        let failed = |error| {
            Error::misconfigured("cannot write down how many posts were paid for")
                .with("path", self.path.display())
                .caused_by(error)
                .hint("Name another `file` in the config's `[source.budget]`.")
        };
        let text = serde_json::to_string(&self.file).map_err(|error| failed(error.into()))?;
        let new = self.path.with_extension("new");
        fs::write(&new, text).map_err(failed)?;
        fs::rename(&new, &self.path).map_err(failed)?;
        self.written_ahead = ahead;
        Ok(())
    }
}

impl Span {
    /// Begins anew when its time is over.
    fn turn(&mut self, now: Timestamp) {
        let first = first_day(self.name, now);
        if first > self.first {
            info!(
                span = self.name,
                spent = self.spent,
                "A new budget of posts begins."
            );
            (self.first, self.spent, self.warned) = (first, 0, 0);
            (self.came, self.since) = (0, now);
        }
    }

    fn warn(&mut self, now: Timestamp) {
        let percent = self.spent.saturating_mul(100) / self.most.max(1);
        let passed = WARNINGS
            .into_iter()
            .filter(|warning| *warning <= percent)
            .max();
        let Some(passed) = passed.filter(|passed| *passed > self.warned) else {
            return;
        };
        self.warned = passed;
        let until = match self.forecast(now) {
            Some(at) => format!("at this rate until {at:.0}"),
            None => format!("at this rate for longer than the {}", self.name),
        };
        warn!(
            spent = self.spent,
            of = self.most,
            until,
            "{passed} % of the posts of the {} are spent.",
            self.name
        );
    }

    /// When it is spent, as posts come now; none when it lasts.
    fn forecast(&self, now: Timestamp) -> Option<Timestamp> {
        let left = self.most.saturating_sub(self.spent);
        let elapsed = Duration::try_from(now.duration_since(self.since)).unwrap_or_default();
        let seconds = elapsed.as_secs_f64() / self.came.max(1) as f64 * left as f64;
        let at = now
            .checked_add(Duration::try_from_secs_f64(seconds).ok()?)
            .ok()?;
        (first_day(self.name, at) == self.first).then_some(at)
    }
}

fn read(file: &Path) -> Result<File> {
    let failed = |error: Box<dyn std::error::Error + Send + Sync>| {
        Error::misconfigured("cannot read how many posts were paid for")
            .with("path", file.display())
            .caused_by(error)
            .hint("Name another `file` in the config's `[source.budget]`, or remove that one to count from 0.")
    };
    match fs::read(file) {
        Ok(text) => serde_json::from_slice(&text).map_err(|error| failed(error.into())),
        Err(error) if error.kind() == NotFound => Ok(File::default()),
        Err(error) => Err(failed(error.into())),
    }
}

/// The first day of the day or the month, in UTC.
fn first_day(span: &str, now: Timestamp) -> Date {
    let today = Offset::UTC.to_datetime(now).date();
    match span {
        "day" => today,
        _ => today.first_of_month(),
    }
}

#[cfg(test)]
mod tests {
    use jiff::ToSpan;
    use tempfile::TempDir;

    use super::*;

    fn time(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn budget(dir: &TempDir, day: Option<u64>, month: Option<u64>) -> BudgetConfig {
        let file = dir.path().join("spent.json");
        BudgetConfig { day, month, file }
    }

    #[test]
    fn a_budget_is_spent_post_by_post_and_new_with_the_next_day_and_month() {
        let dir = tempfile::tempdir().unwrap();
        let mut now = time("2026-11-29T23:00:00Z");
        let mut meter = Meter::open(&budget(&dir, Some(3), Some(5)), now).unwrap();
        for spent in [None, None, None, Some("day")] {
            assert_eq!(meter.spent(now), spent);
            if spent.is_none() {
                meter.count(now).unwrap();
            }
        }
        now = time("2026-11-30T00:00:00Z");
        for spent in [None, None, Some("month")] {
            assert_eq!(meter.spent(now), spent);
            if spent.is_none() {
                meter.count(now).unwrap();
            }
        }
        assert_eq!(meter.spent(time("2026-12-01T00:00:00Z")), None);
    }

    #[test]
    fn the_count_survives_a_restart_and_a_crash_misses_none() {
        let dir = tempfile::tempdir().unwrap();
        let (budget, now) = (budget(&dir, Some(1000), None), time("2026-11-28T12:00:00Z"));
        let mut meter = Meter::open(&budget, now).unwrap();
        (0..100).for_each(|_| meter.count(now).unwrap());
        meter.close().unwrap();
        let mut meter = Meter::open(&budget, now).unwrap();
        assert_eq!(meter.spans[0].spent, 100);
        // Then it crashes, at each moment.
        for count in 1..=60 {
            meter.count(now).unwrap();
            let after = Meter::open(&budget, now);
            // `open` writes: what it found is what counts.
            let spent = after.unwrap().spans[0].spent;
            assert!(
                (100 + count..=100 + count + AHEAD).contains(&spent),
                "{count}: {spent}"
            );
            meter.write(meter.written_ahead).unwrap();
        }
        // The other budget's count is kept while only one is limited.
        let both = BudgetConfig {
            month: Some(7),
            ..budget.clone()
        };
        let mut meter = Meter::open(&both, now).unwrap();
        meter.count(now).unwrap();
        meter.close().unwrap();
        Meter::open(&budget, now).unwrap().count(now).unwrap();
        assert_eq!(Meter::open(&both, now).unwrap().spans[1].spent, 1);
    }

    #[test]
    fn without_a_budget_nothing_is_written() {
        let dir = tempfile::tempdir().unwrap();
        let (budget, now) = (budget(&dir, None, None), time("2026-11-28T12:00:00Z"));
        let mut meter = Meter::open(&budget, now).unwrap();
        meter.count(now).unwrap();
        meter.close().unwrap();
        assert_eq!(meter.spent(now), None);
        assert!(!budget.file.exists());
    }

    #[test]
    fn a_file_that_is_none_is_told_with_its_path() {
        let dir = tempfile::tempdir().unwrap();
        let (budget, now) = (budget(&dir, Some(1), None), time("2026-11-28T12:00:00Z"));
        fs::write(&budget.file, "{").unwrap();
        let error = Meter::open(&budget, now).unwrap_err();
        assert!(error.to_string().contains("spent.json"), "{error}");
        let budget = BudgetConfig {
            file: dir.path().join("no/such/file"),
            ..budget
        };
        let error = Meter::open(&budget, now).unwrap_err();
        assert!(error.to_string().contains("no/such/file"), "{error}");
    }

    #[test]
    fn a_forecast_goes_on_as_it_was() {
        let dir = tempfile::tempdir().unwrap();
        let start = time("2026-11-28T12:00:00Z");
        let mut meter = Meter::open(&budget(&dir, Some(1000), None), start).unwrap();
        let now = start + 1.hours();
        (0..250).for_each(|_| meter.count(now).unwrap());
        assert_eq!(meter.spans[0].forecast(now), Some(start + 4.hours()));
        assert_eq!(meter.spans[0].warned, 0);
        let now = start + 10.hours();
        (0..250).for_each(|_| meter.count(now).unwrap());
        // Not before midnight.
        assert_eq!(meter.spans[0].forecast(now), None);
        assert_eq!(meter.spans[0].warned, 50);
    }
}
