//! [`MemoryStore`].

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use heartbeat_core::{
    Bucket, Error, Keyed, Page, PointKey, Query, Refused, Result, Sentiment, Store, TweetId,
    WriteReport, window_seconds,
};

use crate::faults::{Call, Faults};
use crate::lock::lock;
use crate::narrator::Narrator;

/// A store in memory. Clones are handles to the same store.
///
/// It keeps the contract of [`Store`] in full. A point without a task, or with a score that is no
/// share, is refused.
#[derive(Debug, Clone, Default)]
pub struct MemoryStore {
    points: Arc<Mutex<Points>>,
    faults: Faults,
    narrator: Option<Narrator>,
}

type Points = BTreeMap<PointKey, Sentiment>;

impl MemoryStore {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The same store, which tells `narrator` what is written through this handle.
    #[must_use]
    pub fn narrated(self, narrator: Narrator) -> Self {
        Self {
            narrator: Some(narrator),
            ..self
        }
    }

    /// The errors its calls shall answer, for every handle.
    #[must_use]
    pub fn faults(&self) -> &Faults {
        &self.faults
    }
}

#[async_trait]
impl Store for MemoryStore {
    async fn write(&self, points: &[Keyed<Sentiment>]) -> Result<WriteReport> {
        self.faults.before(Call::Write)?;
        let mut report = WriteReport::default();
        {
            let mut stored = lock(&self.points);
            for (index, point) in points.iter().enumerate() {
                if let Err(error) = check(point) {
                    report.refused.push(Refused { index, error });
                    continue;
                }
                stored.insert(point.into(), point.value.clone());
                if let Some(narrator) = &self.narrator {
                    narrator.stored(point);
                }
            }
        }
        self.faults.after(Call::Write)?;
        Ok(report)
    }

    async fn read(&self, query: &Query, page: &Page) -> Result<Vec<Keyed<Sentiment>>> {
        self.faults.before(Call::Read)?;
        Ok(select(&lock(&self.points), query, page.after.as_ref())
            .take(page.limit)
            .map(|(key, value)| Keyed {
                id: key.id,
                value: value.clone(),
            })
            .collect())
    }

    async fn summarize(&self, query: &Query, every: Duration) -> Result<Vec<Bucket>> {
        self.faults.before(Call::Summarize)?;
        let every = window_seconds(every)?;
        let mut sums: BTreeMap<(i64, &str), Sum> = BTreeMap::new();
        let points = lock(&self.points);
        for (_, point) in select(&points, query, None) {
            let start = i64::from(point.time).div_euclid(every) * every;
            sums.entry((start, &point.task)).or_default().add(point);
        }
        Ok(sums.into_iter().map(Sum::into_bucket).collect())
    }

    async fn close(&self) -> Result<()> {
        Ok(())
    }
}

/// The points that match and come behind `after`, in order.
fn select<'a>(
    points: &'a Points,
    query: &'a Query,
    after: Option<&PointKey>,
) -> impl Iterator<Item = (&'a PointKey, &'a Sentiment)> {
    let first = PointKey {
        time: query.from.unwrap_or(i32::MIN),
        id: TweetId(i64::MIN),
        task: String::new(),
    };
    let begin = match after {
        Some(after) if *after >= first => Bound::Excluded(after.clone()),
        _ => Bound::Included(first),
    };
    points
        .range((begin, Bound::Unbounded))
        .take_while(|(key, _)| query.to.is_none_or(|to| key.time < to))
        .filter(|(_, point)| query.matches(point))
}

fn check(point: &Keyed<Sentiment>) -> Result<()> {
    let Sentiment {
        pos,
        neu,
        neg,
        task,
        ..
    } = &point.value;
    if task.is_empty() {
        return Err(Error::invalid("a point has a task").with("id", point.id));
    }
    for (name, score) in [("pos", pos), ("neu", neu), ("neg", neg)] {
        if !(0.0..=1.0).contains(score) {
            return Err(Error::invalid("a score is a number from 0 to 1")
                .with("id", point.id)
                .with(name, score));
        }
    }
    Ok(())
}

#[derive(Default)]
struct Sum {
    count: u64,
    pos: f64,
    neu: f64,
    neg: f64,
}

impl Sum {
    fn add(&mut self, point: &Sentiment) {
        self.count += 1;
        self.pos += f64::from(point.pos);
        self.neu += f64::from(point.neu);
        self.neg += f64::from(point.neg);
    }

    fn into_bucket(((start, task), sum): ((i64, &str), Self)) -> Bucket {
        let mean = |total: f64| total / sum.count as f64;
        Bucket {
            start,
            task: task.to_owned(),
            count: sum.count,
            pos: mean(sum.pos),
            neu: mean(sum.neu),
            neg: mean(sum.neg),
        }
    }
}
