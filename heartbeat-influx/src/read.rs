//! Reading points and windows of them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering::Relaxed};
use std::time::Duration;

use heartbeat_core::{
    Bucket, Keyed, Page, PointKey, Query, Result, Sentiment, TweetId, window_seconds,
};

use crate::client::Client;
use crate::place::start_of;
use crate::query::{self, Flux, integer, string};
use crate::rows::{Row, rows};

/// The first second that a point may have, and the one behind the last.
const ALL: (i64, i64) = (i32::MIN as i64, i32::MAX as i64 + 1);

/// No more rows are asked for at once.
const MOST_ROWS: usize = 10_000;

/// Any two points of one side of 1970 are in one window that is as long as this, and so they are in a longer one.
const LONGEST_WINDOW: i64 = 1 << 32;

/// Reads what a store holds.
#[derive(Debug)]
pub(crate) struct Reader {
    client: Arc<Client>,
    /// How many seconds are looked at for one page. The server sorts all that lies in them, so it grows and shrinks with how
    /// full they are found.
    span: AtomicI64,
}

impl Reader {
    pub(crate) fn new(client: Arc<Client>) -> Self {
        Self {
            client,
            span: AtomicI64::new(60),
        }
    }

    pub(crate) async fn read(&self, query: &Query, page: &Page) -> Result<Vec<Keyed<Sentiment>>> {
        let (mut from, end) = range(query);
        let mut after = page.after.clone();
        if let Some(after) = &after {
            from = from.max(after.time.into());
        }
        let mut points = Vec::new();
        while points.len() < page.limit && from < end {
            let span = self.span.load(Relaxed);
            let to = end.min(from.saturating_add(span));
            let most = MOST_ROWS.min(page.limit - points.len());
            let found = self.points(query, (from, to), after.as_ref(), most).await?;
            if found.len() < most {
                // There is no more of it.
                from = match found.is_empty() {
                    true => self.first(query, (to, end)).await?.unwrap_or(end),
                    false => to,
                };
                self.span
                    .store(span.saturating_mul(8).min(LONGEST_WINDOW), Relaxed);
            } else if let Some(last) = found.last() {
                let used = i64::from(last.value.time) - from + 1;
                if used < (to - from) / 8 {
                    self.span.store(used.saturating_mul(2), Relaxed);
                }
                from = last.value.time.into();
                after = Some(last.into());
            }
            points.extend(found);
        }
        Ok(points)
    }

    /// The first points behind one, in a range of seconds.
    async fn points(
        &self,
        query: &Query,
        range: (i64, i64),
        after: Option<&PointKey>,
        most: usize,
    ) -> Result<Vec<Keyed<Sentiment>>> {
        let mut flux = self.flux(query, range).then(query::POINTS);
        if let Some(PointKey { time, id, task }) = after {
            flux = flux
                .then(query::BEHIND)
                .with("after", integer(start_of((*time).into())))
                .with("id", integer(id.0))
                .with("last", string(task));
        }
        let most = i64::try_from(most).unwrap_or(i64::MAX);
        let flux = flux.then(query::PAGE).with("n", integer(most));
        self.ask(flux, |row| {
            let time = row.second("_time")?;
            Ok(Keyed {
                id: TweetId(row.number("id")?),
                value: Sentiment {
                    time: i32::try_from(time).unwrap_or(if time < 0 { i32::MIN } else { i32::MAX }),
                    task: row.text("task")?.to_owned(),
                    pos: share(row, "pos")?,
                    neu: share(row, "neu")?,
                    neg: share(row, "neg")?,
                },
            })
        })
        .await
    }

    /// The second of the first point in a range of seconds.
    async fn first(&self, query: &Query, range: (i64, i64)) -> Result<Option<i64>> {
        if range.0 >= range.1 {
            return Ok(None);
        }
        let flux = self.flux(query, range).then(query::FIRST);
        let found = self.ask(flux, |row| row.second("_time")).await?;
        Ok(found.into_iter().min())
    }

    pub(crate) async fn summarize(&self, query: &Query, every: Duration) -> Result<Vec<Bucket>> {
        let every = window_seconds(every)?;
        let (from, to) = range(query);
        if from >= to {
            return Ok(Vec::new());
        }
        let window = integer(start_of(every.min(LONGEST_WINDOW)));
        let flux = self
            .flux(query, (from, to))
            .named("points")
            .then(query::WINDOWS)
            .with("every", window);
        let values = self
            .ask(flux, |row| {
                let start = row.second("_time")?.div_euclid(every) * every;
                let key = (start, row.text("task")?.to_owned());
                Ok((
                    key,
                    row.text("_field")?.to_owned(),
                    row.number::<f64>("_value")?,
                ))
            })
            .await?;
        let mut windows: BTreeMap<(i64, String), Sums> = BTreeMap::new();
        for (key, field, value) in values {
            windows.entry(key).or_default().add(&field, value);
        }
        Ok(windows.into_iter().filter_map(Sums::into_bucket).collect())
    }

    fn flux(&self, query: &Query, (from, to): (i64, i64)) -> Flux {
        let settings = &self.client.settings;
        let task = query.task.as_deref();
        Flux::points(
            &settings.bucket,
            &settings.measurement,
            task,
            start_of(from),
            start_of(to),
        )
    }

    async fn ask<T>(&self, flux: Flux, read: impl Fn(&Row<'_>) -> Result<T>) -> Result<Vec<T>> {
        rows(&self.client.query(&flux.into_body()).await?, read)
    }
}

/// From which second on and before which.
fn range(query: &Query) -> (i64, i64) {
    let (first, end) = ALL;
    (
        query.from.map_or(first, i64::from),
        query.to.map_or(end, i64::from),
    )
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "it was written as a share of 32 bits"
)]
fn share(row: &Row<'_>, column: &str) -> Result<f32> {
    Ok(row.number::<f64>(column)? as f32)
}

/// What the points of a window come to.
#[derive(Debug, Default)]
struct Sums {
    count: f64,
    pos: f64,
    neu: f64,
    neg: f64,
}

impl Sums {
    fn add(&mut self, field: &str, value: f64) {
        // Several times where points of others have more tags.
        match field {
            "id" => self.count += value,
            "pos" => self.pos += value,
            "neu" => self.neu += value,
            "neg" => self.neg += value,
            _ => {}
        }
    }

    /// None where there are no whole points.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a count came as a number without a fraction"
    )]
    fn into_bucket(((start, task), sums): ((i64, String), Self)) -> Option<Bucket> {
        let Self {
            count,
            pos,
            neu,
            neg,
        } = sums;
        (count > 0.0).then(|| Bucket {
            start,
            task,
            count: count as u64,
            pos: pos / count,
            neu: neu / count,
            neg: neg / count,
        })
    }
}
