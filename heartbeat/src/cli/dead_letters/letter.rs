//! A dead letter as it lies on its topic.

use std::fmt;
use std::str::FromStr;

use heartbeat_core::{
    DeadLetter, Error, Message, Payload, Record, Result, Sentiment, Stage, Topic, Tweet, TweetId,
};

/// Where a dead letter lies: `ingest.dead/0/17`. Its name for `show` and `replay`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Place {
    /// The topic of dead letters.
    pub(super) topic: Topic,
    pub(super) partition: i32,
    pub(super) offset: i64,
}

impl Place {
    pub(super) fn of(message: &Message) -> Self {
        Self {
            topic: message.topic.clone(),
            partition: message.partition,
            offset: message.offset,
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.topic, self.partition, self.offset)
    }
}

impl FromStr for Place {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let wrong = || {
            Error::misconfigured("not a dead letter's id")
                .with("id", text)
                .hint("It is what `heartbeat dead-letters list` shows first, such as `ingest.dead/0/17`.")
        };
        let mut parts = text.split('/');
        match (parts.next(), parts.next(), parts.next(), parts.next()) {
            (Some(topic), Some(partition), Some(offset), None) => Ok(Self {
                topic: Topic::new(topic)?,
                partition: partition.parse().map_err(|_| wrong())?,
                offset: offset.parse().map_err(|_| wrong())?,
            }),
            _ => Err(wrong()),
        }
    }
}

/// Where its message came from, in a few words.
pub(super) fn origin(letter: &DeadLetter) -> String {
    if let Some(line) = input_line(letter) {
        format!("line {line}")
    } else {
        format!("{}/{}/{}", letter.topic, letter.partition, letter.offset)
    }
}

/// The number of the line it is, when it never became a message. Only messages have keys.
pub(super) fn input_line(letter: &DeadLetter) -> Option<u64> {
    let is_input = letter.stage == Stage::Ingest && letter.envelope.key.is_empty();
    is_input.then(|| letter.offset.try_into().unwrap_or(0))
}

/// A message's value, as far as it can be told.
#[derive(Debug, PartialEq)]
pub(super) enum Value<'a> {
    Tweet(Tweet),
    Sentiment(Sentiment),
    /// An Avro datum that is neither, or bytes of any kind.
    Bytes(&'a [u8]),
    /// No value at all.
    Nothing,
}

impl<'a> Value<'a> {
    /// Reads the value of `message`, which may be a dead letter: its headers are not looked at.
    pub(super) fn of(message: &'a Message) -> Self {
        let bytes = match &message.envelope.payload {
            Payload::Avro { schema, datum } => {
                if let Ok(tweet) = Tweet::codec().decode(schema, datum) {
                    return Self::Tweet(tweet);
                }
                if let Ok(sentiment) = Sentiment::codec().decode(schema, datum) {
                    return Self::Sentiment(sentiment);
                }
                datum
            }
            Payload::Raw { bytes, .. } => bytes,
            Payload::Tombstone => return Self::Nothing,
        };
        Self::Bytes(bytes)
    }
}

/// The post a message is about, when its key tells.
pub(super) fn tweet_id(message: &Message) -> Option<TweetId> {
    TweetId::from_key(&message.envelope.key).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_read_as_it_is_written() {
        let place: Place = "ingest.dead/3/17".parse().unwrap();
        assert_eq!((place.partition, place.offset), (3, 17));
        assert_eq!(place.to_string(), "ingest.dead/3/17");
        for wrong in [
            "",
            "7",
            "ingest.dead/3",
            "ingest.dead/x/1",
            "a/1/2/3",
            "é/1/2",
        ] {
            assert!(wrong.parse::<Place>().is_err(), "{wrong}");
        }
    }
}
