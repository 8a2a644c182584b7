//! [`SqliteBus`].

use std::num::NonZeroU16;
use std::sync::Arc;

use async_trait::async_trait;
use heartbeat_core::{
    Bus, Error, Output, PartitionLag, Position, Progress, Result, Subscription, Topic,
};
use rusqlite::{Connection, OptionalExtension};
use tokio::sync::Notify;
use tokio_util::task::AbortOnDropHandle;

use crate::config::SqliteConfig;
use crate::database::Database;
use crate::error::Failure;
use crate::schemas::Schemas;
use crate::subscription::SqliteSubscription;
use crate::{group, log, retention};

/// A bus in one SQLite file, which any number of processes on one machine may open at once.
///
/// Topics are made when they are first published to or subscribed to.
#[derive(Debug)]
pub struct SqliteBus {
    shared: Arc<Shared>,
    pruning: AbortOnDropHandle<()>,
}

/// What a bus and its subscriptions share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) database: Database,
    pub(crate) config: SqliteConfig,
    pub(crate) schemas: Schemas,
    /// Wakes the subscriptions of this process when there may be something new.
    pub(crate) published: Notify,
}

impl SqliteBus {
    /// Opens the database, or makes a new one. To be called on a tokio runtime, which then also
    /// deletes old messages every minute for as long as the bus lives.
    ///
    /// # Errors
    /// [`ErrorKind::Misconfigured`](heartbeat_core::ErrorKind::Misconfigured) when a setting is out
    /// of its range, the file cannot be written, is not heartbeat's, is damaged or was written by a
    /// newer version.
    pub async fn open(config: SqliteConfig) -> Result<Self> {
        config.check()?;
        let database = Database::open(&config.path, config.create, config.synchronous).await?;
        let pruning = tokio::spawn(retention::keep_pruning(database.clone(), config.retention));
        Ok(Self {
            shared: Arc::new(Shared {
                database,
                config,
                schemas: Schemas::default(),
                published: Notify::new(),
            }),
            pruning: AbortOnDropHandle::new(pruning),
        })
    }

    /// Makes a topic of so many partitions. That it is there already, with as many, is fine.
    ///
    /// # Errors
    /// [`ErrorKind::Misconfigured`](heartbeat_core::ErrorKind::Misconfigured) when it has another
    /// number of partitions, which cannot be changed.
    pub async fn create_topic(&self, topic: &Topic, partitions: NonZeroU16) -> Result<()> {
        let name = topic.clone();
        let (_, found) = self
            .shared
            .database
            .writer
            .run(move |connection| log::ensure_topic(connection, &name, partitions))
            .await?;
        if found != partitions {
            return Err(
                Error::misconfigured("the topic has another number of partitions")
                    .with("topic", topic)
                    .with("partitions", found)
                    .with("wanted", partitions)
                    .hint("Use the number it has, or another topic."),
            );
        }
        Ok(())
    }

    /// Deletes at once what [`SqliteConfig::retention`] does not keep, and tells how many messages
    /// that were. Done every minute by itself.
    ///
    /// # Errors
    /// [`ErrorKind::Unavailable`](heartbeat_core::ErrorKind::Unavailable) when the database is
    /// locked or its disk is full.
    pub async fn prune(&self) -> Result<u64> {
        retention::prune(&self.shared.database, self.shared.config.retention).await
    }
}

#[async_trait]
impl Bus for SqliteBus {
    async fn publish(&self, outputs: &[Output], progress: Option<Progress>) -> Result<()> {
        let outputs = outputs.to_vec();
        let partitions = self.shared.config.partitions;
        self.shared
            .database
            .writer
            .run(move |connection| {
                if let Some(progress) = progress
                    && !advance(connection, progress)?
                {
                    return Ok(());
                }
                log::append(connection, &outputs, partitions)
            })
            .await?;
        self.shared.published.notify_waiters();
        Ok(())
    }

    async fn position(&self, source: &str) -> Result<Option<Position>> {
        let source = source.to_owned();
        self.shared
            .database
            .reader
            .run(move |connection| position(connection, &source))
            .await
    }

    async fn subscribe(&self, topic: &Topic, group: &str) -> Result<Box<dyn Subscription>> {
        let subscription =
            SqliteSubscription::join(self.shared.clone(), topic.clone(), group.to_owned()).await?;
        Ok(Box::new(subscription))
    }

    async fn lag(&self, topic: &Topic, group: &str) -> Result<Vec<PartitionLag>> {
        let (topic, group) = (topic.clone(), group.to_owned());
        self.shared
            .database
            .reader
            .run(move |connection| group::lag(connection, &topic, &group))
            .await
    }

    async fn close(&self) -> Result<()> {
        self.pruning.abort();
        self.shared.database.close().await;
        Ok(())
    }
}

fn position(connection: &Connection, source: &str) -> Result<Option<Position>, Failure> {
    Ok(connection
        .prepare_cached("SELECT position FROM sources WHERE name = ?1")?
        .query_row([source], |row| row.get(0).map(Position))
        .optional()?)
}

/// Moves a source on, when it is where `progress` believes it to be; `false` when it is already
/// where it is to go, as after an answer that was lost.
fn advance(connection: &Connection, progress: Progress) -> Result<bool, Failure> {
    let Progress { source, from, to } = progress;
    let now = position(connection, &source)?;
    if now != from {
        if now.as_ref() == Some(&to) {
            return Ok(false);
        }
        return Err(
            Error::rebalanced("the source has moved on: another process reads it")
                .with("source", source)
                .into(),
        );
    }
    connection
        .prepare_cached(
            "INSERT INTO sources (name, position) VALUES (?1, ?2)
             ON CONFLICT (name) DO UPDATE SET position = excluded.position",
        )?
        .execute([source, to.0])?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bytes::Bytes;
    use heartbeat_core::{Envelope, ErrorKind, Max, Payload};

    use super::*;

    /// Lets the file grow no further than `pages`; `None` frees it again.
    async fn set_room(bus: &SqliteBus, pages: Option<i64>) {
        let pages = pages.unwrap_or(i64::from(u32::MAX) - 1);
        let limit = move |connection: &Connection| {
            connection.pragma_update(None, "max_page_count", pages)?;
            Ok(())
        };
        bus.shared.database.writer.run(limit).await.unwrap();
    }

    fn outputs(topic: &Topic, bytes: usize) -> Vec<Output> {
        let payload = Payload::Raw {
            bytes: vec![7; bytes].into(),
            reason: String::new(),
        };
        let envelope = Envelope::new(Bytes::new(), payload);
        vec![
            Output {
                topic: topic.clone(),
                envelope,
            };
            10
        ]
    }

    #[tokio::test]
    async fn on_a_full_disk_work_waits_and_goes_on_when_there_is_room() {
        let dir = tempfile::tempdir().unwrap();
        let bus = SqliteBus::open(SqliteConfig {
            path: dir.path().join("bus.db"),
            ..SqliteConfig::default()
        })
        .await
        .unwrap();
        let (ingest, sentiment) = (Topic::new("a").unwrap(), Topic::new("b").unwrap());
        bus.publish(&outputs(&ingest, 10), None).await.unwrap();
        let mut subscription = bus.subscribe(&ingest, "group").await.unwrap();
        let max = Max {
            messages: 100,
            bytes: 1 << 20,
        };
        let batch = subscription.poll(max, Duration::ZERO).await.unwrap();

        set_room(&bus, Some(1)).await;
        let large = outputs(&sentiment, 10_000);
        let publish = bus.publish(&large, None).await;
        let commit = subscription.commit(&batch.checkpoint, &large).await;
        for error in [publish.unwrap_err(), commit.unwrap_err()] {
            assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");
            assert!(error.report().contains("Free space"), "{error:?}");
            assert!(error.report().contains("bus.db"), "{error:?}");
        }
        let lag = bus.lag(&ingest, "group").await.unwrap();
        assert_eq!(lag.iter().map(|lag| lag.messages).sum::<u64>(), 10);

        set_room(&bus, None).await;
        subscription
            .commit(&batch.checkpoint, &large)
            .await
            .unwrap();
        let lag = bus.lag(&sentiment, "group").await.unwrap();
        assert_eq!(lag.iter().map(|lag| lag.messages).sum::<u64>(), 10);
    }
}
