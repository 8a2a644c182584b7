//! [`SqliteStore`].

use std::time::Duration;

use async_trait::async_trait;
use heartbeat_core::{
    Bucket, Error, Keyed, Page, PointKey, Query, Refused, Result, Sentiment, Store, TweetId,
    WriteReport, window_seconds,
};
use rusqlite::{Connection, params};

use crate::config::SqliteStoreConfig;
use crate::database::Database;
use crate::error::Failure;

/// A store in one SQLite file, which may be the bus's own.
#[derive(Debug)]
pub struct SqliteStore {
    database: Database,
}

impl SqliteStore {
    /// Opens the database, or makes a new one.
    ///
    /// # Errors
    /// As [`SqliteBus::open`](crate::SqliteBus::open).
    pub async fn open(config: SqliteStoreConfig) -> Result<Self> {
        Ok(Self {
            database: Database::open(&config.path, config.create, config.synchronous).await?,
        })
    }
}

#[async_trait]
impl Store for SqliteStore {
    async fn write(&self, points: &[Keyed<Sentiment>]) -> Result<WriteReport> {
        let mut report = WriteReport::default();
        let mut good = Vec::with_capacity(points.len());
        for (index, point) in points.iter().enumerate() {
            match check(&point.value) {
                Ok(()) => good.push(point.clone()),
                Err(error) => report.refused.push(Refused {
                    index,
                    error: error.with("id", point.id),
                }),
            }
        }
        self.database
            .writer
            .run(move |connection| upsert(connection, &good))
            .await?;
        Ok(report)
    }

    async fn read(&self, query: &Query, page: &Page) -> Result<Vec<Keyed<Sentiment>>> {
        let (query, page) = (query.clone(), page.clone());
        self.database
            .reader
            .run(move |connection| select(connection, &query, page))
            .await
    }

    async fn summarize(&self, query: &Query, every: Duration) -> Result<Vec<Bucket>> {
        let window = window_seconds(every)?;
        let query = query.clone();
        self.database
            .reader
            .run(move |connection| group(connection, &query, window))
            .await
    }

    async fn close(&self) -> Result<()> {
        self.database.close().await;
        Ok(())
    }
}

fn check(point: &Sentiment) -> Result<()> {
    if point.task.is_empty() {
        return Err(Error::invalid("a point needs a task"));
    }
    for (name, score) in [("pos", point.pos), ("neu", point.neu), ("neg", point.neg)] {
        // A not-a-number is in no range.
        if !(0.0..=1.0).contains(&score) {
            return Err(Error::invalid("a score is a number from 0 to 1").with(name, score));
        }
    }
    Ok(())
}

fn upsert(connection: &Connection, points: &[Keyed<Sentiment>]) -> Result<(), Failure> {
    let mut statement = connection.prepare_cached(
        "INSERT INTO points (time, id, task, pos, neu, neg) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
         ON CONFLICT (time, id, task) DO UPDATE
         SET pos = excluded.pos, neu = excluded.neu, neg = excluded.neg",
    )?;
    for Keyed { id, value } in points {
        statement.execute(params![
            value.time, id.0, value.task, value.pos, value.neu, value.neg
        ])?;
    }
    Ok(())
}

/// The seconds a query covers, and the task.
fn bounds(query: &Query) -> (i64, i64, Option<&str>) {
    (
        query.from.map_or(i64::MIN, i64::from),
        query.to.map_or(i64::MAX, i64::from),
        query.task.as_deref(),
    )
}

fn select(
    connection: &Connection,
    query: &Query,
    page: Page,
) -> Result<Vec<Keyed<Sentiment>>, Failure> {
    let (from, to, task) = bounds(query);
    let limit = i64::try_from(page.limit).unwrap_or(i64::MAX);
    // Before every point there can be.
    let (time, id, after) = page.after.map_or((i64::MIN, 0, String::new()), |key| {
        let PointKey { time, id, task } = key;
        (time.into(), id.0, task)
    });
    // So that a page begins at its second, not at the query's.
    let from = from.max(time);
    let mut statement = connection.prepare_cached(
        "SELECT time, id, task, pos, neu, neg FROM points
         WHERE time >= ?1 AND time < ?2 AND (?3 IS NULL OR task = ?3)
             AND (time, id, task) > (?4, ?5, ?6)
         ORDER BY time, id, task LIMIT ?7",
    )?;
    let rows = statement.query_map(params![from, to, task, time, id, after, limit], |row| {
        Ok(Keyed {
            id: TweetId(row.get(1)?),
            value: Sentiment {
                time: row.get(0)?,
                task: row.get(2)?,
                pos: row.get(3)?,
                neu: row.get(4)?,
                neg: row.get(5)?,
            },
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn group(connection: &Connection, query: &Query, window: i64) -> Result<Vec<Bucket>, Failure> {
    let (from, to, task) = bounds(query);
    // SQLite's remainder has the sign of the time: before 1970 the window begins one earlier.
    let mut statement = connection.prepare_cached(
        "SELECT time - time % ?4 - iif(time % ?4 < 0, ?4, 0) AS start, task,
             count(*), avg(pos), avg(neu), avg(neg)
         FROM points WHERE time >= ?1 AND time < ?2 AND (?3 IS NULL OR task = ?3)
         GROUP BY start, task ORDER BY start, task",
    )?;
    let rows = statement.query_map(params![from, to, task, window], |row| {
        let count: i64 = row.get(2)?;
        Ok(Bucket {
            start: row.get(0)?,
            task: row.get(1)?,
            count: count.unsigned_abs(),
            pos: row.get(3)?,
            neu: row.get(4)?,
            neg: row.get(5)?,
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}
