//! Messages as they are read.

use bytes::{Buf, Bytes, BytesMut};
use heartbeat_core::{Envelope, Headers, Message, Payload, Topic};
use rdkafka::message::{BorrowedMessage, Headers as _, Message as _, Timestamp};

use crate::registry::{Parsed, VALUE_SCHEMA_ID, WriterSchema, unframe};

/// How many bytes of messages share a piece of memory.
const PIECE: usize = 64 << 10;

/// Memory for messages that come one after the other: a piece of its own for each would cost more than to copy it.
#[derive(Debug)]
pub(crate) struct Pieces(BytesMut);

impl Pieces {
    pub(crate) fn new() -> Self {
        Self(BytesMut::with_capacity(PIECE))
    }

    fn copy(&mut self, bytes: &[u8]) -> Bytes {
        self.0.extend_from_slice(bytes);
        self.0.split().freeze()
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
    /// An Avro datum, which begins at `datum` of the bytes.
    Avro {
        bytes: Bytes,
        writer: WriterSchema,
        datum: usize,
    },
    /// Anything else, and why it is no Avro datum.
    Raw {
        bytes: Bytes,
        reason: String,
    },
}

impl Fetched {
    pub(crate) fn copy(message: &BorrowedMessage<'_>, pieces: &mut Pieces) -> Self {
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
        let key = pieces.copy(message.key().unwrap_or_default());
        let value = message.payload();
        let size = key.len() + value.map_or(0, <[u8]>::len) + of_headers;
        let value = match value.map(|value| (pieces.copy(value), unframe(value, &headers))) {
            None => Value::Tombstone,
            Some((bytes, Err(reason))) => Value::Raw { bytes, reason },
            Some((bytes, Ok((writer, datum)))) => Value::Avro {
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
                mut bytes,
                writer,
                datum,
            } => match schema(&writer) {
                Err(reason) => Payload::Raw { bytes, reason },
                Ok(schema) => {
                    // It is part of the frame, and the value gets another when it is published again.
                    self.headers.remove(|name| name == VALUE_SCHEMA_ID);
                    bytes.advance(datum);
                    Payload::Avro {
                        schema,
                        datum: bytes,
                    }
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
