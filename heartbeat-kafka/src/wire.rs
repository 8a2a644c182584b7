//! Messages as Kafka has them, and as heartbeat does.

use std::sync::Arc;

use bytes::Bytes;
use heartbeat_core::{Envelope, Headers, Message, Output, Payload, Result, Topic};
use rdkafka::message::{
    BorrowedMessage, Header, Headers as _, Message as _, OwnedHeaders, Timestamp,
};
use rdkafka::producer::BaseRecord;

use crate::registry::{Parsed, Registry, VALUE_SCHEMA_ID, WriterSchema, frame, unframe};

/// What is published: bytes.
#[derive(Debug, Clone)]
pub(crate) struct Record {
    pub(crate) topic: Topic,
    key: Bytes,
    value: Option<Bytes>,
    headers: Headers,
}

impl Record {
    /// The position of a source.
    pub(crate) fn position(topic: Topic, source: &str, position: &str) -> Self {
        Self {
            topic,
            key: Bytes::copy_from_slice(source.as_bytes()),
            value: Some(Bytes::copy_from_slice(position.as_bytes())),
            headers: Headers::default(),
        }
    }

    /// An output with its value framed; its schema is registered when that has not been done.
    pub(crate) async fn of(output: &Output, registry: &Registry) -> Result<Self> {
        let Envelope {
            key,
            payload,
            headers,
        } = &output.envelope;
        let value = match payload {
            Payload::Avro { schema, datum } => {
                Some(frame(registry.id_of(&output.topic, schema).await?, datum))
            }
            Payload::Raw { bytes, .. } => Some(bytes.clone()),
            Payload::Tombstone => None,
        };
        Ok(Self {
            topic: output.topic.clone(),
            key: key.clone(),
            value,
            headers: headers.clone(),
        })
    }

    /// For librdkafka, which copies it. `index` comes back with the delivery.
    pub(crate) fn to_send(&self, index: usize) -> BaseRecord<'_, [u8], [u8], usize> {
        let mut record = BaseRecord::with_opaque_to(self.topic.as_str(), index);
        // An empty key is none: such messages go to any partition.
        if !self.key.is_empty() {
            record = record.key(&self.key[..]);
        }
        if let Some(value) = &self.value {
            record = record.payload(&value[..]);
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
    value: Option<Bytes>,
    headers: Headers,
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
        let timestamp = match message.timestamp() {
            Timestamp::CreateTime(millis) | Timestamp::LogAppendTime(millis) => millis,
            Timestamp::NotAvailable => 0,
        };
        Self {
            partition: message.partition(),
            offset: message.offset(),
            timestamp,
            key: message
                .key()
                .map_or_else(Bytes::new, Bytes::copy_from_slice),
            value: message.payload().map(Bytes::copy_from_slice),
            headers,
        }
    }

    /// The bytes of key, value and headers.
    pub(crate) fn size(&self) -> usize {
        let headers = self.headers.iter();
        let headers: usize = headers.map(|(name, value)| name.len() + value.len()).sum();
        self.key.len() + self.value.as_ref().map_or(0, Bytes::len) + headers
    }

    /// The schema its value was written with, if it is Avro.
    pub(crate) fn writer(&self) -> Option<WriterSchema> {
        let (writer, _) = unframe(self.value.as_ref()?, &self.headers).ok()?;
        Some(writer)
    }

    /// The message, with the schema that `schema` finds.
    pub(crate) fn into_message(
        mut self,
        topic: &Topic,
        schema: impl FnOnce(&WriterSchema) -> Parsed,
    ) -> Message {
        let payload = match self.value {
            None => Payload::Tombstone,
            Some(value) => match unframe(&value, &self.headers) {
                Err(reason) => raw(value, reason),
                Ok((writer, datum)) => match schema(&writer) {
                    Err(reason) => raw(value, reason),
                    Ok(schema) => {
                        // It is part of the frame, and the value gets another when it is published again.
                        self.headers.remove(|name| name == VALUE_SCHEMA_ID);
                        Payload::Avro {
                            schema: Arc::clone(&schema),
                            datum,
                        }
                    }
                },
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

fn raw(bytes: Bytes, reason: String) -> Payload {
    Payload::Raw { bytes, reason }
}
