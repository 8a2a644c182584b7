//! Messages that could not be read, scored or stored, kept with what is known about why.

use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;

use crate::error::{Error, Result};
use crate::message::{Envelope, Message, Output, Payload, Topic};
use crate::source::Rejected;
use crate::stage::Stage;

/// The nine headers of a dead letter; every value is text.
pub mod header {
    /// The stage that gave it up: `ingest`, `analyze` or `transfer`.
    pub const STAGE: &str = "heartbeat.stage";
    /// What went wrong.
    pub const ERROR: &str = "heartbeat.error";
    /// The error's [kind](crate::ErrorKind), in one word.
    pub const KIND: &str = "heartbeat.error.kind";
    /// The topic it was on, or was to go to when it comes from a source.
    pub const TOPIC: &str = "heartbeat.topic";
    /// The partition it was in; 0 from a source.
    pub const PARTITION: &str = "heartbeat.partition";
    /// The offset it had; from a source its line number.
    pub const OFFSET: &str = "heartbeat.offset";
    /// When it was given up, in milliseconds since 1970-01-01 UTC.
    pub const TIME: &str = "heartbeat.time";
    /// Who read it: the consumer group, or the source's name.
    pub const READER: &str = "heartbeat.reader";
    /// How often it has been replayed.
    pub const REPLAYS: &str = "heartbeat.replays";
}

/// What every header of ours begins with.
const PREFIX: &str = "heartbeat.";

/// The longest error text in a header, in bytes.
const MAX_ERROR: usize = 2048;

/// How much of a value is kept that is too large to be published again.
const MAX_KEPT: usize = 4096;

/// A message that could not be handled, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// The stage that gave it up.
    pub stage: Stage,
    /// What went wrong: [`Error::report`].
    pub error: String,
    /// The error's kind, in one word.
    pub kind: String,
    /// The topic it was on, or was to go to when it comes from a source.
    pub topic: Topic,
    /// The partition it was in; 0 from a source.
    pub partition: i32,
    /// The offset it had; from a source its line number.
    pub offset: i64,
    /// When it was given up, in milliseconds since 1970-01-01 UTC.
    pub time: i64,
    /// Who read it: the consumer group, or the source's name.
    pub reader: String,
    /// How often it has been replayed.
    pub replays: u32,
    /// The message as it was, without these headers.
    pub envelope: Envelope,
}

impl DeadLetter {
    /// The dead letter of a message that `group` read.
    #[must_use]
    pub fn of_message(stage: Stage, group: &str, message: Message, error: &Error) -> Self {
        let mut envelope = message.envelope;
        let replays = envelope
            .headers
            .text(header::REPLAYS)
            .and_then(|replays| replays.parse().ok())
            .unwrap_or(0);
        envelope.headers.remove(|name| name.starts_with(PREFIX));
        Self {
            stage,
            error: shorten(error.report()),
            kind: error.kind().to_string(),
            topic: message.topic,
            partition: message.partition,
            offset: message.offset,
            time: now_ms(),
            reader: group.to_owned(),
            replays,
            envelope,
        }
    }

    /// The dead letter of a piece of input that was to go to `topic`.
    #[must_use]
    pub fn of_input(source: &str, topic: &Topic, rejected: Rejected) -> Self {
        let error = rejected.error.with("line", rejected.line);
        Self {
            stage: Stage::Ingest,
            error: shorten(error.report()),
            kind: error.kind().to_string(),
            topic: topic.clone(),
            partition: 0,
            offset: rejected.line.try_into().unwrap_or(i64::MAX),
            time: now_ms(),
            reader: source.to_owned(),
            replays: 0,
            envelope: Envelope::new(
                Bytes::new(),
                Payload::Raw {
                    bytes: rejected.raw,
                    reason: String::new(),
                },
            ),
        }
    }

    /// The dead letter of an output that the bus refuses, its value cut short.
    #[must_use]
    pub fn of_output(stage: Stage, reader: &str, output: Output, error: &Error) -> Self {
        let envelope = cut(output.envelope);
        // What is a dead letter already stays the one it is.
        if let Ok(letter) = Self::from_envelope(&envelope) {
            return letter;
        }
        Self {
            stage,
            error: shorten(error.report()),
            kind: error.kind().to_string(),
            topic: output.topic,
            partition: 0,
            offset: 0,
            time: now_ms(),
            reader: reader.to_owned(),
            replays: 0,
            envelope,
        }
    }

    /// Whether `output` is a dead letter that [`of_output`](Self::of_output) could not make shorter.
    pub(crate) fn is_short(output: &Output) -> bool {
        Self::is_one(output) && output.envelope.payload.len() <= MAX_KEPT
    }

    /// Whether `output` is a dead letter.
    pub(crate) fn is_one(output: &Output) -> bool {
        output.envelope.headers.get(header::STAGE).is_some()
    }

    /// What to publish on the topic of dead letters.
    #[must_use]
    pub fn into_output(self) -> Output {
        let mut envelope = self.envelope;
        for (name, value) in [
            (header::STAGE, self.stage.to_string()),
            (header::ERROR, self.error),
            (header::KIND, self.kind),
            (header::TOPIC, self.topic.to_string()),
            (header::PARTITION, self.partition.to_string()),
            (header::OFFSET, self.offset.to_string()),
            (header::TIME, self.time.to_string()),
            (header::READER, self.reader),
            (header::REPLAYS, self.replays.to_string()),
        ] {
            envelope.headers.push(name, value);
        }
        Output {
            topic: self.topic.dead_letters(),
            envelope,
        }
    }

    /// Reads a message of a topic of dead letters.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) when a header is missing or wrong; it is named.
    pub fn from_message(message: &Message) -> Result<Self> {
        Self::from_envelope(&message.envelope)
    }

    fn from_envelope(envelope: &Envelope) -> Result<Self> {
        let headers = &envelope.headers;
        let text = |name: &'static str| {
            headers
                .text(name)
                .ok_or_else(|| Error::invalid("a dead letter lacks a header").with("header", name))
        };
        let mut envelope = envelope.clone();
        envelope.headers.remove(|name| name.starts_with(PREFIX));
        Ok(Self {
            stage: text(header::STAGE)?.parse()?,
            error: text(header::ERROR)?.to_owned(),
            kind: text(header::KIND)?.to_owned(),
            topic: Topic::new(text(header::TOPIC)?)?,
            partition: number(header::PARTITION, text(header::PARTITION)?)?,
            offset: number(header::OFFSET, text(header::OFFSET)?)?,
            time: number(header::TIME, text(header::TIME)?)?,
            reader: text(header::READER)?.to_owned(),
            replays: number(header::REPLAYS, text(header::REPLAYS)?)?,
            envelope,
        })
    }

    /// The message as it was, to be published on its topic again.
    ///
    /// It carries how often it was replayed, so that a message that dies again tells.
    #[must_use]
    pub fn replay(self) -> Output {
        let mut envelope = self.envelope;
        envelope
            .headers
            .push(header::REPLAYS, (self.replays + 1).to_string());
        Output {
            topic: self.topic,
            envelope,
        }
    }
}

/// The envelope with its value cut to what a bus surely takes.
fn cut(envelope: Envelope) -> Envelope {
    let bytes = match envelope.payload {
        Payload::Avro { datum, .. } => datum,
        Payload::Raw { bytes, .. } => bytes,
        Payload::Tombstone => Bytes::new(),
    };
    Envelope {
        payload: Payload::Raw {
            bytes: bytes.slice(..bytes.len().min(MAX_KEPT)),
            reason: String::new(),
        },
        ..envelope
    }
}

fn number<T: std::str::FromStr>(name: &'static str, text: &str) -> Result<T> {
    text.parse().map_err(|_| {
        Error::invalid("a dead letter's header is no number")
            .with("header", name)
            .with("value", text)
    })
}

fn shorten(mut text: String) -> String {
    if text.len() > MAX_ERROR {
        text.truncate(text.floor_char_boundary(MAX_ERROR));
        text.push('…');
    }
    text
}

fn now_ms() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .ok()
        .and_then(|since| i64::try_from(since.as_millis()).ok())
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Headers;

    fn message() -> Message {
        let mut headers = Headers::default();
        headers.push("lang", "en");
        Message {
            topic: Topic::new("ingest").unwrap(),
            partition: 2,
            offset: 41,
            timestamp: 0,
            envelope: Envelope {
                key: Bytes::from_static(b"12345678"),
                payload: Payload::Raw {
                    bytes: Bytes::from_static(b"\0\xff"),
                    reason: "no Avro".into(),
                },
                headers,
            },
        }
    }

    /// What the bus hands back of what was published.
    fn read_back(output: Output) -> Message {
        Message {
            topic: output.topic,
            envelope: output.envelope,
            ..message()
        }
    }

    #[test]
    fn says_everything_in_nine_headers_and_reads_it_back() {
        let letter = DeadLetter::of_message(
            Stage::Analyze,
            "heartbeat-analyze",
            message(),
            &Error::invalid("no Avro").hint("Mend the writer."),
        );
        let output = letter.clone().into_output();
        assert_eq!(output.topic.as_str(), "ingest.dead");
        assert_eq!(output.envelope.headers.iter().len(), 9 + 1);
        assert_eq!(
            output.envelope.headers.text(header::ERROR),
            Some("no Avro. Mend the writer.")
        );
        assert_eq!(
            DeadLetter::from_message(&read_back(output)).unwrap(),
            letter
        );
    }

    #[test]
    fn a_replayed_message_is_the_original_and_counts_its_replays() {
        let error = Error::invalid("no Avro");
        let die = |message| DeadLetter::of_message(Stage::Analyze, "g", message, &error);
        let once = die(message()).replay();
        assert_eq!(once.topic, message().topic);
        assert_eq!(once.envelope.payload, message().envelope.payload);
        assert_eq!(once.envelope.headers.text("lang"), Some("en"));
        assert_eq!(die(read_back(once)).replays, 1);
    }

    #[test]
    fn a_long_error_is_cut_between_characters() {
        let error = Error::invalid("é".repeat(4000));
        let letter = DeadLetter::of_message(Stage::Transfer, "g", message(), &error);
        assert!(letter.error.len() <= MAX_ERROR + '…'.len_utf8());
    }

    #[test]
    fn a_missing_header_is_named() {
        let error = DeadLetter::from_message(&message()).unwrap_err();
        assert!(error.to_string().contains(header::STAGE), "{error}");
    }
}
