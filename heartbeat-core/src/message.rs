//! A message before it is published ([`Envelope`]) and after it is read ([`Message`]).

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

use crate::error::{Error, Result};
use crate::schema::Schema;

/// The name of a topic: 1 to 249 of `A-Z a-z 0-9 . _ -`, as Kafka has it. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Topic(Arc<str>);

impl Topic {
    /// Checks a topic's name.
    ///
    /// # Errors
    /// [`ErrorKind::Misconfigured`](crate::ErrorKind::Misconfigured) when it is no legal name.
    pub fn new(name: &str) -> Result<Self> {
        let legal = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        if name.is_empty()
            || name.len() > 249
            || name == "."
            || name == ".."
            || !name.bytes().all(legal)
        {
            return Err(Error::misconfigured("not a topic's name")
                .with("topic", name)
                .hint("Use 1 to 249 of A-Z, a-z, 0-9, '.', '_' and '-'."));
        }
        Ok(Self(name.into()))
    }

    /// A name in this crate's own code, known to be legal.
    pub(crate) fn known(name: &'static str) -> Self {
        Self(name.into())
    }

    /// Where the messages go that the readers of this topic could not handle: `<topic>.dead`.
    #[must_use]
    pub fn dead_letters(&self) -> Self {
        Self(format!("{}.dead", self.0).into())
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The value of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Payload {
    /// An Avro binary datum, without a frame, and the schema it was written with.
    Avro {
        /// The writer's schema.
        schema: Arc<Schema>,
        /// The datum.
        datum: Bytes,
    },
    /// Bytes that are no Avro datum as far as the bus can tell; published as they are.
    Raw {
        /// The value, byte for byte.
        bytes: Bytes,
        /// Why it cannot be read. Not stored: the bus that reads it finds the reason again, and it is
        /// never empty then.
        reason: String,
    },
    /// No value, as in Kafka's tombstones: read, passed over, committed.
    Tombstone,
}

impl Payload {
    /// The size of the value in bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Avro { datum, .. } => datum.len(),
            Self::Raw { bytes, .. } => bytes.len(),
            Self::Tombstone => 0,
        }
    }

    /// Whether the value has no bytes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Named values beside a message: in order, names may repeat, the last one counts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Headers(Vec<(String, Bytes)>);

impl Headers {
    /// The last value under `name`.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Bytes> {
        self.0
            .iter()
            .rev()
            .find_map(|(key, value)| (key == name).then_some(value))
    }

    /// The last value under `name`, when it is text.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        self.get(name)
            .and_then(|value| std::str::from_utf8(value).ok())
    }

    /// Adds a header behind the others.
    pub fn push(&mut self, name: impl Into<String>, value: impl Into<Bytes>) {
        self.0.push((name.into(), value.into()));
    }

    /// Takes out every header whose name `drop` names.
    pub fn remove(&mut self, drop: impl Fn(&str) -> bool) {
        self.0.retain(|(name, _)| !drop(name));
    }

    /// All of them, in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &Bytes)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value))
    }
}

impl FromIterator<(String, Bytes)> for Headers {
    fn from_iter<I: IntoIterator<Item = (String, Bytes)>>(headers: I) -> Self {
        Self(headers.into_iter().collect())
    }
}

/// A message as it is published: key, value and headers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    /// Messages of one key stay in order. May be empty.
    pub key: Bytes,
    /// The value.
    pub payload: Payload,
    /// Anything more.
    pub headers: Headers,
}

impl Envelope {
    /// An envelope without headers.
    #[must_use]
    pub fn new(key: Bytes, payload: Payload) -> Self {
        Self {
            key,
            payload,
            headers: Headers::default(),
        }
    }

    /// About how many bytes it takes: key, value and headers.
    #[must_use]
    pub fn size(&self) -> usize {
        let headers: usize = self
            .headers
            .iter()
            .map(|(name, value)| name.len() + value.len())
            .sum();
        self.key.len() + self.payload.len() + headers
    }
}

/// An envelope and the topic it goes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// Where it goes.
    pub topic: Topic,
    /// What goes there.
    pub envelope: Envelope,
}

/// A message as it is read: an envelope and where it lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// The topic it was read from.
    pub topic: Topic,
    /// The partition of the topic, from 0.
    pub partition: i32,
    /// Its place in the partition. Offsets rise; they need not be without gaps.
    pub offset: i64,
    /// When it was published, in milliseconds since 1970-01-01 UTC.
    pub timestamp: i64,
    /// What was published.
    pub envelope: Envelope,
}
