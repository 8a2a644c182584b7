//! Posts as lines of JSON: the X filtered stream's own, a flat form, and that of recordings.

mod recording;
mod wire;

#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::time::SystemTime;

use jiff::Timestamp;

use crate::error::{Error, Result};
use crate::json::{Value, shortened};
use crate::record::{Keyed, Tweet, TweetId};
pub use recording::recorded;

/// The longest line, without its end, that a reader should hand to a [`PostParser`]: 1 MiB.
pub const MAX_LINE: usize = 1 << 20;

/// The longest name of a task, in bytes.
const MAX_TASK: usize = 256;

/// The most tasks of one post, as many as a stream has rules: bounds what one line can grow to.
const MAX_TASKS: usize = 1000;

/// Reads posts from lines of JSON.
///
/// A line is either what the X filtered stream sends,
/// `{"data":{"id":"…","text":"…","created_at":"…"},"matching_rules":[{"tag":"…"}]}`, in which every
/// distinct tag is a task and a post that matches two is two tweets, or flat:
/// `{"id":"…","text":"…","created_at":"…","task":"…"}`. Fields come in any order; unknown ones are
/// passed over. The text of a long post (`note_tweet` or `note_post`) goes before its short form, and that of a
/// post which only repeats another, where that one is in `includes`, before what is left of it.
///
/// `id` is a string of decimal digits or an integer, `created_at` an RFC 3339 time, whose fraction of a
/// second is cut off, or an integer of epoch seconds.
///
/// ```
/// use heartbeat_core::PostParser;
///
/// let parser = PostParser::new(Some("RU-UKR".into()))?;
/// let tweets = parser.parse(br#"{"id":"20","text":"hello","created_at":"2006-03-21T20:50:14Z"}"#)?;
/// assert_eq!(tweets[0].id.0, 20);
/// assert_eq!(tweets[0].value.time, 1142974214);
/// assert_eq!(tweets[0].value.task, "RU-UKR");
/// # Ok::<(), heartbeat_core::Error>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct PostParser {
    default_task: Option<String>,
}

/// A post as a line tells of it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Post {
    /// The platform's number for it.
    pub id: TweetId,
    /// When it was posted, by the platform's own clock, in whole seconds since 1970-01-01 UTC.
    pub time: i32,
    /// Its whole text.
    pub text: String,
    /// The subjects that it belongs to: at least one, none twice.
    pub tasks: Vec<String>,
    /// The ids of all its versions, its own among them, where the line tells: each edit of a post is a post of its own.
    pub versions: Vec<TweetId>,
    /// When it came in, where it was recorded.
    pub arrived_at: Option<SystemTime>,
}

impl Post {
    /// A tweet for each of its tasks.
    #[must_use]
    pub fn into_tweets(self) -> Vec<Keyed<Tweet>> {
        let Self { id, time, text, .. } = self;
        let tweet = |task, content| Keyed {
            id,
            value: Tweet {
                time,
                content,
                task,
            },
        };
        let mut tasks = self.tasks;
        let last = tasks.pop();
        let mut tweets = Vec::with_capacity(tasks.len() + 1);
        tweets.extend(tasks.into_iter().map(|task| tweet(task, text.clone())));
        tweets.extend(last.map(|task| tweet(task, text)));
        tweets
    }
}

impl PostParser {
    /// A parser that gives posts without a task the `default_task`, or refuses them when there is none.
    ///
    /// # Errors
    /// [`ErrorKind::Misconfigured`](crate::ErrorKind::Misconfigured) when the task's name is empty or
    /// longer than 256 bytes.
    pub fn new(default_task: Option<String>) -> Result<Self> {
        if let Some(task) = &default_task
            && let Some(wrong) = wrong_with_task(task)
        {
            return Err(Error::misconfigured(wrong).with("task", shortened(task)));
        }
        Ok(Self { default_task })
    }

    /// The tweets of one line: one for each task, in the tags' order, or none when the line is blank.
    ///
    /// # Errors
    /// As of [`PostParser::post`].
    pub fn parse(&self, line: &[u8]) -> Result<Vec<Keyed<Tweet>>> {
        let post = self.post(line)?;
        Ok(post.map(Post::into_tweets).unwrap_or_default())
    }

    /// The post of one line, or none when the line is blank.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) when the line is no post. The error names the
    /// field, or the column (in bytes, from 1), where they are known.
    pub fn post(&self, line: &[u8]) -> Result<Option<Post>> {
        if line.trim_ascii().is_empty() {
            return Ok(None);
        }
        let line = std::str::from_utf8(line).map_err(|error| {
            Error::invalid("the line is not UTF-8").with("column", error.valid_up_to() + 1)
        })?;
        let post = wire::read(line)?;
        Ok(Some(Post {
            id: id(post.id)?,
            time: created_at(&post.created_at)?,
            text: post.text.into_text("text")?.into_owned(),
            tasks: self.tasks(post.tags, post.task)?,
            versions: post
                .versions
                .into_iter()
                .filter_map(|it| id(it).ok())
                .collect(),
            arrived_at: arrived_at(&post.arrived_at)?,
        }))
    }

    /// At least one task, none twice: the tags, or else the flat form's, or else the default.
    fn tasks(&self, tags: Vec<Value<'_>>, task: Value<'_>) -> Result<Vec<String>> {
        let mut tasks: Vec<String> = Vec::with_capacity(1);
        for tag in tags {
            let tag = tag.into_text("tag")?;
            // The stream may send an empty tag for a rule that has none.
            if tag.is_empty() || tasks.iter().any(|task| *task == tag) {
                continue;
            }
            if tasks.len() == MAX_TASKS {
                return Err(Error::invalid("the post has too many tags")
                    .with("field", "tag")
                    .with("most", MAX_TASKS));
            }
            tasks.push(checked(tag, "tag")?);
        }
        if tasks.is_empty() {
            tasks.push(match (task, &self.default_task) {
                (Value::Missing, Some(default)) => default.clone(),
                (task, _) => checked(
                    task.into_text("task")
                        .map_err(|error| error.hint(NAME_TASK))?,
                    "task",
                )?,
            });
        }
        Ok(tasks)
    }
}

const NAME_TASK: &str =
    "Give the post a `task` or a rule with a `tag`, or all posts one with `--task`.";

fn checked(task: Cow<'_, str>, field: &'static str) -> Result<String> {
    match wrong_with_task(&task) {
        None => Ok(task.into_owned()),
        Some(wrong) => Err(Error::invalid(wrong)
            .with("field", field)
            .with("value", shortened(&task))),
    }
}

fn wrong_with_task(task: &str) -> Option<&'static str> {
    if task.is_empty() {
        Some("the name of a task is empty")
    } else if task.len() > MAX_TASK {
        Some("the name of a task is longer than 256 bytes")
    } else {
        None
    }
}

fn id(value: Value<'_>) -> Result<TweetId> {
    match value {
        Value::Text(digits) => digits.parse(),
        Value::Integer(id @ 0..) => Ok(TweetId(id)),
        other => Err(other.mistaken("id", "a string of decimal digits or a whole number")),
    }
}

fn created_at(value: &Value<'_>) -> Result<i32> {
    const NEEDS: &str =
        "an RFC 3339 time such as 2024-01-15T10:35:00Z or a whole number of epoch seconds";
    let seconds = match value {
        Value::Text(text) => match text.parse::<Timestamp>() {
            // A fraction counts from the second that is written, before 1970 too.
            Ok(time) => time.as_second() - i64::from(time.subsec_nanosecond() < 0),
            Err(_) => return Err(value.mistaken("created_at", NEEDS)),
        },
        Value::Integer(seconds) => *seconds,
        _ => return Err(value.mistaken("created_at", NEEDS)),
    };
    i32::try_from(seconds).map_err(|_| {
        value.mistaken(
            "created_at",
            "a time that fits 32 bits of epoch seconds, up to January 2038",
        )
    })
}

fn arrived_at(value: &Value<'_>) -> Result<Option<SystemTime>> {
    const NEEDS: &str = "an RFC 3339 time such as 2024-01-15T10:35:00.123Z";
    let time = match value {
        Value::Missing => return Ok(None),
        Value::Text(text) => text.parse::<Timestamp>().ok(),
        _ => None,
    };
    match time.map(SystemTime::try_from) {
        Some(Ok(time)) => Ok(Some(time)),
        _ => Err(value.mistaken("arrived_at", NEEDS)),
    }
}
