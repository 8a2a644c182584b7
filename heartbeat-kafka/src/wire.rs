//! Messages as Kafka has them, and as heartbeat does.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use heartbeat_core::{Envelope, Headers, Message, Output, Payload, Result, Schema, Topic};
use rdkafka::message::{
    BorrowedMessage, Header, Headers as _, Message as _, OwnedHeaders, Timestamp,
};
use rdkafka::producer::BaseRecord;

use crate::positions;
use crate::registry::{Parsed, Registry, VALUE_SCHEMA_ID, WriterSchema, frame, unframe};

/// What is published.
#[derive(Debug, Clone)]
pub(crate) struct Record {
    pub(crate) topic: Topic,
    /// `None`: that of its key.
    partition: Option<i32>,
    key: Bytes,
    value: Option<Bytes>,
    /// The id of the value's schema, for its frame.
    schema: Option<u32>,
    headers: Headers,
}

impl Record {
    /// The position of a source.
    pub(crate) fn position(topic: Topic, source: &str, position: &str) -> Self {
        Self {
            topic,
            // Where it is looked for, even if somebody gave the topic more of them.
            partition: Some(positions::PARTITION),
            key: Bytes::copy_from_slice(source.as_bytes()),
            value: Some(Bytes::copy_from_slice(position.as_bytes())),
            schema: None,
            headers: Headers::default(),
        }
    }

    /// An output, and the id of its schema.
    fn of(output: &Output, schema: Option<u32>) -> Self {
        let Envelope {
            key,
            payload,
            headers,
        } = &output.envelope;
        let value = match payload {
            Payload::Avro { datum: bytes, .. } | Payload::Raw { bytes, .. } => Some(bytes.clone()),
            Payload::Tombstone => None,
        };
        Self {
            topic: output.topic.clone(),
            partition: None,
            key: key.clone(),
            value,
            schema,
            headers: headers.clone(),
        }
    }

    /// Outputs and the ids of their schemas; one is registered when that has not been done.
    pub(crate) async fn all(outputs: &[Output], registry: &Registry) -> Result<Vec<Self>> {
        let mut records = Vec::with_capacity(outputs.len());
        // Most are of one topic and one schema.
        let mut last: Option<(&Topic, &Arc<Schema>, u32)> = None;
        for output in outputs {
            let id = match &output.envelope.payload {
                Payload::Avro { schema, .. } => match last {
                    Some((topic, known, id))
                        if Arc::ptr_eq(known, schema) && *topic == output.topic =>
                    {
                        Some(id)
                    }
                    _ => {
                        let id = registry.id_of(&output.topic, schema).await?;
                        last = Some((&output.topic, schema, id));
                        Some(id)
                    }
                },
                Payload::Raw { .. } | Payload::Tombstone => None,
            };
            records.push(Self::of(output, id));
        }
        Ok(records)
    }

    /// For librdkafka, which copies it; a frame is made in `framed`. `index` comes back with the delivery.
    pub(crate) fn to_send<'a>(
        &'a self,
        index: usize,
        framed: &'a mut Vec<u8>,
    ) -> BaseRecord<'a, [u8], [u8], usize> {
        let mut record = BaseRecord::with_opaque_to(self.topic.as_str(), index);
        if let Some(partition) = self.partition {
            record = record.partition(partition);
        }
        // An empty key is none: such messages go to any partition.
        if !self.key.is_empty() {
            record = record.key(&self.key[..]);
        }
        match (&self.value, self.schema) {
            (Some(datum), Some(id)) => {
                frame(id, datum, framed);
                record = record.payload(&framed[..]);
            }
            (Some(bytes), None) => record = record.payload(&bytes[..]),
            (None, _) => {}
        }
        if self.headers.iter().len() > 0 {
            let mut headers = OwnedHeaders::new_with_capacity(self.headers.iter().len());
            for (key, value) in self.headers.iter() {
                let value = Some(&value[..]);
                headers = headers.insert(Header { key, value });
            }
            record = record.headers(headers);
        }
        record
    }

    /// About how many bytes it takes.
    pub(crate) fn size(&self) -> usize {
        self.key.len() + self.value.as_ref().map_or(0, Bytes::len)
    }
}

/// A message as it was fetched.
#[derive(Debug)]
pub(crate) struct Fetched {
    pub(crate) partition: i32,
    pub(crate) offset: i64,
    timestamp: i64,
    key: Bytes,
    value: Value,
    headers: Headers,
    /// The bytes of key, value and headers.
    pub(crate) size: usize,
}

#[derive(Debug)]
enum Value {
    Tombstone,
    /// An Avro datum in its frame.
    Avro {
        bytes: Bytes,
        writer: WriterSchema,
        datum: Bytes,
    },
    /// Anything else, and why it is no Avro datum.
    Raw {
        bytes: Bytes,
        reason: String,
    },
}

impl Fetched {
    pub(crate) fn copy(message: &BorrowedMessage<'_>) -> Self {
        let headers = message.headers().map_or_else(Headers::default, |headers| {
            headers
                .iter()
                .map(|header| {
                    let value = header.value.map_or_else(Bytes::new, Bytes::copy_from_slice);
                    (header.key.to_owned(), value)
                })
                .collect()
        });
        let of_headers = headers.iter();
        let of_headers: usize = of_headers
            .map(|(name, value)| name.len() + value.len())
            .sum();
        let timestamp = match message.timestamp() {
            Timestamp::CreateTime(millis) | Timestamp::LogAppendTime(millis) => millis,
            Timestamp::NotAvailable => 0,
        };
        // Both in one piece of memory.
        let (key, value) = (message.key().unwrap_or_default(), message.payload());
        let mut bytes = BytesMut::with_capacity(key.len() + value.map_or(0, <[u8]>::len));
        bytes.extend_from_slice(key);
        bytes.extend_from_slice(value.unwrap_or_default());
        let size = bytes.len() + of_headers;
        let mut bytes = bytes.freeze();
        let key = bytes.split_to(key.len());
        let value = match value.map(|_| unframe(&bytes, &headers)) {
            None => Value::Tombstone,
            Some(Err(reason)) => Value::Raw { bytes, reason },
            Some(Ok((writer, datum))) => Value::Avro {
                bytes,
                writer,
                datum,
            },
        };
        Self {
            partition: message.partition(),
            offset: message.offset(),
            timestamp,
            key,
            value,
            headers,
            size,
        }
    }

    /// The schema its value was written with, if it is Avro.
    pub(crate) fn writer(&self) -> Option<WriterSchema> {
        match &self.value {
            Value::Avro { writer, .. } => Some(*writer),
            Value::Tombstone | Value::Raw { .. } => None,
        }
    }

    /// The message, with the schema that `schema` finds.
    pub(crate) fn into_message(
        mut self,
        topic: &Topic,
        schema: impl FnOnce(&WriterSchema) -> Parsed,
    ) -> Message {
        let payload = match self.value {
            Value::Tombstone => Payload::Tombstone,
            Value::Raw { bytes, reason } => Payload::Raw { bytes, reason },
            Value::Avro {
                bytes,
                writer,
                datum,
            } => match schema(&writer) {
                Err(reason) => Payload::Raw { bytes, reason },
                Ok(schema) => {
                    // It is part of the frame, and the value gets another when it is published again.
                    self.headers.remove(|name| name == VALUE_SCHEMA_ID);
                    Payload::Avro { schema, datum }
                }
            },
        };
        Message {
            topic: topic.clone(),
            partition: self.partition,
            offset: self.offset,
            timestamp: self.timestamp,
            envelope: Envelope {
                key: self.key,
                payload,
                headers: self.headers,
            },
        }
    }
}
