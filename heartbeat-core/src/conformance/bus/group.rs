//! What the members of a group promise each other.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::{
    BusHarness, assert_quiet, copies, patience, publish, round_outputs, rounds, topic, total_lag,
};
use crate::bus::{Batch, Bus, Max, Subscription};
use crate::conformance::{PLENTY, SHORT, poll_count, random, unique};
use crate::error::ErrorKind;
use crate::message::Topic;

/// What a member held that vanished without a word comes to another one in time.
pub async fn a_vanished_member_is_taken_over(harness: &dyn BusHarness) {
    let topic = topic(harness, "vanish", 4).await;
    let doomed = harness.open().await;
    publish(doomed.as_ref(), &topic, 0..40).await;
    let group = unique("g");
    let mut reader = doomed.subscribe(&topic, &group).await.unwrap();
    poll_count(reader.as_mut(), 40, patience(harness)).await;
    drop(reader);
    drop(doomed);

    let bus = harness.open().await;
    let mut heir = bus.subscribe(&topic, &group).await.unwrap();
    let batch = poll_count(heir.as_mut(), 40, patience(harness)).await;
    heir.commit(&batch.checkpoint, &[]).await.unwrap();
    heir.close().await.unwrap();
}

/// A member that works longer than the takeover time is not thrown out, though another one waits.
pub async fn a_slow_member_keeps_its_partitions(harness: &dyn BusHarness) {
    let topic = topic(harness, "slow", 1).await;
    let bus = harness.open().await;
    publish(bus.as_ref(), &topic, 0..5).await;
    let group = unique("g");
    let mut slow = bus.subscribe(&topic, &group).await.unwrap();
    let batch = poll_count(slow.as_mut(), 5, patience(harness)).await;
    let other = harness.open().await;
    let mut waiting = other.subscribe(&topic, &group).await.unwrap();
    let work = harness.takeover() * 3 / 2;
    let seen = waiting.poll(PLENTY, work).await.unwrap();
    assert!(
        seen.messages.is_empty(),
        "the other member took its messages"
    );
    slow.commit(&batch.checkpoint, &[]).await.unwrap();
    slow.close().await.unwrap();
    waiting.close().await.unwrap();
}

/// Members share the partitions out: each comes to own some, and none is owned by two.
pub async fn members_share_the_partitions(harness: &dyn BusHarness) {
    let from = topic(harness, "shared-from", 4).await;
    let to = topic(harness, "shared-to", 1).await;
    let bus = harness.open().await;
    let group = unique("g");
    let mut one = bus.subscribe(&from, &group).await.unwrap();
    let mut two = bus.subscribe(&from, &group).await.unwrap();
    let started = Instant::now();
    for first in (0..).step_by(40) {
        assert!(
            started.elapsed() < 2 * patience(harness),
            "the members do not come to share the partitions"
        );
        publish(bus.as_ref(), &from, first..first + 40).await;
        let (ones, twos) = tokio::join!(take(one.as_mut(), &to), take(two.as_mut(), &to));
        // In the first rounds they may still be at handing over.
        if !ones.is_empty() && !twos.is_empty() && ones.is_disjoint(&twos) {
            break;
        }
    }
    one.close().await.unwrap();
    two.close().await.unwrap();
}

/// Passes on what comes until nothing does, and tells which partitions it was from.
async fn take(member: &mut dyn Subscription, to: &Topic) -> BTreeSet<i32> {
    let mut partitions = BTreeSet::new();
    loop {
        let batch = member.poll(PLENTY, SHORT).await.unwrap();
        if batch.is_empty() {
            return partitions;
        }
        if commit(member, &batch, to).await {
            partitions.extend(batch.messages.iter().map(|it| it.partition));
        }
    }
}

/// A member that lost a partition learns it by its commit, which publishes nothing; then it reads again what
/// it still owns. All that it had polled is void, and stays so.
pub async fn a_commit_of_what_was_lost_publishes_nothing(harness: &dyn BusHarness) {
    let from = topic(harness, "lost-from", 4).await;
    let to = topic(harness, "lost-to", 1).await;
    let bus = harness.open().await;
    publish(bus.as_ref(), &from, 0..40).await;
    let group = unique("g");
    let mut one = bus.subscribe(&from, &group).await.unwrap();
    let batch = poll_count(one.as_mut(), 40, patience(harness)).await;
    let mut two = bus.subscribe(&from, &group).await.unwrap();
    let taken = two.poll(PLENTY, 5 * SHORT).await.unwrap();

    let mut watcher = bus.subscribe(&to, &unique("w")).await.unwrap();
    if commit(one.as_mut(), &batch, &to).await {
        assert_eq!(taken.messages, [], "two members own one partition");
    } else {
        assert_quiet(watcher.as_mut()).await;
        // What was polled since becomes void with the next one that is turned down.
        let since = one.poll(PLENTY, SHORT).await.unwrap();
        for void in [&batch, &since] {
            let is_void = void.is_empty() || !commit(one.as_mut(), void, &to).await;
            assert!(is_void, "what is void was committed");
        }
        commit(two.as_mut(), &taken, &to).await;
    }
    let started = Instant::now();
    while total_lag(bus.as_ref(), &from, &group).await > 0 {
        assert!(
            started.elapsed() < 2 * patience(harness),
            "what was void is not polled again"
        );
        for member in [&mut one, &mut two] {
            let batch = member.poll(PLENTY, SHORT).await.unwrap();
            commit(member.as_mut(), &batch, &to).await;
        }
    }
    poll_count(watcher.as_mut(), 40, patience(harness)).await;
    assert_quiet(watcher.as_mut()).await;
    for member in [one, two, watcher] {
        member.close().await.unwrap();
    }
}

/// Passes a batch on, unless it is void.
async fn commit(member: &mut dyn Subscription, batch: &Batch, to: &Topic) -> bool {
    if batch.is_empty() {
        return true;
    }
    match member.commit(&batch.checkpoint, &copies(batch, to)).await {
        Ok(()) => true,
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::Rebalanced, "{error:?}");
            false
        }
    }
}

/// Members come and go while they work; the outputs hold every message once, in the order of its key.
pub async fn members_come_and_go_and_nothing_is_doubled(harness: &dyn BusHarness) {
    const KEYS: i64 = 40;
    const ROUNDS: u8 = 25;
    let from = topic(harness, "share-from", 4).await;
    let to = topic(harness, "share-to", 2).await;
    let bus = harness.open().await;
    let outputs = round_outputs(&from, KEYS, 0..ROUNDS);
    bus.publish(&outputs, None).await.unwrap();
    let group = unique("g");
    let deadline = Instant::now() + 10 * patience(harness);
    let mut members = tokio::task::JoinSet::new();
    for _ in 0..3 {
        let (bus, from, to) = (harness.open().await, from.clone(), to.clone());
        let group = group.clone();
        members.spawn(async move { work(bus.as_ref(), &from, &to, &group, deadline).await });
    }
    let took = members.join_all().await;
    println!("bus: messages by member: {took:?}");

    let mut watcher = bus.subscribe(&to, &unique("w")).await.unwrap();
    let batch = poll_count(watcher.as_mut(), outputs.len(), patience(harness)).await;
    let rounds = rounds(&batch);
    let in_order: Vec<u8> = (0..ROUNDS).collect();
    assert_eq!(rounds.len(), KEYS as usize);
    assert!(
        rounds.values().all(|rounds| *rounds == in_order),
        "{rounds:?}"
    );
    assert_quiet(watcher.as_mut()).await;
    watcher.close().await.unwrap();
}

/// Copies from topic to topic, now and then as a new member, until the group has nothing left.
async fn work(bus: &dyn Bus, from: &Topic, to: &Topic, group: &str, deadline: Instant) -> usize {
    let mut copied = 0;
    loop {
        let mut reader = bus.subscribe(from, group).await.unwrap();
        for _ in 0..3 + random() % 8 {
            assert!(
                Instant::now() < deadline,
                "the group does not come to its end"
            );
            let some = Max {
                messages: 1 + (random() % 30) as usize,
                ..PLENTY
            };
            let batch = reader.poll(some, SHORT).await.unwrap();
            if batch.is_empty() {
                if total_lag(bus, from, group).await == 0 {
                    reader.close().await.unwrap();
                    return copied;
                }
                continue;
            }
            // Long enough for others to come and go meanwhile.
            sleep(Duration::from_millis(random() % 4)).await;
            if commit(reader.as_mut(), &batch, to).await {
                copied += batch.messages.len();
            }
        }
        if random().is_multiple_of(3) {
            drop(reader);
        } else {
            reader.close().await.unwrap();
        }
    }
}
