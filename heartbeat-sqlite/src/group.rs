//! Consumer groups: who reads which partition, and how far they have come.
//!
//! Safety rests on [`Member::commit`] alone, which moves a partition on only for its owner and only from
//! where it stands. Leases and clocks decide merely how soon work moves to another member.

use std::collections::BTreeMap;
use std::num::NonZeroU16;
use std::ops::Range;
use std::time::Duration;

use heartbeat_core::{Error, Output, PartitionLag, Topic};
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};
use tracing::{debug, info};

use crate::error::Failure;
use crate::log;

/// A member is alive while its lease is: `?2` is the time. A lease from a future further off than
/// itself was given by a clock that has been set back since.
const ALIVE: &str = "abs(?2 - renewed) <= lease";

/// One member of a group, as far as one topic goes.
#[derive(Debug, Clone)]
pub(crate) struct Member {
    pub(crate) topic: Topic,
    pub(crate) topic_id: i64,
    pub(crate) group: String,
    pub(crate) group_id: i64,
    /// Never given to another member.
    pub(crate) id: i64,
    pub(crate) lease: Duration,
}

/// What a member is to do now.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    /// What it may read: partition and committed offset.
    pub(crate) read: Vec<(i32, i64)>,
    /// What it is to take: partition and the member that lost it.
    take: Vec<(i32, Option<i64>)>,
    /// What it is to give back.
    give: Vec<i32>,
}

impl Plan {
    /// Whether partitions are to change hands before anything is read.
    pub(crate) fn is_unsettled(&self) -> bool {
        !self.take.is_empty() || !self.give.is_empty()
    }
}

/// Adds a member to a group. Both group and topic are made when they are missing.
pub(crate) fn join(
    connection: &Connection,
    topic: &Topic,
    partitions: NonZeroU16,
    group: &str,
    lease: Duration,
) -> Result<Member, Failure> {
    let (topic_id, _) = log::ensure_topic(connection, topic, partitions)?;
    let group_id = match find(connection, topic_id, group)? {
        Some(id) => id,
        None => {
            connection.execute(
                "INSERT INTO consumer_groups (topic, name) VALUES (?1, ?2)",
                params![topic_id, group],
            )?;
            let id = connection.last_insert_rowid();
            connection.execute(
                "INSERT INTO assignments (consumer_group, partition, committed)
                 SELECT ?1, partition, first FROM partitions WHERE topic = ?2",
                [id, topic_id],
            )?;
            id
        }
    };
    connection.execute(
        "INSERT INTO members (consumer_group, renewed, lease) VALUES (?1, ?2, ?3)",
        params![group_id, now(), millis(lease)],
    )?;
    Ok(Member {
        topic: topic.clone(),
        topic_id,
        group: group.to_owned(),
        group_id,
        id: connection.last_insert_rowid(),
        lease,
    })
}

/// How far a group is behind in each partition of a topic.
pub(crate) fn lag(
    connection: &Connection,
    topic: &Topic,
    group: &str,
) -> Result<Vec<PartitionLag>, Failure> {
    let Some((topic_id, _)) = log::find_topic(connection, topic)? else {
        return Ok(Vec::new());
    };
    let group_id = find(connection, topic_id, group)?;
    let mut statement = connection.prepare_cached(
        "SELECT p.partition, p.next - ifnull(a.committed, p.first)
         FROM partitions p LEFT JOIN assignments a
             ON a.consumer_group = ?2 AND a.partition = p.partition
         WHERE p.topic = ?1 ORDER BY p.partition",
    )?;
    let lags = statement.query_map(params![topic_id, group_id], |row| {
        let behind: i64 = row.get(1)?;
        Ok(PartitionLag {
            partition: row.get(0)?,
            messages: behind.unsigned_abs(),
        })
    })?;
    Ok(lags.collect::<Result<_, _>>()?)
}

fn find(connection: &Connection, topic_id: i64, group: &str) -> Result<Option<i64>, Failure> {
    Ok(connection
        .prepare_cached("SELECT id FROM consumer_groups WHERE topic = ?1 AND name = ?2")?
        .query_row(params![topic_id, group], |row| row.get(0))
        .optional()?)
}

impl Member {
    /// What there is to read and to change, for a member that has polled up to `polled`.
    ///
    /// Each member's share of the partitions follows from its rank among the living. What a member
    /// owns above its share is not read from any more, and given back once it is committed.
    pub(crate) fn plan(
        &self,
        connection: &Connection,
        polled: &BTreeMap<i32, i64>,
    ) -> Result<Plan, Failure> {
        let now = now();
        let (others, before): (u32, u32) = connection
            .prepare_cached(&format!(
                "SELECT count(*), count(*) FILTER (WHERE id < ?3) FROM members
                 WHERE consumer_group = ?1 AND id <> ?3 AND {ALIVE}"
            ))?
            .query_row(params![self.group_id, now, self.id], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })?;

        let mut partitions = 0;
        let mut owned = Vec::new();
        let mut free = Vec::new();
        let mut statement = connection.prepare_cached(&format!(
            "SELECT partition, committed, owner,
                 owner IS NULL OR owner NOT IN
                     (SELECT id FROM members WHERE consumer_group = ?1 AND {ALIVE})
             FROM assignments WHERE consumer_group = ?1 ORDER BY partition"
        ))?;
        let mut rows = statement.query(params![self.group_id, now])?;
        while let Some(row) = rows.next()? {
            partitions += 1;
            let (partition, owner): (i32, Option<i64>) = (row.get(0)?, row.get(2)?);
            if owner == Some(self.id) {
                owned.push((partition, row.get::<_, i64>(1)?));
            } else if row.get(3)? {
                free.push((partition, owner));
            }
        }

        let members = others + 1;
        let share = partitions / members + u32::from(before < partitions % members);
        let share = share as usize;
        let surplus = owned.split_off(share.min(owned.len()));
        free.truncate(share - owned.len());
        Ok(Plan {
            read: owned,
            take: free,
            give: surplus
                .into_iter()
                .filter(|(partition, committed)| {
                    polled.get(partition).is_none_or(|next| next <= committed)
                })
                .map(|(partition, _)| partition)
                .collect(),
        })
    }

    /// Takes and gives back what [`Member::plan`] says.
    pub(crate) fn settle(
        &self,
        connection: &Connection,
        polled: &BTreeMap<i32, i64>,
    ) -> Result<(), Failure> {
        self.renew(connection)?;
        let plan = self.plan(connection, polled)?;
        for &(partition, loser) in &plan.take {
            self.set_owner(connection, partition, Some(self.id))?;
            let (group, topic) = (&self.group, &self.topic);
            match loser {
                Some(loser) => info!(
                    %topic, group, partition, member = self.id, loser,
                    "took a partition over from a member that is gone"
                ),
                None => debug!(%topic, group, partition, member = self.id, "took a free partition"),
            }
        }
        for &partition in &plan.give {
            self.set_owner(connection, partition, None)?;
            debug!(topic = %self.topic, group = self.group, partition, member = self.id,
                "gave a partition back");
        }
        connection
            .prepare_cached(&format!(
                "DELETE FROM members WHERE consumer_group = ?1 AND NOT {ALIVE}"
            ))?
            .execute(params![self.group_id, now()])?;
        Ok(())
    }

    /// Makes the lease begin anew, also when it had run out.
    pub(crate) fn renew(&self, connection: &Connection) -> Result<(), Failure> {
        connection
            .prepare_cached(
                "INSERT INTO members (id, consumer_group, renewed, lease) VALUES (?1, ?2, ?3, ?4)
                 ON CONFLICT (id) DO UPDATE SET renewed = excluded.renewed",
            )?
            .execute(params![self.id, self.group_id, now(), millis(self.lease)])?;
        Ok(())
    }

    /// Leaves the group: its partitions are free.
    pub(crate) fn leave(&self, connection: &Connection) -> Result<(), Failure> {
        connection.execute(
            "UPDATE assignments SET owner = NULL WHERE consumer_group = ?1 AND owner = ?2",
            [self.group_id, self.id],
        )?;
        connection.execute("DELETE FROM members WHERE id = ?1", [self.id])?;
        Ok(())
    }

    /// Appends `outputs` and moves the group past `spans`, once: when every span has been passed
    /// already, this was done before and is not done again.
    pub(crate) fn commit(
        &self,
        connection: &Connection,
        spans: &BTreeMap<i32, Range<i64>>,
        outputs: &[Output],
        partitions: NonZeroU16,
    ) -> Result<(), Failure> {
        let mut committed = connection.prepare_cached(
            "SELECT committed FROM assignments
             WHERE consumer_group = ?1 AND partition = ?2 AND owner = ?3",
        )?;
        let (mut due, mut done) = (true, true);
        for (&partition, span) in spans {
            let committed: Option<i64> = committed
                .query_row(params![self.group_id, partition, self.id], |row| row.get(0))
                .optional()?;
            let Some(committed) = committed else {
                return Err(self.rebalanced("the partition went to another member", partition));
            };
            due &= committed == span.start;
            done &= committed == span.end;
            if !due && !done {
                return Err(self.rebalanced("the group is not where the batch begins", partition));
            }
        }
        if !due {
            return Ok(());
        }
        log::append(connection, outputs, partitions)?;
        let mut advance = connection.prepare_cached(
            "UPDATE assignments SET committed = ?3 WHERE consumer_group = ?1 AND partition = ?2",
        )?;
        for (&partition, span) in spans {
            advance.execute(params![self.group_id, partition, span.end])?;
        }
        Ok(())
    }

    fn set_owner(
        &self,
        connection: &Connection,
        partition: i32,
        owner: Option<i64>,
    ) -> Result<(), Failure> {
        connection
            .prepare_cached(
                "UPDATE assignments SET owner = ?3 WHERE consumer_group = ?1 AND partition = ?2",
            )?
            .execute(params![self.group_id, partition, owner])?;
        Ok(())
    }

    fn rebalanced(&self, message: &str, partition: i32) -> Failure {
        Error::rebalanced(message)
            .with("topic", &self.topic)
            .with("group", &self.group)
            .with("partition", partition)
            .into()
    }
}

fn now() -> i64 {
    Timestamp::now().as_millisecond()
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
