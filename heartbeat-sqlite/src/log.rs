//! Topics and their messages: creating, appending, reading.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::num::NonZeroU16;
use std::sync::Arc;

use bytes::Bytes;
use heartbeat_core::{Envelope, Error, Max, Message, Output, Payload, Schema, Topic};
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::error::Failure;
use crate::headers;
use crate::schemas::{self, Schemas};

/// The id and number of partitions of a topic, when there is one of that name.
pub(crate) fn find_topic(
    connection: &Connection,
    topic: &Topic,
) -> Result<Option<(i64, NonZeroU16)>, Failure> {
    Ok(connection
        .prepare_cached(
            "SELECT id, (SELECT count(*) FROM partitions WHERE topic = id)
             FROM topics WHERE name = ?1",
        )?
        .query_row([topic.as_str()], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?)
}

/// The same, of a topic that is made with so many partitions when it is missing.
pub(crate) fn ensure_topic(
    connection: &Connection,
    topic: &Topic,
    partitions: NonZeroU16,
) -> Result<(i64, NonZeroU16), Failure> {
    if let Some(found) = find_topic(connection, topic)? {
        return Ok(found);
    }
    connection.execute("INSERT INTO topics (name) VALUES (?1)", [topic.as_str()])?;
    let id = connection.last_insert_rowid();
    let mut insert = connection.prepare_cached(
        "INSERT INTO partitions (topic, partition, first, next) VALUES (?1, ?2, 0, 0)",
    )?;
    for partition in 0..partitions.get() {
        insert.execute(params![id, partition])?;
    }
    Ok((id, partitions))
}

/// Appends messages to their topics; a missing topic is made with `partitions` partitions.
pub(crate) fn append(
    connection: &Connection,
    outputs: &[Output],
    partitions: NonZeroU16,
) -> Result<(), Failure> {
    let now = Timestamp::now().as_millisecond();
    let mut topics: HashMap<&Topic, (i64, NonZeroU16)> = HashMap::new();
    let mut schemas: HashMap<*const Schema, i64> = HashMap::new();
    let mut next: HashMap<(i64, u32), i64> = HashMap::new();

    let mut read_next = connection
        .prepare_cached("SELECT next FROM partitions WHERE topic = ?1 AND partition = ?2")?;
    let mut insert = connection.prepare_cached(
        "INSERT INTO messages (topic, partition, offset, timestamp, key, schema, value, headers)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    )?;
    for Output { topic, envelope } in outputs {
        let &mut (topic, partitions) = match topics.get_mut(topic) {
            Some(known) => known,
            None => {
                let found = ensure_topic(connection, topic, partitions)?;
                topics.entry(topic).or_insert(found)
            }
        };
        let (schema, value) = match &envelope.payload {
            Payload::Avro { schema, datum } => {
                let id = match schemas.get(&Arc::as_ptr(schema)) {
                    Some(&id) => id,
                    None => {
                        let id = schemas::store(connection, schema)?;
                        schemas.insert(Arc::as_ptr(schema), id);
                        id
                    }
                };
                (Some(id), Some(datum))
            }
            Payload::Raw { bytes, .. } => (None, Some(bytes)),
            Payload::Tombstone => (None, None),
        };
        let partition = partition_of(&envelope.key, partitions);
        let next = match next.entry((topic, partition)) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => {
                new.insert(read_next.query_row([topic, partition.into()], |row| row.get(0))?)
            }
        };
        insert.execute(params![
            topic,
            partition,
            *next,
            now,
            &*envelope.key,
            schema,
            value.map(|bytes| &**bytes),
            headers::encode(&envelope.headers)?,
        ])?;
        *next += 1;
    }

    let mut set_next = connection
        .prepare_cached("UPDATE partitions SET next = ?3 WHERE topic = ?1 AND partition = ?2")?;
    for ((topic, partition), next) in next {
        set_next.execute(params![topic, partition, next])?;
    }
    Ok(())
}

/// Where messages of `key` go. Part of the format: a key never changes its partition.
fn partition_of(key: &[u8], partitions: NonZeroU16) -> u32 {
    crc32fast::hash(key) % u32::from(partitions.get())
}

/// One partition, to be read from an offset on.
#[derive(Debug)]
pub(crate) struct Reader<'a> {
    pub(crate) connection: &'a Connection,
    pub(crate) schemas: &'a Schemas,
    pub(crate) topic: &'a Topic,
    pub(crate) topic_id: i64,
}

impl Reader<'_> {
    /// Adds to `batch` up to `most` messages at and behind `from`, within what is `left`. The first
    /// message of a batch may be larger.
    pub(crate) fn read(
        &self,
        partition: i32,
        from: i64,
        most: usize,
        left: &mut Max,
        batch: &mut Vec<Message>,
    ) -> Result<(), Failure> {
        let mut statement = self.connection.prepare_cached(
            "SELECT offset, timestamp, key, schema, value, headers FROM messages
             WHERE topic = ?1 AND partition = ?2 AND offset >= ?3 ORDER BY offset LIMIT ?4",
        )?;
        let most = i64::try_from(most).unwrap_or(i64::MAX);
        let mut rows = statement.query(params![self.topic_id, partition, from, most])?;
        while let Some(row) = rows.next()? {
            let envelope = self.envelope(row)?;
            let size = envelope.size();
            if size > left.bytes && !batch.is_empty() {
                break;
            }
            left.bytes = left.bytes.saturating_sub(size);
            left.messages -= 1;
            batch.push(Message {
                topic: self.topic.clone(),
                partition,
                offset: row.get(0)?,
                timestamp: row.get(1)?,
                envelope,
            });
        }
        Ok(())
    }

    fn envelope(&self, row: &Row<'_>) -> Result<Envelope, Failure> {
        let schema: Option<i64> = row.get(3)?;
        let value: Option<Vec<u8>> = row.get(4)?;
        let payload = match (schema, value.map(Bytes::from)) {
            (Some(id), Some(bytes)) => match self.schemas.get(self.connection, id)? {
                Ok(schema) => Payload::Avro {
                    schema,
                    datum: bytes,
                },
                Err(reason) => Payload::Raw { bytes, reason },
            },
            (None, Some(bytes)) => Payload::Raw {
                bytes,
                reason: "the message carries no Avro schema".to_owned(),
            },
            (_, None) => Payload::Tombstone,
        };
        let headers = row
            .get_ref(5)?
            .as_str_or_null()
            .map_err(|error| Error::internal("stored headers are no text").caused_by(error))?;
        Ok(Envelope {
            key: row.get::<_, Vec<u8>>(2)?.into(),
            payload,
            headers: headers::decode(headers)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_four(key: &[u8]) -> u32 {
        partition_of(key, NonZeroU16::new(4).unwrap())
    }

    #[test]
    fn keys_keep_their_partition_from_release_to_release() {
        assert_eq!(of_four(b""), 0);
        assert_eq!(of_four(b"123456789"), 0xCBF4_3926 % 4);
        assert_eq!(partition_of(b"123456789", NonZeroU16::MIN), 0);
    }

    #[test]
    fn keys_in_a_row_are_spread_over_all_partitions() {
        let mut counts = [0; 4];
        for id in 0..4_000_i64 {
            counts[of_four(&id.to_be_bytes()) as usize] += 1;
        }
        assert!(counts.iter().all(|&count| count > 800), "{counts:?}");
    }
}
