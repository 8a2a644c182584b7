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
    /// How many seconds are looked at next: as many as hold a page or so, as it was found. The server has all that lies in
    /// them in memory, and a page is not to cost more for what lies behind it.
    span: AtomicI64,
}

impl Reader {
    pub(crate) fn new(client: Arc<Client>) -> Self {
        Self {
            client,
            span: AtomicI64::new(1),
        }
    }

    pub(crate) async fn read(&self, query: &Query, page: &Page) -> Result<Vec<Keyed<Sentiment>>> {
        let (mut from, end) = range(query);
        let mut points = Vec::new();
        if let Some(after) = &page.after
            && i64::from(after.time) >= from
        {
            from = after.time.into();
            if from < end {
                points = self.by_id(query, from, Some(after), page.limit).await?;
                from += 1;
            }
        }
        while points.len() < page.limit && from < end {
            let wanted = page.limit - points.len();
            let span = self.span.load(Relaxed);
            let to = end.min(from.saturating_add(span));
            // Somewhat more than a page is a good window: what is behind the page is read for the next one again.
            let most = wanted.saturating_mul(2).clamp(1000, MOST_ROWS);
            let count = self.count(self.flux(query, (from, to))).await?;
            if count == 0 {
                from = self.first(query, (to, end)).await?.unwrap_or(end);
            } else if count <= most {
                let flux = self.flux(query, (from, to)).then(query::POINTS);
                let mut found = self.points(flux).await?;
                found.sort_by_cached_key(|point| PointKey::from(point));
                found.truncate(wanted);
                points.extend(found);
                from = to;
                if count < most / 4 {
                    self.span
                        .store(span.saturating_mul(4).min(LONGEST_WINDOW), Relaxed);
                }
            } else if span > 1 {
                let times = i64::try_from(count / (most / 2)).unwrap_or(i64::MAX);
                self.span.store((span / times).max(1), Relaxed);
            } else {
                points.extend(self.by_id(query, from, None, wanted).await?);
                from += 1;
            }
        }
        Ok(points)
    }

    /// The first points of a second, behind one.
    async fn by_id(
        &self,
        query: &Query,
        second: i64,
        after: Option<&PointKey>,
        most: usize,
    ) -> Result<Vec<Keyed<Sentiment>>> {
        let (id, last) = after.map_or((i64::MIN, ""), |after| (after.id.0, after.task.as_str()));
        let mut points: Vec<Keyed<Sentiment>> = Vec::new();
        let mut behind = (id, last.to_owned());
        while points.len() < most {
            let rows = MOST_ROWS.min(most - points.len());
            let flux = self
                .flux(query, (second, second + 1))
                .then(query::POINTS)
                .then(query::BY_ID)
                .with("id", integer(behind.0))
                .with("last", string(&behind.1))
                .with("n", integer(i64::try_from(rows).unwrap_or(i64::MAX)));
            let found = self.points(flux).await?;
            let is_all = found.len() < rows;
            points.extend(found);
            match points.last() {
                Some(last) if !is_all => behind = (last.id.0, last.value.task.clone()),
                _ => break,
            }
        }
        Ok(points)
    }

    /// The whole points that a query finds.
    async fn points(&self, flux: Flux) -> Result<Vec<Keyed<Sentiment>>> {
        let found = self.ask(flux, point).await?;
        Ok(found.into_iter().flatten().collect())
    }

    /// The tweets of any task at some nanoseconds, which are in order: each with its task and its nanosecond.
    pub(crate) async fn at(&self, nanos: &[i64]) -> Result<Vec<(String, i64, TweetId)>> {
        let mut found = Vec::new();
        let mut pieces = vec![nanos];
        while let Some(piece) = pieces.pop() {
            let (Some(first), Some(last)) = (piece.first(), piece.last()) else {
                continue;
            };
            let flux = || self.points_of(None, (*first, *last + 1));
            let count = self.count(flux()).await?;
            if count > MOST_ROWS && piece.len() > 1 {
                // Much lies between them.
                let (left, right) = piece.split_at(piece.len() / 2);
                pieces.extend([left, right]);
            } else if count > 0 {
                let rows = self.ask(flux().then(query::IDS), tweet).await?;
                let wanted = |tweet: &(String, i64, TweetId)| piece.binary_search(&tweet.1).is_ok();
                found.extend(rows.into_iter().filter(wanted));
            }
        }
        Ok(found)
    }

    /// How many points there are.
    async fn count(&self, points: Flux) -> Result<usize> {
        let flux = points.then(query::COUNT);
        let counts = self.ask(flux, |row| row.number::<usize>("_value")).await?;
        Ok(counts.into_iter().sum())
    }

    /// The second of the first point in a range of seconds.
    async fn first(&self, query: &Query, range: (i64, i64)) -> Result<Option<i64>> {
        if range.0 >= range.1 {
            return Ok(None);
        }
        let flux = self.flux(query, range).then(query::FIRST);
        let found = self.ask(flux, |row| row.second::<i64>("_time")).await?;
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
                let start = row.second::<i64>("_time")?.div_euclid(every) * every;
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

    /// The points of a range of seconds.
    fn flux(&self, query: &Query, (from, to): (i64, i64)) -> Flux {
        self.points_of(query.task.as_deref(), (start_of(from), start_of(to)))
    }

    /// The points of a task, or of all, in a range of nanoseconds.
    fn points_of(&self, task: Option<&str>, (from, to): (i64, i64)) -> Flux {
        let settings = &self.client.settings;
        Flux::points(&settings.bucket, &settings.measurement, task, from, to)
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

/// The tweet in a row of [`query::IDS`].
fn tweet(row: &Row<'_>) -> Result<(String, i64, TweetId)> {
    let (task, nanos) = (row.text("task")?.to_owned(), row.nanosecond("_time")?);
    Ok((task, nanos, TweetId(row.number("_value")?)))
}

/// The point in a row; none where cells are empty.
fn point(row: &Row<'_>) -> Result<Option<Keyed<Sentiment>>> {
    let cells = ["id", "task", "neg", "neu", "pos"];
    if cells
        .iter()
        .any(|column| row.text(column).unwrap_or_default().is_empty())
    {
        return Ok(None);
    }
    Ok(Some(Keyed {
        id: TweetId(row.number("id")?),
        value: Sentiment {
            time: row.second("_time")?,
            task: row.text("task")?.to_owned(),
            pos: share(row, "pos")?,
            neu: share(row, "neu")?,
            neg: share(row, "neg")?,
        },
    }))
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
