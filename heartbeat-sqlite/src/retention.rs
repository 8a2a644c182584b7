//! Deleting what every group has read and nobody wants to keep.

use std::time::Duration;

use heartbeat_core::Result;
use jiff::Timestamp;
use rusqlite::{Connection, params};
use tokio::time::{MissedTickBehavior, interval};
use tracing::{debug, warn};

use crate::database::Database;
use crate::error::Failure;

/// How often old messages are looked for.
const EVERY: Duration = Duration::from_secs(60);

/// How many offsets one step passes, so that it holds writers up for milliseconds only.
const STEP: i64 = 1_000;

/// Deletes old messages for ever, now and then.
pub(crate) async fn keep_pruning(database: Database, retention: Duration) {
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        match prune(&database, retention).await {
            Ok(0) => {}
            Ok(messages) => debug!(messages, "deleted old messages"),
            Err(error) => {
                warn!(
                    error = error.report(),
                    "could not delete old messages; trying again later"
                );
            }
        }
    }
}

/// Deletes the messages that are older than `retention` and that every group of their topic has
/// committed, if there is a group. Tells how many.
pub(crate) async fn prune(database: &Database, retention: Duration) -> Result<u64> {
    let retention = i64::try_from(retention.as_millis()).unwrap_or(i64::MAX);
    let before = Timestamp::now().as_millisecond().saturating_sub(retention);
    let partitions = database.reader.run(candidates).await?;
    let mut deleted = 0;
    for (topic, partition) in partitions {
        loop {
            let step = database
                .writer
                .run(move |connection| delete(connection, topic, partition, before));
            match step.await? {
                0 => break,
                messages => deleted += messages,
            }
        }
    }
    Ok(deleted)
}

/// The partitions that hold messages which every group has committed.
fn candidates(connection: &Connection) -> Result<Vec<(i64, i32)>, Failure> {
    let mut statement = connection.prepare_cached(
        "SELECT p.topic, p.partition
         FROM partitions p JOIN consumer_groups g USING (topic)
             JOIN assignments a ON a.consumer_group = g.id AND a.partition = p.partition
         GROUP BY p.topic, p.partition HAVING min(a.committed) > p.first",
    )?;
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Deletes one step's worth from the beginning of a partition.
fn delete(
    connection: &Connection,
    topic: i64,
    partition: i32,
    before: i64,
) -> Result<u64, Failure> {
    let (first, committed): (i64, Option<i64>) = connection
        .prepare_cached(
            "SELECT p.first, min(a.committed)
             FROM partitions p JOIN consumer_groups g USING (topic)
                 JOIN assignments a ON a.consumer_group = g.id AND a.partition = p.partition
             WHERE p.topic = ?1 AND p.partition = ?2",
        )?
        .query_row(params![topic, partition], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })?;
    let end = committed.unwrap_or(first).min(first + STEP);
    // The oldest message that stays, were a clock ever set back.
    let keep: Option<i64> = connection
        .prepare_cached(
            "SELECT min(offset) FROM messages
             WHERE topic = ?1 AND partition = ?2 AND offset < ?3 AND timestamp >= ?4",
        )?
        .query_row(params![topic, partition, end, before], |row| row.get(0))?;
    let end = keep.unwrap_or(end);
    if end <= first {
        return Ok(0);
    }
    let deleted = connection
        .prepare_cached("DELETE FROM messages WHERE topic = ?1 AND partition = ?2 AND offset < ?3")?
        .execute(params![topic, partition, end])?;
    connection
        .prepare_cached("UPDATE partitions SET first = ?3 WHERE topic = ?1 AND partition = ?2")?
        .execute(params![topic, partition, end])?;
    Ok(deleted as u64)
}
