//! What the lines of the stream come to: each post once, and counted.

use std::time::SystemTime;

use bytes::Bytes;
use heartbeat_core::{
    Error, Keyed, MAX_LINE, Post, PostParser, Raw, Received, Rejected, Result, Seen, Tweet, TweetId,
};
use jiff::Timestamp;
use metrics::{Counter, counter};
use tracing::debug;

use crate::error::Problem;
use crate::message::Message;
use crate::meter::Meter;

/// As much of what is rejected is kept.
const LONGEST_FRAGMENT: usize = 4096;

/// Takes line by line.
#[derive(Debug)]
pub(crate) struct Intake {
    parser: PostParser,
    meter: Meter,
    keep_raw: bool,
    seen: Seen,
    /// Messages so far, rejected ones among them.
    messages: u64,
    counters: Counters,
}

#[derive(Debug)]
struct Counters {
    posts: Counter,
    duplicates: Counter,
    edits: Counter,
    others: Counter,
}

/// What a line came to.
#[derive(Debug)]
pub(crate) enum Taken {
    Message(Received),
    /// Nothing to hand on, but a sign of life.
    Nothing,
    /// X says that something is wrong, and will end the connection.
    Problem(Problem),
}

impl Intake {
    pub(crate) fn new(parser: PostParser, meter: Meter, keep_raw: bool) -> Self {
        Self {
            parser,
            meter,
            keep_raw,
            seen: Seen::default(),
            messages: 0,
            counters: Counters {
                posts: counter!("heartbeat_twitter_posts_total"),
                duplicates: counter!("heartbeat_twitter_duplicates_total"),
                edits: counter!("heartbeat_twitter_edits_total"),
                others: counter!("heartbeat_twitter_other_messages_total"),
            },
        }
    }

    /// The span, a day or a month, whose budget is spent, if one is.
    pub(crate) fn spent(&mut self) -> Option<&'static str> {
        self.meter.spent(Timestamp::now())
    }

    /// Writes down what is spent.
    pub(crate) fn close(&mut self) -> Result<()> {
        self.meter.close()
    }

    /// Takes a line.
    ///
    /// # Errors
    /// The count of what is spent cannot be written.
    pub(crate) fn line(&mut self, line: Bytes) -> Result<Taken> {
        let found = match Message::read(&self.parser, &line) {
            Message::KeepAlive => return Ok(Taken::Nothing),
            Message::Problem(problem) => return Ok(Taken::Problem(problem)),
            Message::Other => {
                self.counters.others.increment(1);
                debug!(bytes = line.len(), "Passes over a message that is no post.");
                return Ok(Taken::Nothing);
            }
            Message::Bad(error) => Err(error),
            Message::Post(post) => match self.post(post)? {
                Some(tweets) => Ok(tweets),
                None => return Ok(Taken::Nothing),
            },
        };
        self.message(line, found)
    }

    /// Takes the beginning of a line that is too long.
    ///
    /// # Errors
    /// As of [`Intake::line`].
    pub(crate) fn too_long(&mut self, beginning: &[u8]) -> Result<Taken> {
        let kept = &beginning[..beginning.len().min(LONGEST_FRAGMENT)];
        let error = Error::invalid("the line is too long").with("most", MAX_LINE);
        self.message(Bytes::copy_from_slice(kept), Err(error))
    }

    /// The tweets of a post; none when it came before.
    fn post(&mut self, post: Post) -> Result<Option<Vec<Keyed<Tweet>>>> {
        if !self.seen.insert(post.id) {
            self.counters.duplicates.increment(1);
            return Ok(None);
        }
        self.counters.posts.increment(1);
        // The version that came first is stored already, and it is one post.
        let is_edit = |id: &TweetId| *id != post.id && self.seen.contains(*id);
        if post.versions.iter().any(is_edit) {
            self.counters.edits.increment(1);
            self.meter.count(Timestamp::now())?;
            return Ok(None);
        }
        Ok(Some(post.into_tweets()))
    }

    fn message(&mut self, line: Bytes, found: Result<Vec<Keyed<Tweet>>>) -> Result<Taken> {
        self.messages += 1;
        // What is no post may be paid for, too.
        self.meter.count(Timestamp::now())?;
        let raw = self.keep_raw.then(|| Raw {
            arrived: SystemTime::now(),
            bytes: line.clone(),
            tweets: found.as_ref().map_or(0, Vec::len),
        });
        let found = found.map_err(|error| Rejected {
            raw: line.slice(..line.len().min(LONGEST_FRAGMENT)),
            line: self.messages,
            error,
        });
        Ok(Taken::Message(Received {
            found,
            position: None,
            raw,
        }))
    }
}
