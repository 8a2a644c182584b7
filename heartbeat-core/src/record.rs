//! What travels on the topics: [`Tweet`] and [`Sentiment`], each under its [`TweetId`].

use std::fmt;
use std::str::FromStr;
use std::sync::LazyLock;

use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::analyzer::Scores;
use crate::codec::Codec;
use crate::error::{Error, Result};
use crate::message::{Envelope, Message, Payload};

/// A type with an Avro schema, which can be the value of a message.
///
/// Its name for serde is the name of the schema's record, without the namespace.
///
/// ```
/// use std::sync::LazyLock;
/// use heartbeat_core::{Codec, Record};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Debug, Serialize, Deserialize)]
/// #[serde(rename = "like")]
/// struct Like { time: i32 }
///
/// impl Record for Like {
///     fn codec() -> &'static Codec {
///         static CODEC: LazyLock<Codec> = LazyLock::new(|| {
///             Codec::new(r#"{"type":"record","name":"like","fields":[{"name":"time","type":"int"}]}"#)
///                 .expect("the schema above parses")
///         });
///         &CODEC
///     }
/// }
/// # let codec = Like::codec();
/// # let datum = codec.encode(&Like { time: 7 }).unwrap();
/// # assert_eq!(codec.decode::<Like>(codec.schema(), &datum).unwrap().time, 7);
/// ```
pub trait Record: Serialize + DeserializeOwned + fmt::Debug + Send + Sync + 'static {
    /// The type's one codec.
    fn codec() -> &'static Codec;
}

/// A post on a subject. Avro `heartbeat.tweet`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename = "tweet")]
pub struct Tweet {
    /// When it was posted, by the platform's own clock, in whole seconds since 1970-01-01 UTC.
    pub time: i32,
    /// Its text.
    pub content: String,
    /// The subject it belongs to, such as `RU-UKR`.
    pub task: String,
}

/// The mood of a post. Avro `heartbeat.sentiment`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename = "sentiment")]
pub struct Sentiment {
    /// When the post was posted, in whole seconds since 1970-01-01 UTC.
    pub time: i32,
    /// The subject it belongs to.
    pub task: String,
    /// How positive it is, 0 to 1. The three scores sum to 1.
    pub pos: f32,
    /// How neutral it is, 0 to 1.
    pub neu: f32,
    /// How negative it is, 0 to 1.
    pub neg: f32,
}

impl Sentiment {
    /// The mood of `tweet` as `scores` tell it.
    #[must_use]
    pub fn new(tweet: Tweet, scores: Scores) -> Self {
        Self {
            time: tweet.time,
            task: tweet.task,
            pos: scores.pos,
            neu: scores.neu,
            neg: scores.neg,
        }
    }
}

static TWEET: LazyLock<Codec> = LazyLock::new(|| {
    Codec::new(include_str!("tweet.avsc").trim_end()).expect("the schema in tweet.avsc parses")
});

static SENTIMENT: LazyLock<Codec> = LazyLock::new(|| {
    Codec::new(include_str!("sentiment.avsc").trim_end())
        .expect("the schema in sentiment.avsc parses")
});

impl Record for Tweet {
    fn codec() -> &'static Codec {
        &TWEET
    }
}

impl Record for Sentiment {
    fn codec() -> &'static Codec {
        &SENTIMENT
    }
}

/// A post's number: the key of its messages.
///
/// X's ids are decimal strings of up to 19 digits that fit a signed 64-bit number; other sources
/// derive a stable number of that range.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TweetId(pub i64);

impl TweetId {
    /// The key of its messages: 8 bytes, big-endian, as Kafka's `LongSerializer` writes them.
    #[must_use]
    pub fn to_key(self) -> [u8; 8] {
        self.0.to_be_bytes()
    }

    /// Reads a key of 8 bytes, or of 4 as Kafka's `IntegerSerializer` writes them.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) for any other length.
    pub fn from_key(key: &[u8]) -> Result<Self> {
        if let Ok(long) = <[u8; 8]>::try_from(key) {
            Ok(Self(i64::from_be_bytes(long)))
        } else if let Ok(int) = <[u8; 4]>::try_from(key) {
            Ok(Self(i32::from_be_bytes(int).into()))
        } else {
            Err(Error::invalid("a key is 8 or 4 bytes, big-endian").with("bytes", key.len()))
        }
    }
}

impl fmt::Display for TweetId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for TweetId {
    type Err = Error;

    /// Parses 1 to 19 decimal digits that fit a signed 64-bit number.
    fn from_str(text: &str) -> Result<Self> {
        let wrong = |message: &str| {
            let shown: String = text.chars().take(40).collect();
            Err(Error::invalid(message)
                .with("field", "id")
                .with("value", shown))
        };
        if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
            return wrong("an id is made of decimal digits");
        }
        match text.parse() {
            Ok(id) if text.len() <= 19 => Ok(Self(id)),
            _ => wrong("the id does not fit 19 digits and a signed 64-bit number"),
        }
    }
}

/// A value and the post it belongs to.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Keyed<T> {
    /// The post's number.
    pub id: TweetId,
    /// What is said of it.
    pub value: T,
}

impl<T: Record> Keyed<T> {
    /// Encodes it for a topic.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) when the record does not fit its schema.
    pub fn to_envelope(&self) -> Result<Envelope> {
        let codec = T::codec();
        Ok(Envelope::new(
            Bytes::copy_from_slice(&self.id.to_key()),
            Payload::Avro {
                schema: codec.schema().clone(),
                datum: codec.encode(&self.value)?,
            },
        ))
    }

    /// Decodes a message; `None` for a tombstone, which says nothing.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) when key or value cannot be read.
    pub fn from_message(message: &Message) -> Result<Option<Self>> {
        match &message.envelope.payload {
            Payload::Avro { schema, datum } => Ok(Some(Self {
                id: TweetId::from_key(&message.envelope.key)?,
                value: T::codec().decode(schema, datum)?,
            })),
            Payload::Raw { reason, .. } => Err(Error::invalid(reason.clone())),
            Payload::Tombstone => Ok(None),
        }
    }
}
