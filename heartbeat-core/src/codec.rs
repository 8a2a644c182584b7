//! Records to Avro bytes and back, with the writer's schema resolved to the reader's.

use std::any::type_name;
use std::fmt;
use std::sync::Arc;

use apache_avro::Schema as AvroSchema;
use apache_avro::reader::datum::GenericDatumReader;
use apache_avro::types::Value;
use apache_avro::writer::datum::GenericDatumWriter;
use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::{Error, Result};
use crate::schema::Schema;

/// Writes one record type as an Avro datum and reads what any compatible writer wrote.
///
/// A type has one codec, made once and kept in a static: see [`Record::codec`](crate::Record::codec).
pub struct Codec {
    schema: &'static Arc<Schema>,
    reader: GenericDatumReader<'static>,
    writer: GenericDatumWriter<'static>,
}

impl Codec {
    /// A codec for the schema in `text`. The schema is kept for the life of the process.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) when `text` is no Avro schema.
    pub fn new(text: &str) -> Result<Self> {
        let schema: &'static Arc<Schema> = Box::leak(Box::new(Schema::parse(text)?));
        let broken = |error| Error::invalid("not a usable Avro schema").caused_by(error);
        Ok(Self {
            schema,
            reader: GenericDatumReader::builder(schema.parsed())
                .human_readable(false)
                .build()
                .map_err(broken)?,
            writer: GenericDatumWriter::builder(schema.parsed())
                .human_readable(false)
                .build()
                .map_err(broken)?,
        })
    }

    /// The schema it writes.
    #[must_use]
    pub fn schema(&self) -> &'static Arc<Schema> {
        self.schema
    }

    /// Encodes one record as an Avro binary datum, without any frame.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) when the record does not fit the schema.
    pub fn encode<T: Serialize>(&self, record: &T) -> Result<Bytes> {
        let mut datum = Vec::with_capacity(64);
        self.writer.write_ser(&mut datum, record).map_err(|error| {
            Error::invalid("the record does not fit its schema")
                .with("record", short_name::<T>())
                .caused_by(error)
        })?;
        Ok(datum.into())
    }

    /// Decodes a datum that was written with the schema `writer`.
    ///
    /// As Avro resolves schemas: fields the reader does not know are passed over, numbers are
    /// promoted, a field may be found by an alias. A `long` is read into an `int` field when its
    /// value fits.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) when the schemas do not resolve, a number does
    /// not fit its field (the field is named), or the bytes are cut off or too many.
    pub fn decode<T: DeserializeOwned>(&self, writer: &Schema, mut datum: &[u8]) -> Result<T> {
        let rest = &mut datum;
        let record = if self.schema.same_layout(writer) {
            self.reader.read_deser(rest).map_err(|error| {
                Error::invalid("the Avro datum cannot be read")
                    .with("record", short_name::<T>())
                    .caused_by(error)
            })?
        } else {
            self.resolve(writer, rest)?
        };
        if !rest.is_empty() {
            return Err(Error::invalid("the Avro datum is longer than its record")
                .with("record", short_name::<T>())
                .with("bytes left over", rest.len()));
        }
        Ok(record)
    }

    fn resolve<T: DeserializeOwned>(&self, writer: &Schema, rest: &mut &[u8]) -> Result<T> {
        let unreadable = |error: apache_avro::Error| {
            Error::invalid("the Avro datum cannot be read with its writer's schema")
                .with("record", short_name::<T>())
                .caused_by(error)
        };
        let (AvroSchema::Record(wrote), AvroSchema::Record(reads)) =
            (writer.parsed(), self.schema.parsed())
        else {
            return Err(unlike::<T>(writer, "the writer's schema is no record"));
        };
        if wrote.name.name() != reads.name.name() {
            return Err(unlike::<T>(writer, "the message is another record"));
        }
        let value = GenericDatumReader::builder(writer.parsed())
            .build()
            .map_err(unreadable)?
            .read_value(rest)
            .map_err(unreadable)?;
        let Value::Record(values) = value else {
            return Err(unlike::<T>(writer, "the message is no record"));
        };

        let mut fields = Vec::with_capacity(reads.fields.len());
        for (written, (name, value)) in wrote.fields.iter().zip(values) {
            let Some(field) = reads.fields.iter().find(|field| {
                field.name == name
                    || field.aliases.contains(&name)
                    || written.aliases.contains(&field.name)
            }) else {
                continue;
            };
            // A `long` that calls itself a timestamp is the same number without the name.
            let value = match value {
                Value::TimestampMillis(number) => Value::Long(number),
                other => other,
            };
            let value = value.resolve(&field.schema).map_err(|error| {
                Error::invalid("the value does not fit its field")
                    .with("field", &field.name)
                    .caused_by(error)
            })?;
            fields.push((field.name.clone(), value));
        }
        let resolved = Value::Record(fields)
            .resolve(self.schema.parsed())
            .map_err(|error| unlike::<T>(writer, "the schemas do not resolve").caused_by(error))?;
        apache_avro::from_value(&resolved).map_err(unreadable)
    }
}

fn unlike<T>(writer: &Schema, message: &str) -> Error {
    Error::invalid(message)
        .with("record", short_name::<T>())
        .with(
            "writer",
            writer.name().unwrap_or_else(|| writer.text().to_owned()),
        )
}

fn short_name<T>() -> &'static str {
    let name = type_name::<T>();
    name.rsplit("::").next().unwrap_or(name)
}

impl fmt::Debug for Codec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Codec").field(self.schema).finish()
    }
}
