//! Dead letters as people and programs read them.

use heartbeat_core::{DeadLetter, Message, Sentiment, Tweet, TweetId};
use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value as Json;

use super::letter::{Place, Value, input_line, origin, tweet_id};
use crate::cli::escape::{printable, printable_bytes, shortened};

/// The most bytes of an unreadable value that `show` writes.
const MAX_SHOWN: usize = 4096;

/// The least room that an error gets in a line, even if the line is wrapped then.
const LEAST_ERROR: usize = 30;

/// The head of the table that [`row`] makes the rows of.
pub(super) fn head() -> String {
    columns("ID", "WHEN", "STAGE", "FROM", "KIND") + "ERROR"
}

/// One line about a dead letter, its error cut so that it is no wider than `width`.
pub(super) fn row(message: &Message, width: Option<usize>) -> String {
    let id = Place::of(message).to_string();
    let (mut row, error) = match DeadLetter::from_message(message) {
        Ok(letter) => {
            let (when, from) = (utc_ms(letter.time), origin(&letter));
            let kind = printable(&letter.kind);
            let row = columns(&id, &when, letter.stage.as_str(), &from, &kind);
            (row, letter.error)
        }
        Err(error) => {
            let when = utc_ms(message.timestamp);
            (columns(&id, &when, "?", "?", "?"), error.to_string())
        }
    };
    let error = printable(&error);
    match width {
        Some(width) => {
            let room = width.saturating_sub(row.chars().count()).max(LEAST_ERROR);
            row.push_str(&shortened(&error, room));
        }
        None => row.push_str(&error),
    }
    row
}

fn columns(id: &str, when: &str, stage: &str, from: &str, kind: &str) -> String {
    format!("{id:<17}  {when:<20}  {stage:<8}  {from:<12}  {kind:<7}  ")
}

/// Everything about a dead letter, in lines.
pub(super) fn full(message: &Message) -> String {
    let mut lines = vec![("id", Place::of(message).to_string())];
    let headers = match DeadLetter::from_message(message) {
        Ok(letter) => {
            let place = match input_line(&letter) {
                Some(line) => format!("line {line} of the source, on its way to {}", letter.topic),
                None => format!(
                    "{}, partition {}, offset {}",
                    letter.topic, letter.partition, letter.offset
                ),
            };
            lines.extend([
                ("stage", letter.stage.to_string()),
                ("error", printable(&letter.error).into_owned()),
                ("kind", printable(&letter.kind).into_owned()),
                ("from", place),
                ("given up", utc_ms(letter.time)),
                ("reader", printable(&letter.reader).into_owned()),
                ("replays", letter.replays.to_string()),
            ]);
            letter.envelope.headers
        }
        // Not one of heartbeat's own.
        Err(error) => {
            lines.push(("error", printable(&error.to_string()).into_owned()));
            message.envelope.headers.clone()
        }
    };
    for (name, value) in headers.iter() {
        let value = printable_bytes(value, MAX_SHOWN);
        lines.push(("header", format!("{} = {value}", printable(name))));
    }
    match (tweet_id(message), &message.envelope.key[..]) {
        (Some(id), _) => lines.push(("tweet", id.to_string())),
        (None, []) => {}
        (None, key) => lines.push(("key", printable_bytes(key, MAX_SHOWN))),
    }
    match Value::of(message) {
        Value::Tweet(tweet) => lines.extend([
            ("time", utc(tweet.time)),
            ("task", printable(&tweet.task).into_owned()),
            ("text", printable(&tweet.content).into_owned()),
        ]),
        Value::Sentiment(sentiment) => lines.extend([
            ("time", utc(sentiment.time)),
            ("task", printable(&sentiment.task).into_owned()),
            ("pos", sentiment.pos.to_string()),
            ("neu", sentiment.neu.to_string()),
            ("neg", sentiment.neg.to_string()),
        ]),
        Value::Bytes(bytes) => lines.push(("value", printable_bytes(bytes, MAX_SHOWN))),
        Value::Nothing => lines.push(("value", "none".to_owned())),
    }
    lines
        .into_iter()
        .map(|(name, value)| format!("{name:<8}  {value}\n"))
        .collect()
}

/// A dead letter as a JSON object.
#[derive(Debug, Serialize)]
pub(super) struct JsonLetter {
    id: String,
    #[serde(flatten)]
    about: Option<JsonAbout>,
    /// What makes it no dead letter of ours.
    #[serde(skip_serializing_if = "Option::is_none")]
    unreadable: Option<String>,
    tweet_id: Option<TweetId>,
    #[serde(flatten)]
    value: JsonValue,
}

#[derive(Debug, Serialize)]
struct JsonAbout {
    stage: &'static str,
    error: String,
    kind: String,
    topic: String,
    partition: i32,
    offset: i64,
    time: i64,
    reader: String,
    replays: u32,
    headers: serde_json::Map<String, Json>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "snake_case")]
enum JsonValue {
    Tweet(Tweet),
    Sentiment(Sentiment),
    Raw(String),
    /// Bytes that are no text, in hexadecimal digits.
    RawHex(String),
    None,
}

impl JsonLetter {
    pub(super) fn new(message: &Message) -> Self {
        let (about, unreadable) = match DeadLetter::from_message(message) {
            Ok(letter) => (Some(JsonAbout::new(letter)), None),
            Err(error) => (None, Some(error.to_string())),
        };
        Self {
            id: Place::of(message).to_string(),
            about,
            unreadable,
            tweet_id: tweet_id(message),
            value: match Value::of(message) {
                Value::Tweet(tweet) => JsonValue::Tweet(tweet),
                Value::Sentiment(sentiment) => JsonValue::Sentiment(sentiment),
                Value::Bytes(bytes) => match std::str::from_utf8(bytes) {
                    Ok(text) => JsonValue::Raw(text.to_owned()),
                    Err(_) => JsonValue::RawHex(hex(bytes)),
                },
                Value::Nothing => JsonValue::None,
            },
        }
    }
}

impl JsonAbout {
    fn new(letter: DeadLetter) -> Self {
        let headers = letter.envelope.headers.iter();
        Self {
            stage: letter.stage.as_str(),
            headers: headers
                .map(|(name, value)| {
                    let value = String::from_utf8_lossy(value).into_owned();
                    (name.to_owned(), Json::String(value))
                })
                .collect(),
            error: letter.error,
            kind: letter.kind,
            topic: letter.topic.to_string(),
            partition: letter.partition,
            offset: letter.offset,
            time: letter.time,
            reader: letter.reader,
            replays: letter.replays,
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A time of day as RFC 3339 has it; the number itself when there is no such day.
fn utc(seconds: i32) -> String {
    utc_ms(i64::from(seconds) * 1000)
}

fn utc_ms(millis: i64) -> String {
    match Timestamp::from_second(millis.div_euclid(1000)) {
        Ok(time) => time.to_string(),
        Err(_) => format!("{millis} ms"),
    }
}
