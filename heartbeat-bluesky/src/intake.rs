//! What the messages of the stream come to: each post once, and counted.

use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use heartbeat_core::{Keyed, Raw, Received, Rejected, Result, Seen, Tweet, TweetId};
use metrics::{Counter, counter};
use tracing::debug;

use crate::filter::{Found, MessageKind, PostFilter};
use crate::id::id_of_bad;
use crate::place::Place;
use crate::settings::Settings;

/// As much of what is rejected is kept.
const LONGEST_FRAGMENT: usize = 4096;

/// Takes message by message.
#[derive(Debug)]
pub(crate) struct Intake {
    settings: Arc<Settings>,
    filter: Arc<PostFilter>,
    place: Place,
    /// At a connection's beginning, what is older has come before.
    old: Option<i64>,
    seen: Seen,
    counters: Counters,
}

#[derive(Debug)]
struct Counters {
    posts: Counter,
    unwanted: Counter,
    updates: Counter,
    deletes: Counter,
    others: Counter,
    duplicates: Counter,
}

/// What a message came to.
#[derive(Debug)]
pub(crate) struct Taken {
    /// When the server had it, where it tells.
    pub(crate) time_us: Option<i64>,
    /// What there is to hand on.
    pub(crate) received: Option<Received>,
    /// Whether the time to end has come.
    pub(crate) is_end: bool,
}

impl Intake {
    pub(crate) fn new(settings: Arc<Settings>, filter: Arc<PostFilter>, place: Place) -> Self {
        let mut seen = Seen::default();
        for id in place.recent() {
            seen.insert(id);
        }
        Self {
            settings,
            filter,
            place,
            old: None,
            seen,
            counters: Counters {
                posts: counter!("heartbeat_bluesky_posts_total"),
                unwanted: counter!("heartbeat_bluesky_unwanted_total"),
                updates: counter!("heartbeat_bluesky_updates_total"),
                deletes: counter!("heartbeat_bluesky_deletes_total"),
                others: counter!("heartbeat_bluesky_other_messages_total"),
                duplicates: counter!("heartbeat_bluesky_duplicates_total"),
            },
        }
    }

    /// How far it has come.
    pub(crate) fn place(&self) -> &Place {
        &self.place
    }

    /// A host begins to send from where [`Place::cursor_at`] has it, or from before that: it may go back to the beginning of the
    /// file that it writes.
    pub(crate) fn begin(&mut self, host: &str) {
        self.old = self.place.old_at(host);
    }

    /// Takes a message of a host.
    pub(crate) fn message(&mut self, host: &str, message: Bytes) -> Taken {
        let found = self.filter.read(&message);
        let time_us = found.as_ref().ok().and_then(|found| found.time_us);
        if let Some(time) = time_us {
            if self.old.is_some_and(|old| time < old) {
                self.counters.duplicates.increment(1);
                return Taken {
                    time_us,
                    received: None,
                    is_end: false,
                };
            }
            self.old = None;
        }
        let until = self.settings.until;
        let is_end = until.is_some_and(|until| time_us.is_some_and(|time| time >= until));
        let received = if is_end {
            None
        } else {
            if let Some(time) = time_us {
                self.place.pass(host, time);
            }
            self.found(message, found)
        };
        Taken {
            time_us,
            received,
            is_end,
        }
    }

    fn found(&mut self, message: Bytes, found: Result<Found>) -> Option<Received> {
        let counters = &self.counters;
        let since = self.settings.since;
        let passed_over = match found {
            Ok(Found { time_us, kind }) => match kind {
                // A rewind may go back behind the beginning.
                MessageKind::Post(tweets) if time_us >= since => {
                    let id = tweets.first().map(|tweet| tweet.id)?;
                    return self.once(id, message, Ok(tweets));
                }
                MessageKind::Post(_) | MessageKind::Unwanted => &counters.unwanted,
                MessageKind::Update => &counters.updates,
                MessageKind::Delete => &counters.deletes,
                MessageKind::Other => &counters.others,
            },
            Err(error) => return self.once(id_of_bad(&message), message, Err(error)),
        };
        passed_over.increment(1);
        None
    }

    fn once(
        &mut self,
        id: TweetId,
        message: Bytes,
        tweets: Result<Vec<Keyed<Tweet>>>,
    ) -> Option<Received> {
        if !self.seen.insert(id) {
            self.counters.duplicates.increment(1);
            return None;
        }
        if tweets.is_ok() {
            self.counters.posts.increment(1);
        }
        self.place.give(id);
        Some(self.received(message, tweets))
    }

    /// The message that was given last.
    fn received(&self, message: Bytes, tweets: Result<Vec<Keyed<Tweet>>>) -> Received {
        let found = tweets.map_err(|error| {
            debug!(error = error.report(), "A message is no post.");
            Rejected {
                // A copy, so that no long message stays for its beginning.
                raw: Bytes::copy_from_slice(&message[..message.len().min(LONGEST_FRAGMENT)]),
                line: self.place.given(),
                error,
            }
        });
        let raw = self.settings.keep_raw.then(|| Raw {
            arrived: SystemTime::now(),
            tweets: found.as_ref().map_or(0, Vec::len),
            bytes: message,
        });
        Received {
            found,
            position: self.place.to_position(),
            raw,
        }
    }
}
