//! Posts as a recording holds them.

use std::time::SystemTime;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::value::RawValue;

use super::MAX_LINE;
use crate::record::{Keyed, Tweet};

/// The line of a recording, without its end, for a message that came in `arrived` as `raw` and was taken for `tweets`.
///
/// It is flat, as [`PostParser`](crate::PostParser) reads it, with the message itself beside it:
/// `{"arrived_at":"…","id":"…","text":"…","created_at":…,"matching_rules":[{"tag":"…"}],"raw":{…}}`. What was taken for no tweet
/// has only `arrived_at` and `raw`; a message that is no JSON in one line is a string there, and `null` where the line would be too
/// long to be read again.
#[must_use]
pub fn recorded(arrived: SystemTime, raw: &[u8], tweets: &[Keyed<Tweet>]) -> Vec<u8> {
    let mut line = Line {
        // Beyond what a timestamp can hold no clock is.
        arrived_at: Timestamp::try_from(arrived).unwrap_or(Timestamp::UNIX_EPOCH),
        post: tweets.first().map(|tweet| Flat {
            id: tweet.id.to_string(),
            text: &tweet.value.content,
            created_at: tweet.value.time,
            matching_rules: tweets
                .iter()
                .map(|tweet| Rule {
                    tag: &tweet.value.task,
                })
                .collect(),
        }),
        raw: match serde_json::from_slice::<&RawValue>(raw) {
            Ok(json) if !json.get().contains(['\n', '\r']) => Some(Raw::Json(json)),
            _ => Some(Raw::Text(String::from_utf8_lossy(raw).into_owned())),
        },
    };
    // Nothing in it can fail to be written.
    let written = serde_json::to_vec(&line).unwrap_or_default();
    if written.len() <= MAX_LINE {
        return written;
    }
    line.raw = None;
    serde_json::to_vec(&line).unwrap_or_default()
}

#[derive(Serialize)]
struct Line<'a> {
    arrived_at: Timestamp,
    #[serde(flatten)]
    post: Option<Flat<'a>>,
    raw: Option<Raw<'a>>,
}

#[derive(Serialize)]
struct Flat<'a> {
    id: String,
    text: &'a str,
    created_at: i32,
    matching_rules: Vec<Rule<'a>>,
}

#[derive(Serialize)]
struct Rule<'a> {
    tag: &'a str,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Raw<'a> {
    Json(&'a RawValue),
    Text(String),
}
