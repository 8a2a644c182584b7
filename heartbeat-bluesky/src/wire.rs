//! The shapes of a message, before anything in it is checked.

use std::fmt;
use std::marker::PhantomData;

use heartbeat_core::json::Value;
use heartbeat_core::{Error, Result, remote};
use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::error::Category;

/// A message of Jetstream.
#[derive(Deserialize)]
pub(crate) struct Message<'a> {
    #[serde(borrow, default)]
    pub(crate) did: Value<'a>,
    #[serde(borrow, default)]
    pub(crate) time_us: Value<'a>,
    #[serde(borrow, default)]
    pub(crate) kind: Value<'a>,
    #[serde(borrow, default)]
    pub(crate) commit: Part<Commit<'a>>,
}

/// A change of somebody's records.
#[derive(Deserialize)]
pub(crate) struct Commit<'a> {
    #[serde(borrow, default)]
    pub(crate) operation: Value<'a>,
    #[serde(borrow, default)]
    pub(crate) collection: Value<'a>,
    #[serde(borrow, default)]
    pub(crate) rkey: Value<'a>,
    #[serde(borrow, default)]
    pub(crate) record: Part<Record<'a>>,
}

/// A post, where the collection is one of posts.
#[derive(Deserialize)]
pub(crate) struct Record<'a> {
    #[serde(borrow, default)]
    pub(crate) text: Value<'a>,
    #[serde(borrow, default)]
    pub(crate) langs: Value<'a>,
}

impl<'a> Message<'a> {
    pub(crate) fn read(message: &'a [u8]) -> Result<Self> {
        match serde_json::from_slice(message) {
            Ok(Part::Object(message)) => Ok(message),
            Ok(Part::Missing) => Err(Error::invalid("the message is `null`")),
            Ok(Part::Other(found)) => Err(Error::invalid(format!("the message is {found}"))),
            Err(error) => Err(refused(&error)),
        }
    }
}

/// A message that is not JSON, or names a field twice.
fn refused(error: &serde_json::Error) -> Error {
    let what = match error.classify() {
        Category::Eof => "the JSON is cut short",
        Category::Data => "the message is not one of Jetstream",
        Category::Syntax | Category::Io => "the message is not JSON",
    };
    Error::invalid(what)
        .with("line", error.line())
        .with("column", error.column())
        .caused_by(remote::words(&error.to_string()))
}

/// A struct that is written as an object, or whatever else is in its place. Derived structs alone also take an array of their
/// fields.
#[derive(Debug, Default)]
pub(crate) enum Part<T> {
    /// It is not there or `null`.
    #[default]
    Missing,
    Object(T),
    /// Anything else, in words.
    Other(&'static str),
}

impl<T> Part<T> {
    /// The object that it must be.
    pub(crate) fn into_object(self, field: &'static str) -> Result<T> {
        match self {
            Self::Object(object) => Ok(object),
            Self::Missing => Err(Value::Missing.mistaken(field, "an object")),
            Self::Other(found) => Err(Value::Other(found).mistaken(field, "an object")),
        }
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Part<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(PartVisitor(PhantomData))
    }
}

struct PartVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for PartVisitor<T> {
    type Value = Part<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map)).map(Part::Object)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Self::Value, A::Error> {
        IgnoredAny.visit_seq(seq)?;
        Ok(Part::Other("an array"))
    }

    fn visit_str<E>(self, _: &str) -> Result<Self::Value, E> {
        Ok(Part::Other("a string"))
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
        Ok(Part::Other("a number"))
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
        Ok(Part::Other("a number"))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
        Ok(Part::Other("a number"))
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(Part::Other("a boolean"))
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Part::Missing)
    }
}
