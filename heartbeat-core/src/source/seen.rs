//! Which posts have come lately.

use std::collections::{HashSet, VecDeque};

use crate::record::TweetId;

/// More than X sends again: five minutes at 250 posts a second.
const CAPACITY: usize = 100_000;

/// The ids of the last 100,000 posts of a stream that may send some again.
#[derive(Debug, Default)]
pub struct Seen {
    ids: HashSet<TweetId>,
    order: VecDeque<TweetId>,
}

impl Seen {
    /// Whether a post is one of them.
    #[must_use]
    pub fn contains(&self, id: TweetId) -> bool {
        self.ids.contains(&id)
    }

    /// Notes a post; `false` when it has come before.
    pub fn insert(&mut self, id: TweetId) -> bool {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_post_is_known_until_as_many_others_have_come() {
        let mut seen = Seen::default();
        let last = CAPACITY as i64;
        for id in 1..=last {
            assert!(seen.insert(TweetId(id)));
        }
        assert!(!seen.insert(TweetId(1)));
        assert!(seen.insert(TweetId(last + 1)));
        assert!(!seen.contains(TweetId(1)) && seen.contains(TweetId(2)));
        assert_eq!((seen.ids.len(), seen.order.len()), (CAPACITY, CAPACITY));
    }
}
