//! How far the stream was read, so that it goes on there.

use std::collections::VecDeque;

use heartbeat_core::{Error, Position, Result, TweetId, remote};
use serde::Deserialize;

/// How far to go back on another host. Each has its own clock: what one had at the cursor another may have had earlier.
const REWIND: i64 = 5_000_000;

/// A host may send some from before the cursor. What is older than that has come before; what is not may be late by the host's own
/// clock.
const LATE: i64 = 1_000_000;

/// Posts of that time before the cursor are kept: those that come again after a rewind, also from a host whose clock is ahead by as
/// much.
const KEPT: i64 = 2 * REWIND + LATE;

/// And no more than so many.
const MOST_KEPT: usize = 1000;

/// Clocks that are further apart than that are not of the same time.
const FAR: i64 = 60_000_000;

/// A place in the stream, in microseconds. As JSON it is the source's [`Position`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Place {
    /// Whose clock the cursor is of; none while nothing has come.
    host: Option<String>,
    /// The time of the last message; none at the beginning of a live stream.
    cursor: Option<i64>,
    /// How far another host had come before, while this one has not.
    ahead: Option<i64>,
    /// Messages given so far, rejected ones among them.
    given: u64,
    /// The last ones of them.
    recent: Recent,
}

/// Where the stream was when something was given, and its number.
type Given = (i64, TweetId);

/// What was given lately, and the same as JSON: it goes into each position, and most of it is as it was in the last one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Recent {
    given: VecDeque<Given>,
    /// `[1725911162329308,7],[1725911162329310,8]`
    json: String,
}

/// How a place is stored.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    host: Option<String>,
    cursor: i64,
    ahead: Option<i64>,
    given: u64,
    recent: Vec<Given>,
}

impl Place {
    /// The beginning: a moment, or the next message.
    pub(crate) fn start(since: Option<i64>) -> Self {
        Self {
            cursor: since,
            ..Self::default()
        }
    }

    pub(crate) fn from_position(position: &Position) -> Result<Self> {
        let stored: Stored = serde_json::from_str(&position.0).map_err(|error| {
            Error::misconfigured("the stored position is none of Bluesky's stream")
                .with("position", remote::words(&position.0))
                .caused_by(error)
                .hint("Begin anew with `--from-start`; posts since the last run are not read then, unless `since` tells from when on.")
        })?;
        let mut recent = Recent::default();
        for given in stored.recent {
            recent.push(given);
        }
        Ok(Self {
            host: stored.host,
            cursor: Some(stored.cursor),
            ahead: stored.ahead,
            given: stored.given,
            recent,
        })
    }

    /// None while nothing tells where it is.
    pub(crate) fn to_position(&self) -> Option<Position> {
        let cursor = self.cursor?;
        // A name can always be written.
        let host = serde_json::to_string(&self.host).ok()?;
        let ahead = self.ahead;
        let ahead = ahead.map_or_else(String::new, |ahead| format!(r#","ahead":{ahead}"#));
        let (given, recent) = (self.given, &self.recent.json);
        Some(Position(format!(
            r#"{{"host":{host},"cursor":{cursor}{ahead},"given":{given},"recent":[{recent}]}}"#
        )))
    }

    pub(crate) fn host(&self) -> Option<&str> {
        self.host.as_deref()
    }

    pub(crate) fn given(&self) -> u64 {
        self.given
    }

    /// What has been given lately.
    pub(crate) fn recent(&self) -> impl Iterator<Item = TweetId> {
        self.recent.given.iter().map(|(_, id)| *id)
    }

    /// Where to go on at a host: exactly there where it is the same, a little before with another.
    pub(crate) fn cursor_at(&self, host: &str) -> Option<i64> {
        match self.host() {
            Some(own) if own != host => {
                let front = self.front()?;
                Some(front.saturating_sub(REWIND).max(0))
            }
            _ => self.cursor.map(|cursor| cursor.max(0)),
        }
    }

    /// What comes from a host before that has come already.
    pub(crate) fn old_at(&self, host: &str) -> Option<i64> {
        let cursor = self.cursor_at(host)?;
        Some(cursor.saturating_sub(LATE))
    }

    /// The furthest that any host has come.
    pub(crate) fn front(&self) -> Option<i64> {
        self.cursor.max(self.ahead)
    }

    /// A message of a host has come.
    pub(crate) fn pass(&mut self, host: &str, time: i64) {
        if self.host() != Some(host) {
            self.ahead = self.host.as_ref().and(self.front());
            self.host = Some(host.to_owned());
        }
        self.cursor = Some(time);
        // A clock that was so far ahead was wrong.
        let ahead = |ahead: &i64| *ahead > time && ahead.saturating_sub(time) < FAR;
        self.ahead = self.ahead.filter(ahead);
    }

    /// The last message is given.
    pub(crate) fn give(&mut self, id: TweetId) {
        self.given = self.given.saturating_add(1);
        self.recent.push((self.cursor.unwrap_or_default(), id));
        let oldest = self.front().unwrap_or_default().saturating_sub(KEPT);
        while self.recent.oldest().is_some_and(|time| time < oldest) {
            self.recent.pop();
        }
    }
}

impl Recent {
    fn push(&mut self, given: Given) {
        if self.given.len() == MOST_KEPT {
            self.pop();
        }
        let lead = if self.json.is_empty() { "" } else { "," };
        let (time, TweetId(id)) = given;
        self.json += &format!("{lead}[{time},{id}]");
        self.given.push_back(given);
    }

    fn oldest(&self) -> Option<i64> {
        self.given.front().map(|(time, _)| *time)
    }

    fn pop(&mut self) {
        self.given.pop_front();
        match self.json.find("],") {
            Some(end) => drop(self.json.drain(..end + 2)),
            None => self.json.clear(),
        }
    }
}

#[cfg(test)]
mod tests {
    use heartbeat_core::ErrorKind;

    use super::*;

    const S: i64 = 1_000_000;

    fn at(host: &str, time: i64) -> Place {
        let mut place = Place::start(None);
        place.pass(host, time);
        place
    }

    #[test]
    fn it_goes_on_exactly_there_on_the_same_host_and_before_it_on_another() {
        let mut place = Place::start(None);
        assert_eq!((place.cursor_at("a"), place.to_position()), (None, None));
        place.pass("a", 100 * S);
        assert_eq!(place.cursor_at("a"), Some(100 * S));
        assert_eq!(place.cursor_at("b"), Some(95 * S));

        // b has sent some of it again: a had come further.
        place.pass("b", 96 * S);
        assert_eq!(place.cursor_at("b"), Some(96 * S));
        assert_eq!(place.cursor_at("a"), Some(95 * S));
        place.pass("b", 101 * S);
        assert_eq!(place.cursor_at("c"), Some(96 * S));
        assert_eq!(at("a", S).cursor_at("b"), Some(0));

        let since = Place::start(Some(7 * S));
        assert_eq!(
            (since.cursor_at("a"), since.cursor_at("b")),
            (Some(7 * S), Some(7 * S))
        );
        assert!(since.to_position().is_some());
    }

    #[test]
    fn a_time_that_leaps_does_not_stay() {
        let mut place = at("a", 100 * S);
        place.pass("a", 900 * S);
        place.pass("a", 101 * S);
        assert_eq!(place.cursor_at("b"), Some(96 * S));

        place.pass("a", 900 * S);
        place.pass("b", 102 * S);
        assert_eq!(place.cursor_at("a"), Some(97 * S));
    }

    #[test]
    fn what_was_given_lately_is_kept_and_no_more() {
        let mut place = Place::start(None);
        for second in 0..100 {
            place.pass("a", second * S);
            place.give(TweetId(second));
        }
        assert!(place.recent().map(|id| id.0).eq(88..100), "{place:?}");
        assert_eq!(place.given(), 100);
        // Those behind the cursor of the other host too.
        place.pass("b", 92 * S);
        place.give(TweetId(200));
        assert!(place.recent().map(|id| id.0).eq((88..100).chain([200])));
        for id in 1000..5000 {
            place.give(TweetId(id));
        }
        assert!(place.recent().map(|id| id.0).eq(4000..5000));
        assert!(place.to_position().unwrap().0.len() < 40_000);
    }

    #[test]
    fn a_position_is_read_again_and_nothing_else_is() {
        let mut place = at("a.test", 1_725_911_162_329_308);
        place.give(TweetId(7));
        let position = place.to_position().unwrap();
        assert_eq!(
            position.0,
            r#"{"host":"a.test","cursor":1725911162329308,"given":1,"recent":[[1725911162329308,7]]}"#
        );
        assert_eq!(Place::from_position(&position).unwrap(), place);
        place.pass("b.test", 1_725_911_160_000_000);
        let position = place.to_position().unwrap();
        assert_eq!(Place::from_position(&position).unwrap(), place);

        for foreign in [
            "",
            "7",
            "{}",
            r#"{"offset":1,"line":1,"head":1}"#,
            r#"{"host":"a","cursor":null,"given":1,"recent":[]}"#,
            r#"{"host":"a","cursor":1,"given":1,"recent":[],"x":1}"#,
        ] {
            let error = Place::from_position(&Position(foreign.into())).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Misconfigured);
            assert!(error.to_string().contains("stored position is none"));
            assert!(error.advice().unwrap().contains("--from-start"));
        }
    }
}
