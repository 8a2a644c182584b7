//! Which tweets have been stored lately where another one may want to be.

use std::hash::{BuildHasher, RandomState};

use heartbeat_core::TweetId;
use quick_cache::sync::Cache;

use crate::place::Place;

/// So many are remembered. Those of one second come close to each other.
const CAPACITY: usize = 100_000;

/// The places that are not exclusive, and the tweets in them.
#[derive(Debug)]
pub(crate) struct Taken {
    tweets: Cache<(u64, i64), TweetId>,
    tasks: RandomState,
}

impl Default for Taken {
    fn default() -> Self {
        Self {
            tweets: Cache::new(CAPACITY),
            tasks: RandomState::new(),
        }
    }
}

impl Taken {
    /// The other tweet that is there, if one is known to be.
    pub(crate) fn by_another(&self, task: &str, place: Place, id: TweetId) -> Option<TweetId> {
        if place.exclusive {
            return None;
        }
        let there = self.tweets.get(&self.key(task, place));
        there.filter(|there| *there != id)
    }

    /// Remembers that a tweet has been stored.
    pub(crate) fn store(&self, task: &str, place: Place, id: TweetId) {
        if !place.exclusive {
            self.tweets.insert(self.key(task, place), id);
        }
    }

    fn key(&self, task: &str, place: Place) -> (u64, i64) {
        (self.tasks.hash_one(task), place.nanos)
    }
}
