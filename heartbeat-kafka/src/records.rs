//! Messages as they are published.

use std::ops::Range;
use std::sync::Arc;

use heartbeat_core::{Envelope, Headers, Output, Payload, Result, Schema, Topic};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::BaseRecord;

use crate::positions;
use crate::registry::{Registry, frame};

/// What one transaction publishes, in order.
#[derive(Debug, Default)]
pub(crate) struct Records {
    /// Where they go, each topic once.
    topics: Vec<Topic>,
    /// Their keys and values, one behind the other: memory for each would cost more than what else is done with it.
    bytes: Vec<u8>,
    records: Vec<Record>,
}

#[derive(Debug)]
struct Record {
    /// Which one of the topics.
    topic: usize,
    /// `None`: that of its key.
    partition: Option<i32>,
    /// Where its key is among the bytes.
    key: Range<usize>,
    value: Option<Range<usize>>,
    headers: Headers,
}

impl Records {
    /// Outputs and the ids of their schemas; one is registered when that has not been done.
    pub(crate) async fn of(outputs: &[Output], registry: &Registry) -> Result<Self> {
        let mut records = Self::default();
        records.records.reserve(outputs.len());
        // Most are of one topic and one schema.
        let mut last: Option<(&Topic, &Arc<Schema>, u32)> = None;
        for Output { topic, envelope } in outputs {
            let id = match &envelope.payload {
                Payload::Avro { schema, .. } => match last {
                    Some((before, known, id)) if Arc::ptr_eq(known, schema) && before == topic => {
                        Some(id)
                    }
                    _ => {
                        let id = registry.id_of(topic, schema).await?;
                        last = Some((topic, schema, id));
                        Some(id)
                    }
                },
                Payload::Raw { .. } | Payload::Tombstone => None,
            };
            records.push(topic, envelope, id);
        }
        Ok(records)
    }

    fn push(&mut self, topic: &Topic, envelope: &Envelope, schema: Option<u32>) {
        let topic = self.topic_index(topic);
        let key = self.copy(&envelope.key);
        let value = match (&envelope.payload, schema) {
            (Payload::Avro { datum, .. }, Some(id)) => {
                let start = self.bytes.len();
                frame(id, datum, &mut self.bytes);
                Some(start..self.bytes.len())
            }
            (Payload::Avro { datum: bytes, .. } | Payload::Raw { bytes, .. }, _) => {
                Some(self.copy(bytes))
            }
            (Payload::Tombstone, _) => None,
        };
        self.records.push(Record {
            topic,
            partition: None,
            key,
            value,
            headers: envelope.headers.clone(),
        });
    }

    /// Adds the position of a source.
    pub(crate) fn push_position(&mut self, topic: &Topic, source: &str, position: &str) {
        let record = Record {
            topic: self.topic_index(topic),
            // Where it is looked for, even if somebody gave the topic more of them.
            partition: Some(positions::PARTITION),
            key: self.copy(source.as_bytes()),
            value: Some(self.copy(position.as_bytes())),
            headers: Headers::default(),
        };
        self.records.push(record);
    }

    fn topic_index(&mut self, topic: &Topic) -> usize {
        let known = self.topics.iter().position(|known| known == topic);
        known.unwrap_or_else(|| {
            self.topics.push(topic.clone());
            self.topics.len() - 1
        })
    }

    fn copy(&mut self, bytes: &[u8]) -> Range<usize> {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(bytes);
        start..self.bytes.len()
    }

    pub(crate) fn len(&self) -> usize {
        self.records.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// Where they go, each topic once.
    pub(crate) fn topics(&self) -> &[Topic] {
        &self.topics
    }

    /// For librdkafka, which copies them. Each one's place comes back with its delivery.
    pub(crate) fn to_send(&self) -> impl Iterator<Item = BaseRecord<'_, [u8], [u8], usize>> {
        self.records.iter().enumerate().map(|(index, record)| {
            let topic = &self.topics[record.topic];
            let mut to_send = BaseRecord::with_opaque_to(topic.as_str(), index);
            if let Some(partition) = record.partition {
                to_send = to_send.partition(partition);
            }
            // An empty key is none: such messages go to any partition.
            if !record.key.is_empty() {
                to_send = to_send.key(&self.bytes[record.key.clone()]);
            }
            if let Some(value) = &record.value {
                to_send = to_send.payload(&self.bytes[value.clone()]);
            }
            let headers = record.headers.iter();
            if headers.len() > 0 {
                let mut owned = OwnedHeaders::new_with_capacity(headers.len());
                for (key, value) in headers {
                    let value = Some(&value[..]);
                    owned = owned.insert(Header { key, value });
                }
                to_send = to_send.headers(owned);
            }
            to_send
        })
    }

    /// The topic of one of them, and the place and the bytes of that topic's largest.
    pub(crate) fn largest_beside(&self, index: usize) -> Option<(&Topic, usize, usize)> {
        let topic = self.records.get(index)?.topic;
        let (largest, record) = self
            .records
            .iter()
            .enumerate()
            .filter(|(_, record)| record.topic == topic)
            .max_by_key(|(_, record)| record.size())?;
        Some((&self.topics[topic], largest, record.size()))
    }
}

impl Record {
    /// About how many bytes it takes.
    fn size(&self) -> usize {
        self.key.len() + self.value.as_ref().map_or(0, Range::len)
    }
}
