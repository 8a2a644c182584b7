//! One partition of a member: what is fetched of it, and what is in hand.

use std::collections::VecDeque;
use std::fmt;
use std::ops::Range;
use std::time::Duration;

use rdkafka::consumer::base_consumer::PartitionQueue;

use crate::fetched::{Fetched, Pieces};
use crate::member::MemberContext;
use crate::trouble::Trouble;

/// A partition that a member has.
pub(crate) struct Partition {
    queue: PartitionQueue<MemberContext>,
    pieces: Pieces,
    /// Fetched and not yet given.
    pub(crate) ahead: VecDeque<Fetched>,
    /// What is in hand: from the committed offset to the end of what was given. `None` before the first.
    pub(crate) hand: Option<Range<i64>>,
    /// It is to go to another member, and nothing more is read of it.
    pub(crate) going: bool,
}

impl fmt::Debug for Partition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Partition")
            .field("ahead", &self.ahead.len())
            .field("hand", &self.hand)
            .field("going", &self.going)
            .finish_non_exhaustive()
    }
}

impl Partition {
    pub(crate) fn new(queue: PartitionQueue<MemberContext>) -> Self {
        Self {
            queue,
            pieces: Pieces::new(),
            ahead: VecDeque::new(),
            hand: None,
            going: false,
        }
    }

    pub(crate) fn is_in_hand(&self) -> bool {
        self.hand.as_ref().is_some_and(|hand| !hand.is_empty())
    }

    /// The size of the message at `index` of those ahead, fetching it if need be.
    pub(crate) fn size_at(&mut self, index: usize, trouble: &mut Option<Trouble>) -> Option<usize> {
        while self.ahead.len() <= index {
            match self.queue.poll(Duration::ZERO)? {
                Ok(message) => {
                    let fetched = Fetched::copy(&message, &mut self.pieces);
                    self.ahead.push_back(fetched);
                }
                Err(error) => *trouble = Trouble::of(error).or(trouble.take()),
            }
        }
        self.ahead.get(index).map(|fetched| fetched.size)
    }
}
