//! The shapes of a message, before anything in it is checked.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use heartbeat_core::{Error, Result, remote};
use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::error::Category;

/// As many characters of a value are shown in an error.
const LONGEST_SHOWN: usize = 60;

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

/// The value of a field of any type, so that a wrong one is told with the field's name.
#[derive(Debug, Default)]
pub(crate) enum Value<'a> {
    /// The field is not there or `null`.
    #[default]
    Missing,
    Text(Cow<'a, str>),
    Integer(i64),
    List(Vec<Value<'a>>),
    /// Anything else, in words.
    Other(&'static str),
}

impl<'a> Value<'a> {
    /// The string that it must be.
    pub(crate) fn into_text(self, field: &'static str) -> Result<Cow<'a, str>> {
        match self {
            Self::Text(text) => Ok(text),
            other => Err(other.mistaken(field, "a string")),
        }
    }

    /// The error of a field that is not there or holds something else than it `needs`.
    pub(crate) fn mistaken(&self, field: &'static str, needs: &str) -> Error {
        let found = match self {
            Self::Missing => return missing(field),
            Self::Text(text) if text.chars().nth(LONGEST_SHOWN).is_some() => {
                let shown: String = text.chars().take(LONGEST_SHOWN).collect();
                format!("{shown:?}…")
            }
            Self::Text(text) => format!("{text:?}"),
            Self::Integer(value) => value.to_string(),
            Self::List(_) => "an array".to_owned(),
            Self::Other(found) => (*found).to_owned(),
        };
        Error::invalid(format!("the field needs {needs}, not {found}")).with("field", field)
    }
}

fn missing(field: &'static str) -> Error {
    Error::invalid("the post lacks a field").with("field", field)
}

const BEYOND: &str = "a fraction or a number beyond signed 64 bits";
const BOOLEAN: &str = "a boolean";

impl<'de: 'a, 'a> Deserialize<'de> for Value<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor)
    }
}

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Value::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Value::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Self::Value, E> {
        Ok(Value::Integer(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Self::Value, E> {
        Ok(i64::try_from(value).map_or(Value::Other(BEYOND), Value::Integer))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
        Ok(Value::Other(BEYOND))
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(Value::Other(BOOLEAN))
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Value::Missing)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut list = Vec::new();
        while let Some(value) = seq.next_element()? {
            list.push(value);
        }
        Ok(Value::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        IgnoredAny.visit_map(map)?;
        Ok(Value::Other("an object"))
    }
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
            Self::Missing => Err(missing(field)),
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
        Ok(Part::Other(BOOLEAN))
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Part::Missing)
    }
}
