//! A consumer group on a topic: what it has committed, and who of it reads what.

use std::collections::{BTreeMap, BTreeSet};

use heartbeat_core::{Batch, Checkpoint, Error, Result};

use super::state::Standing;

#[derive(Debug)]
pub(super) struct Group {
    /// By partition.
    shares: Vec<Share>,
    members: BTreeMap<u64, Member>,
}

#[derive(Debug)]
struct Share {
    /// The offset behind the last message that is done.
    committed: i64,
    owner: Option<u64>,
}

#[derive(Debug, Default)]
struct Member {
    /// Where the next poll begins in the partitions it has polled.
    next: BTreeMap<usize, i64>,
    /// Partitions that were taken away with messages in its hands. Should it get one back, it does not
    /// read it until it has learnt, by a commit that fails, that what it holds is void: the same
    /// messages twice in its hands could be committed as one.
    lost: BTreeSet<usize>,
    /// Raised when all it has polled becomes void.
    generation: u64,
    turn: usize,
}

impl Group {
    /// A group without members that begins at these offsets.
    pub(super) fn new(offsets: impl Iterator<Item = i64>) -> Self {
        let share = |committed| Share {
            committed,
            owner: None,
        };
        Self {
            shares: offsets.map(share).collect(),
            members: BTreeMap::new(),
        }
    }

    pub(super) fn has_members(&self) -> bool {
        !self.members.is_empty()
    }

    pub(super) fn committed(&self, partition: usize) -> i64 {
        self.shares[partition].committed
    }

    pub(super) fn join(&mut self, member: u64) {
        self.members.insert(member, Member::default());
        self.rebalance();
    }

    pub(super) fn leave(&mut self, member: u64) {
        self.members.remove(&member);
        for share in &mut self.shares {
            share.owner = share.owner.filter(|&owner| owner != member);
        }
        self.rebalance();
    }

    /// Gives free partitions to whoever has the fewest, then takes from whoever has more than a fair
    /// share. Everything else stays where it is.
    fn rebalance(&mut self) {
        let mut counts: BTreeMap<u64, usize> = self.members.keys().map(|&id| (id, 0)).collect();
        for owner in self.shares.iter().filter_map(|share| share.owner) {
            *counts.entry(owner).or_default() += 1;
        }
        loop {
            let fewest = counts.iter().min_by_key(|&(_, count)| *count);
            let most = counts.iter().max_by_key(|&(_, count)| *count);
            let (Some((&poor, &fewest)), Some((&rich, &most))) = (fewest, most) else {
                return; // nobody is left
            };
            let free = self.shares.iter().position(|share| share.owner.is_none());
            let partition = if let Some(free) = free {
                free
            } else if most > fewest + 1
                && let Some(taken) = self
                    .shares
                    .iter()
                    .rposition(|share| share.owner == Some(rich))
            {
                self.take(taken, rich);
                counts.insert(rich, most - 1);
                taken
            } else {
                return;
            };
            self.shares[partition].owner = Some(poor);
            counts.insert(poor, fewest + 1);
        }
    }

    fn take(&mut self, partition: usize, owner: u64) {
        let committed = self.committed(partition);
        let member = self.members.get_mut(&owner).expect("an owner is a member");
        if member
            .next
            .remove(&partition)
            .is_some_and(|next| next > committed)
        {
            member.lost.insert(partition);
        }
    }

    fn member(&mut self, member: u64) -> &mut Member {
        self.members
            .get_mut(&member)
            .expect("who asks has joined and not left")
    }

    /// An empty batch for a member.
    pub(super) fn nothing(&mut self, member: u64) -> Batch {
        let mut batch = Batch::default();
        batch.checkpoint.generation = self.member(member).generation;
        batch
    }

    /// The partitions a member may read, in the order of this turn.
    pub(super) fn turn(&mut self, member: u64) -> Vec<usize> {
        let shares = &self.shares;
        let state = self
            .members
            .get_mut(&member)
            .expect("who asks has joined and not left");
        let mut partitions: Vec<usize> = (0..shares.len())
            .filter(|index| shares[*index].owner == Some(member) && !state.lost.contains(index))
            .collect();
        if !partitions.is_empty() {
            let first = state.turn % partitions.len();
            partitions.rotate_left(first);
        }
        state.turn = state.turn.wrapping_add(1);
        partitions
    }

    /// Where a member's next poll of a partition begins.
    pub(super) fn next(&mut self, member: u64, partition: usize) -> i64 {
        let committed = self.committed(partition);
        *self
            .member(member)
            .next
            .entry(partition)
            .or_insert(committed)
    }

    pub(super) fn set_next(&mut self, member: u64, partition: usize, offset: i64) {
        self.member(member).next.insert(partition, offset);
    }

    /// Whether a member may commit a checkpoint. When it may not any more, all it has polled is void.
    pub(super) fn standing(&mut self, member: u64, checkpoint: &Checkpoint) -> Result<Standing> {
        let state = &self.members[&member];
        let share = |partition: i32| -> Option<&Share> {
            let index = usize::try_from(partition).ok()?;
            let share = self.shares.get(index)?;
            (share.owner == Some(member) && !state.lost.contains(&index)).then_some(share)
        };
        let spans = &checkpoint.spans;
        let stale = !spans.is_empty() && checkpoint.generation != state.generation;
        let taken = spans
            .keys()
            .copied()
            .find(|&partition| share(partition).is_none());
        if stale || taken.is_some() {
            let member = self.member(member);
            member.next.clear();
            member.lost.clear();
            member.generation += 1;
            return Err(rebalanced(taken));
        }
        let committed = |partition| share(partition).map(|share| share.committed);
        let all = |offset: fn(&std::ops::Range<i64>) -> i64| {
            spans
                .iter()
                .all(|(&partition, span)| committed(partition) == Some(offset(span)))
        };
        if all(|span| span.start) {
            Ok(Standing::Next)
        } else if all(|span| span.end) {
            Ok(Standing::Done)
        } else {
            Err(Error::internal(
                "checkpoints are committed in the order of their polls",
            ))
        }
    }

    /// Moves the group past a checkpoint that is [`Standing::Next`].
    pub(super) fn advance(&mut self, checkpoint: &Checkpoint) {
        for (&partition, span) in &checkpoint.spans {
            if let Some(share) = usize::try_from(partition)
                .ok()
                .and_then(|index| self.shares.get_mut(index))
            {
                share.committed = span.end;
            }
        }
    }
}

fn rebalanced(taken: Option<i32>) -> Error {
    let error = Error::rebalanced("the batch is void: its partitions went to another member");
    match taken {
        Some(partition) => error.with("partition", partition),
        None => error,
    }
}
