//! What committing promises.

use std::collections::BTreeSet;

use super::{BusHarness, assert_quiet, copies, patience, publish, topic, total_lag};
use crate::bus::Max;
use crate::conformance::{PLENTY, SHORT, given_up, id_of, output, poll_count, raw, unique};

/// A member that leaves without a commit leaves its messages to the next one.
pub async fn what_is_not_committed_is_read_again(harness: &dyn BusHarness) {
    let topic = topic(harness, "again", 2).await;
    let bus = harness.open().await;
    publish(bus.as_ref(), &topic, 0..10).await;
    let group = unique("g");
    for _ in 0..2 {
        let mut reader = bus.subscribe(&topic, &group).await.unwrap();
        let batch = poll_count(reader.as_mut(), 10, patience(harness)).await;
        assert_eq!(batch.messages.len(), 10);
        reader.close().await.unwrap();
    }
}

/// Committed messages do not come back; those behind the checkpoint do.
pub async fn what_is_committed_is_not_read_again(harness: &dyn BusHarness) {
    let topic = topic(harness, "once", 1).await;
    let bus = harness.open().await;
    publish(bus.as_ref(), &topic, 0..10).await;
    let group = unique("g");
    let mut reader = bus.subscribe(&topic, &group).await.unwrap();
    let four = Max {
        messages: 4,
        ..PLENTY
    };
    let mut first = reader.poll(four, patience(harness)).await.unwrap();
    while first.messages.len() < 4 {
        let room = Max {
            messages: 4 - first.messages.len(),
            ..PLENTY
        };
        first.append(reader.poll(room, SHORT).await.unwrap());
    }
    // Polled and not committed.
    poll_count(reader.as_mut(), 6, patience(harness)).await;
    reader.commit(&first.checkpoint, &[]).await.unwrap();
    reader.close().await.unwrap();

    let mut reader = bus.subscribe(&topic, &group).await.unwrap();
    let rest = poll_count(reader.as_mut(), 6, patience(harness)).await;
    let ids: Vec<i64> = rest.messages.iter().map(id_of).collect();
    assert_eq!(ids, [4, 5, 6, 7, 8, 9]);
    reader.commit(&rest.checkpoint, &[]).await.unwrap();
    assert_quiet(reader.as_mut()).await;
    reader.close().await.unwrap();
}

/// Outputs become visible with the commit and not without it.
pub async fn a_commit_publishes_with_the_advance(harness: &dyn BusHarness) {
    let from = topic(harness, "from", 2).await;
    let to = topic(harness, "to", 2).await;
    let bus = harness.open().await;
    publish(bus.as_ref(), &from, 0..10).await;
    let group = unique("g");
    let mut watcher = bus.subscribe(&to, &unique("w")).await.unwrap();

    let mut reader = bus.subscribe(&from, &group).await.unwrap();
    poll_count(reader.as_mut(), 10, patience(harness)).await;
    assert_quiet(watcher.as_mut()).await;
    // Gone before the commit: nothing was published, everything comes again.
    drop(reader);

    let mut reader = bus.subscribe(&from, &group).await.unwrap();
    let batch = poll_count(reader.as_mut(), 10, patience(harness)).await;
    let mut outputs = copies(&batch, &to);
    outputs.push(raw(&from.dead_letters(), b"key", b"poison".to_vec()));
    reader.commit(&batch.checkpoint, &outputs).await.unwrap();
    assert_eq!(total_lag(bus.as_ref(), &from, &group).await, 0);
    let seen = poll_count(watcher.as_mut(), 10, patience(harness)).await;
    let ids: BTreeSet<i64> = seen.messages.iter().map(id_of).collect();
    assert_eq!(ids, (0..10).collect());
    let mut dead = bus
        .subscribe(&from.dead_letters(), &unique("d"))
        .await
        .unwrap();
    poll_count(dead.as_mut(), 1, patience(harness)).await;
    for subscription in [watcher, reader, dead] {
        subscription.close().await.unwrap();
    }
}

/// A member that is killed in its commit has published all and moved the group, or nothing: its successor
/// does the rest, and every message has been passed on once.
pub async fn a_commit_is_all_or_nothing(harness: &dyn BusHarness) {
    let from = topic(harness, "killed-from", 1).await;
    let to = topic(harness, "killed-to", 1).await;
    let group = unique("g");
    let bus = harness.open().await;
    publish(bus.as_ref(), &from, 0..10).await;
    for waits in [1, 2, 3, 4, 5, 8, 16, 32, 64, 128] {
        if total_lag(bus.as_ref(), &from, &group).await == 0 {
            break;
        }
        let doomed = harness.open().await;
        let mut reader = doomed.subscribe(&from, &group).await.unwrap();
        let batch = reader.poll(PLENTY, patience(harness)).await.unwrap();
        if !batch.is_empty() {
            let outputs = copies(&batch, &to);
            let commit = reader.commit(&batch.checkpoint, &outputs);
            if let Some(done) = given_up(commit, waits).await {
                done.unwrap();
            }
        }
    }
    assert_eq!(total_lag(bus.as_ref(), &from, &group).await, 0);
    let mut watcher = bus.subscribe(&to, &unique("w")).await.unwrap();
    poll_count(watcher.as_mut(), 10, patience(harness)).await;
    assert_quiet(watcher.as_mut()).await;
    watcher.close().await.unwrap();
}

/// A commit made twice, as after an answer that was lost, publishes its outputs once.
pub async fn a_repeated_commit_publishes_once(harness: &dyn BusHarness) {
    let from = topic(harness, "repeat-from", 2).await;
    let to = topic(harness, "repeat-to", 1).await;
    let bus = harness.open().await;
    publish(bus.as_ref(), &from, 0..3).await;
    let mut reader = bus.subscribe(&from, &unique("g")).await.unwrap();
    let batch = poll_count(reader.as_mut(), 3, patience(harness)).await;
    let outputs = [output(&to, 1)];
    reader.commit(&batch.checkpoint, &outputs).await.unwrap();
    reader.commit(&batch.checkpoint, &outputs).await.unwrap();
    let mut watcher = bus.subscribe(&to, &unique("w")).await.unwrap();
    poll_count(watcher.as_mut(), 1, patience(harness)).await;
    assert_quiet(watcher.as_mut()).await;
    reader.close().await.unwrap();
    watcher.close().await.unwrap();
}
