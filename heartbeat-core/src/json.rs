//! Fields of JSON from outside, for whoever reads messages of a platform.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::error::{Error, Result};

/// The value of a field of any type, so that a wrong one is told with the field's name. Text without escapes is borrowed.
///
/// ```
/// use heartbeat_core::json::Value;
///
/// #[derive(serde::Deserialize)]
/// struct Message<'a> {
///     #[serde(borrow, default)]
///     text: Value<'a>,
/// }
///
/// let message: Message = serde_json::from_str(r#"{"text":["a"]}"#).unwrap();
/// let error = message.text.into_text("text").unwrap_err();
/// assert_eq!(error.to_string(), "the field needs a string, not an array (field text)");
/// ```
#[derive(Debug, Default)]
pub enum Value<'a> {
    /// The field is not there or `null`.
    #[default]
    Missing,
    /// A string.
    Text(Cow<'a, str>),
    /// A whole number of signed 64 bits.
    Integer(i64),
    /// An array.
    List(Vec<Value<'a>>),
    /// Anything else, in words.
    Other(&'static str),
}

impl<'a> Value<'a> {
    /// The string that it must be.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid), with the field's name, when it is none.
    pub fn into_text(self, field: &'static str) -> Result<Cow<'a, str>> {
        match self {
            Self::Text(text) => Ok(text),
            other => Err(other.mistaken(field, "a string")),
        }
    }

    /// The error of a field that is not there or holds something else than it `needs`.
    #[must_use]
    pub fn mistaken(&self, field: &'static str, needs: &str) -> Error {
        let found = match self {
            Self::Missing => {
                return Error::invalid("the post lacks a field").with("field", field);
            }
            Self::Text(text) => format!("{:?}", shortened(text)),
            Self::Integer(value) => value.to_string(),
            Self::List(_) => "an array".to_owned(),
            Self::Other(found) => (*found).to_owned(),
        };
        Error::invalid(format!("the field needs {needs}, not {found}")).with("field", field)
    }
}

/// A value from outside, cut to what an error can show.
pub(crate) fn shortened(value: &str) -> String {
    const MOST: usize = 120;
    match value.char_indices().nth(MOST) {
        None => value.to_owned(),
        Some((end, _)) => format!("{}…", &value[..end]),
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Value<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor)
    }
}

const BEYOND: &str = "a fraction or a number beyond signed 64 bits";

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
        Ok(Value::Other("a boolean"))
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
