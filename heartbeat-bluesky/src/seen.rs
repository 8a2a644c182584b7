//! Which posts have come lately.

use std::collections::{HashSet, VecDeque};

use heartbeat_core::TweetId;

/// More than comes again after a rewind, whatever the words are.
const CAPACITY: usize = 100_000;

/// The numbers of the last posts.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    ids: HashSet<TweetId>,
    order: VecDeque<TweetId>,
}

impl Seen {
    /// Notes a post; `false` when it has come before.
    pub(crate) fn insert(&mut self, id: TweetId) -> bool {
        if !self.ids.insert(id) {
            return false;
        }
        self.order.push_back(id);
        if self.order.len() > CAPACITY
            && let Some(oldest) = self.order.pop_front()
        {
            self.ids.remove(&oldest);
        }
        true
    }
}

impl FromIterator<TweetId> for Seen {
    fn from_iter<I: IntoIterator<Item = TweetId>>(ids: I) -> Self {
        let mut seen = Self::default();
        for id in ids {
            seen.insert(id);
        }
        seen
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_post_is_known_until_as_many_others_have_come() {
        let last = CAPACITY as i64;
        let mut seen: Seen = (1..=last).map(TweetId).collect();
        assert!(!seen.insert(TweetId(1)));
        assert!(seen.insert(TweetId(last + 1)));
        assert!(!seen.insert(TweetId(2)) && seen.insert(TweetId(1)));
        assert_eq!((seen.ids.len(), seen.order.len()), (CAPACITY, CAPACITY));
    }
}
