//! [`PostFilter`].

use std::borrow::Cow;

use heartbeat_core::json::Value;
use heartbeat_core::{Error, Keyed, Result, Tweet};

use crate::config::BlueskyConfig;
use crate::id::id_of;
use crate::wire::Message;
use crate::words::Words;

/// The collection of posts.
const POSTS: &str = "app.bsky.feed.post";

/// Reads Jetstream's messages and keeps the posts that a config wants.
///
/// ```
/// use heartbeat_bluesky::{BlueskyConfig, MessageKind, PostFilter};
///
/// let mut config = BlueskyConfig::default();
/// config.words.insert("RU-UKR".into(), vec!["ukraine".into(), "kyiv".into()]);
/// let filter = PostFilter::new(&config)?;
///
/// let found = filter.read(br#"{"did":"did:plc:a","time_us":1725911162329308,"kind":"commit","commit":{
///     "operation":"create","collection":"app.bsky.feed.post","rkey":"3l3qo2vutsw2b",
///     "record":{"text":"Kyiv, in the morning","langs":["en"],"createdAt":"2024-09-09T19:46:02.102Z"}}}"#)?;
/// assert_eq!(found.time_us, Some(1_725_911_162_329_308));
/// let MessageKind::Post(tweets) = found.kind else { panic!("it is a post") };
/// assert_eq!((tweets[0].value.time, tweets[0].value.task.as_str()), (1_725_911_162, "RU-UKR"));
/// # Ok::<(), heartbeat_core::Error>(())
/// ```
#[derive(Debug)]
pub struct PostFilter {
    words: Words,
    /// In lower case.
    languages: Vec<String>,
}

/// What a message of Jetstream came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// When the server had it, in microseconds since 1970-01-01 UTC: where the stream is. A post always tells it.
    pub time_us: Option<i64>,
    /// What it is.
    pub kind: MessageKind,
}

/// What a message of Jetstream is.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum MessageKind {
    /// A new post that is wanted: a tweet for each of its tasks, at least one, in their order.
    Post(Vec<Keyed<Tweet>>),
    /// A new post that has no word of any task, or not the language.
    Unwanted,
    /// A post that was changed.
    Update,
    /// A post that was deleted.
    Delete,
    /// Something else: another collection, an account's news, a kind that is not known.
    Other,
}

impl PostFilter {
    /// The filter of a config's `words` and `languages`.
    ///
    /// # Errors
    /// [`ErrorKind::Misconfigured`](heartbeat_core::ErrorKind::Misconfigured) when no task has a word, or a task, a word or a
    /// language is empty or too long.
    pub fn new(config: &BlueskyConfig) -> Result<Self> {
        let languages = config.languages.iter();
        let languages: Vec<String> = languages.map(|it| it.trim().to_lowercase()).collect();
        if languages.iter().any(String::is_empty) {
            return Err(Error::misconfigured("a language is empty")
                .hint("Leave `languages` out for all, or write them as `[\"en\", \"uk\"]`."));
        }
        Ok(Self {
            words: Words::new(&config.words)?,
            languages,
        })
    }

    /// Reads one message.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](heartbeat_core::ErrorKind::Invalid) when it is not JSON, or should be a post and is none; the field at
    /// fault is named.
    pub fn read(&self, message: &[u8]) -> Result<Found> {
        let message = Message::read(message)?;
        let time_us = match message.time_us {
            Value::Integer(time) => second_of(time).map(|_| time),
            _ => None,
        };
        Ok(Found {
            time_us,
            kind: self.kind_of(message)?,
        })
    }

    fn kind_of(&self, message: Message<'_>) -> Result<MessageKind> {
        match &message.kind {
            Value::Text(kind) if kind == "commit" => {}
            Value::Text(_) | Value::Missing => return Ok(MessageKind::Other),
            other => return Err(other.mistaken("kind", "a string")),
        }
        let commit = message.commit.into_object("commit")?;
        if commit.collection.into_text("commit.collection")? != POSTS {
            return Ok(MessageKind::Other);
        }
        match &*commit.operation.into_text("commit.operation")? {
            "create" => {}
            "update" => return Ok(MessageKind::Update),
            "delete" => return Ok(MessageKind::Delete),
            _ => return Ok(MessageKind::Other),
        }
        let did = named(message.did, "did")?;
        let rkey = named(commit.rkey, "commit.rkey")?;
        let time = time_of(&message.time_us)?;
        let record = commit.record.into_object("commit.record")?;
        let text = record.text.into_text("commit.record.text")?;
        if !self.takes_languages(&record.langs)? {
            return Ok(MessageKind::Unwanted);
        }
        let tasks = self.words.tasks_of(&text);
        if tasks.is_empty() {
            return Ok(MessageKind::Unwanted);
        }
        let id = id_of(&did, &rkey);
        let tweet = |task: &str| Keyed {
            id,
            value: Tweet {
                time,
                content: text.as_ref().to_owned(),
                task: task.to_owned(),
            },
        };
        Ok(MessageKind::Post(tasks.into_iter().map(tweet).collect()))
    }

    fn takes_languages(&self, langs: &Value<'_>) -> Result<bool> {
        let field = "commit.record.langs";
        let langs = match langs {
            Value::Missing => &[],
            Value::List(langs) => langs.as_slice(),
            other => return Err(other.mistaken(field, "an array")),
        };
        let mut takes = self.languages.is_empty();
        for lang in langs {
            let Value::Text(lang) = lang else {
                return Err(lang.mistaken(field, "strings"));
            };
            takes = takes || self.languages.iter().any(|wanted| is_kind_of(lang, wanted));
        }
        Ok(takes)
    }
}

/// Whether a language is the one that is wanted, or one of its regions and scripts.
fn is_kind_of(lang: &str, wanted: &str) -> bool {
    let lang = lang.to_lowercase();
    let rest = lang.strip_prefix(wanted);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
}

/// A part of what tells a post from all others.
fn named<'a>(value: Value<'a>, field: &'static str) -> Result<Cow<'a, str>> {
    let text = value.into_text(field)?;
    if text.is_empty() {
        return Err(Error::invalid("the field is empty").with("field", field));
    }
    Ok(text)
}

fn time_of(time_us: &Value<'_>) -> Result<i32> {
    let Value::Integer(time) = time_us else {
        return Err(time_us.mistaken("time_us", "microseconds since 1970"));
    };
    second_of(*time).ok_or_else(|| {
        Error::invalid("the time does not fit the seconds of a tweet")
            .with("field", "time_us")
            .with("value", time)
    })
}

/// The whole second that a time in microseconds is in.
fn second_of(time_us: i64) -> Option<i32> {
    i32::try_from(time_us.div_euclid(1_000_000)).ok()
}

#[cfg(test)]
mod tests;
