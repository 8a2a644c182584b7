//! Members that come, go, stall and die.

use std::collections::BTreeSet;
use std::future::Future;
use std::path::Path;
use std::time::Duration;

use crate::support::*;
use heartbeat_core::{Batch, Bus, ErrorKind, Max, Subscription, Topic};
use heartbeat_sqlite::SqliteBus;
use tokio::runtime::{Builder, Runtime};

/// A process in miniature: nothing of it runs, its heartbeats neither, except inside
/// [`Process::run`].
struct Process {
    runtime: Runtime,
    bus: SqliteBus,
}

impl Process {
    fn start(path: &Path) -> Self {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let bus = runtime.block_on(open(path));
        Self { runtime, bus }
    }

    fn run<T>(&self, work: impl Future<Output = T>) -> T {
        self.runtime.block_on(work)
    }

    fn subscribe(&self, topic: &Topic) -> Box<dyn Subscription> {
        self.run(self.bus.subscribe(topic, "group")).unwrap()
    }
}

fn partitions(batch: &Batch) -> BTreeSet<i32> {
    batch.checkpoint.spans.keys().copied().collect()
}

#[test]
fn members_share_and_the_work_of_a_dead_one_is_taken_over() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("bus.db");
    let (ingest, sentiment) = (topic("ingest"), topic("sentiment"));
    let (dying, living) = (Process::start(&path), Process::start(&path));
    dying
        .run(dying.bus.publish(&outputs(&ingest, 0..100), None))
        .unwrap();

    let mut ours = dying.subscribe(&ingest);
    let mut theirs = living.subscribe(&ingest);
    let our_batch = dying.run(ours.poll(ALL, LONG)).unwrap();
    let their_batch = living.run(theirs.poll(ALL, LONG)).unwrap();
    assert_eq!(partitions(&our_batch).len(), 2);
    assert_eq!(partitions(&their_batch).len(), 2);
    assert!(partitions(&our_batch).is_disjoint(&partitions(&their_batch)));
    living
        .run(theirs.commit(
            &their_batch.checkpoint,
            &outputs(&sentiment, numbers(&their_batch)),
        ))
        .unwrap();

    // From here on the first does nothing, and its lease runs out.
    let taken = living.run(poll_all(&mut *theirs, our_batch.messages.len()));
    assert_eq!(numbers(&taken), numbers(&our_batch));

    // It was only asleep. It comes too late, even before its heir has committed, and is told.
    let late = dying.run(ours.commit(&our_batch.checkpoint, &outputs(&sentiment, [999])));
    assert_eq!(late.unwrap_err().kind(), ErrorKind::Rebalanced);
    living
        .run(theirs.commit(&taken.checkpoint, &outputs(&sentiment, numbers(&taken))))
        .unwrap();
    let published = living.run(read_topic(&living.bus, &sentiment));
    let mut published: Vec<i64> = published.iter().map(number).collect();
    published.sort_unstable();
    assert_eq!(published, (0..100).collect::<Vec<_>>());
}

#[test]
fn a_lease_that_ran_out_and_that_nobody_took_is_still_held() {
    let dir = tempfile::tempdir().unwrap();
    let process = Process::start(&dir.path().join("bus.db"));
    let ingest = topic("ingest");
    process
        .run(process.bus.publish(&outputs(&ingest, 0..10), None))
        .unwrap();
    let mut subscription = process.subscribe(&ingest);
    let batch = process.run(subscription.poll(ALL, LONG)).unwrap();
    std::thread::sleep(2 * LEASE);
    process
        .run(subscription.commit(&batch.checkpoint, &[]))
        .unwrap();
    assert_eq!(process.run(total_lag(&process.bus, &ingest, "group")), 0);
}

#[test]
fn what_came_back_to_a_member_is_not_worked_on_twice() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("bus.db");
    let (ingest, sentiment) = (topic("ingest"), topic("sentiment"));
    let (sleepy, other) = (Process::start(&path), Process::start(&path));
    sleepy.run(async {
        sleepy.bus.create_topic(&ingest, count(1)).await.unwrap();
        sleepy
            .bus
            .publish(&outputs(&ingest, 0..10), None)
            .await
            .unwrap();
    });
    let mut ours = sleepy.subscribe(&ingest);
    let mut batch = sleepy.run(ours.poll(ALL, LONG)).unwrap();
    assert_eq!(batch.messages.len(), 10);

    // While this one sleeps, another takes the partition, polls the same, and leaves without a
    // commit. The partition comes back with the next poll, whose batch joins the first.
    std::thread::sleep(2 * LEASE);
    let mut theirs = other.subscribe(&ingest);
    assert_eq!(
        other.run(theirs.poll(ALL, LONG)).unwrap().messages.len(),
        10
    );
    other.run(theirs.close()).unwrap();
    sleepy
        .run(sleepy.bus.publish(&outputs(&ingest, 10..12), None))
        .unwrap();
    batch.append(sleepy.run(ours.poll(ALL, LONG)).unwrap());
    assert_eq!(numbers(&batch), (0..12).collect::<Vec<_>>());
    sleepy
        .run(ours.commit(&batch.checkpoint, &outputs(&sentiment, numbers(&batch))))
        .unwrap();
    assert_eq!(sleepy.run(read_topic(&sleepy.bus, &sentiment)).len(), 12);
}

#[tokio::test]
async fn a_slow_member_keeps_its_partitions() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("bus.db");
    let (slow_bus, bus) = (open(&path).await, open(&path).await);
    let ingest = topic("ingest");
    bus.publish(&outputs(&ingest, 0..100), None).await.unwrap();
    let mut slow = slow_bus.subscribe(&ingest, "group").await.unwrap();
    let batch = slow.poll(ALL, LONG).await.unwrap();
    assert_eq!(batch.messages.len(), 100);
    let mut eager = bus.subscribe(&ingest, "group").await.unwrap();
    assert!(eager.poll(ALL, 3 * LEASE).await.unwrap().is_empty());
    slow.commit(&batch.checkpoint, &[]).await.unwrap();
}

#[tokio::test]
async fn a_newcomer_gets_its_share_from_a_member_that_always_has_work_in_flight() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("bus.db");
    let (bus, other) = (open(&path).await, open(&path).await);
    let ingest = topic("ingest");
    bus.publish(&outputs(&ingest, 0..4_000), None)
        .await
        .unwrap();
    let some = Max {
        messages: 40,
        ..ALL
    };
    let mut old = bus.subscribe(&ingest, "group").await.unwrap();
    let mut in_flight = old.poll(some, LONG).await.unwrap();
    assert_eq!(partitions(&in_flight).len(), 4);
    let mut new = other.subscribe(&ingest, "group").await.unwrap();
    for _ in 0..3 {
        // The next batch is polled before this one is committed.
        let next = old.poll(some, LONG).await.unwrap();
        old.commit(&in_flight.checkpoint, &[]).await.unwrap();
        in_flight = next;
    }
    let theirs = new.poll(some, LONG).await.unwrap();
    assert_eq!(partitions(&theirs).len(), 2);
    assert!(partitions(&theirs).is_disjoint(&partitions(&in_flight)));
    old.commit(&in_flight.checkpoint, &[]).await.unwrap();
    new.commit(&theirs.checkpoint, &[]).await.unwrap();
}

#[tokio::test]
async fn who_closes_frees_its_partitions_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = config(&dir.path().join("bus.db"));
    config.lease = LONG * 10;
    let bus = SqliteBus::open(config).await.unwrap();
    let ingest = topic("ingest");
    bus.publish(&outputs(&ingest, 0..100), None).await.unwrap();
    let mut first = bus.subscribe(&ingest, "group").await.unwrap();
    let mut second = bus.subscribe(&ingest, "group").await.unwrap();
    let lost = first.poll(ALL, LONG).await.unwrap().messages.len();
    let kept = second.poll(ALL, LONG).await.unwrap().messages.len();
    assert_eq!(lost + kept, 100);
    let (closed, taken) = tokio::join!(first.close(), second.poll(ALL, LONG));
    closed.unwrap();
    let mut taken = taken.unwrap().messages.len();
    while taken < lost {
        taken += second.poll(ALL, LONG).await.unwrap().messages.len();
    }
    assert_eq!(taken, lost);
}

#[tokio::test]
async fn partitions_are_spread_evenly_and_members_beyond_them_wait() {
    let dir = tempfile::tempdir().unwrap();
    let bus = open(&dir.path().join("bus.db")).await;
    let ingest = topic("ingest");
    bus.publish(&outputs(&ingest, 0..100), None).await.unwrap();
    let mut members = Vec::new();
    for _ in 0..3 {
        members.push(bus.subscribe(&ingest, "group").await.unwrap());
    }
    let mut shares = Vec::new();
    for member in &mut members {
        shares.push(partitions(&member.poll(ALL, LONG).await.unwrap()).len());
    }
    assert_eq!(shares, [2, 1, 1]);
    let mut more = [
        bus.subscribe(&ingest, "group").await.unwrap(),
        bus.subscribe(&ingest, "group").await.unwrap(),
    ];
    for member in &mut more {
        assert!(member.poll(ALL, NONE).await.unwrap().is_empty());
    }
    let mut alone = bus.subscribe(&ingest, "another group").await.unwrap();
    assert_eq!(alone.poll(ALL, LONG).await.unwrap().messages.len(), 100);
}

#[tokio::test]
async fn a_commit_made_twice_publishes_once() {
    let dir = tempfile::tempdir().unwrap();
    let bus = open(&dir.path().join("bus.db")).await;
    let (ingest, sentiment) = (topic("ingest"), topic("sentiment"));
    bus.publish(&outputs(&ingest, 0..100), None).await.unwrap();
    let mut subscription = bus.subscribe(&ingest, "group").await.unwrap();
    let batch = subscription.poll(ALL, LONG).await.unwrap();
    for _ in 0..3 {
        subscription
            .commit(&batch.checkpoint, &outputs(&sentiment, numbers(&batch)))
            .await
            .unwrap();
    }
    assert_eq!(read_topic(&bus, &sentiment).await.len(), 100);
}

#[tokio::test]
async fn batches_polled_before_a_rejected_commit_are_void() {
    let dir = tempfile::tempdir().unwrap();
    let bus = open(&dir.path().join("bus.db")).await;
    let (ingest, sentiment) = (topic("ingest"), topic("sentiment"));
    bus.publish(&outputs(&ingest, 0..100), None).await.unwrap();
    let mut subscription = bus.subscribe(&ingest, "group").await.unwrap();
    let half = Max {
        messages: 40,
        ..ALL
    };
    let first = subscription.poll(half, LONG).await.unwrap();
    let second = subscription.poll(half, LONG).await.unwrap();
    let mut stale = first.checkpoint.clone();
    stale
        .spans
        .values_mut()
        .for_each(|span| *span = span.start + 1..span.end);

    let out = outputs(&sentiment, [1]);
    for checkpoint in [&stale, &first.checkpoint, &second.checkpoint] {
        let error = subscription.commit(checkpoint, &out).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Rebalanced);
    }
    let again = poll_all(&mut *subscription, 100).await;
    assert_eq!(numbers(&again), (0..100).collect::<Vec<_>>());
    subscription.commit(&again.checkpoint, &out).await.unwrap();
    assert_eq!(read_topic(&bus, &sentiment).await.len(), 1);
}

#[tokio::test]
async fn a_poll_given_up_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let bus = open(&dir.path().join("bus.db")).await;
    let ingest = topic("ingest");
    bus.publish(&outputs(&ingest, 0..1_000), None)
        .await
        .unwrap();
    let mut subscription = bus.subscribe(&ingest, "group").await.unwrap();
    let mut seen = Vec::new();
    let some = Max {
        messages: 10,
        ..ALL
    };
    let mut patience = Duration::ZERO;
    while seen.len() < 1_000 {
        patience += Duration::from_micros(20);
        if let Ok(batch) = tokio::time::timeout(patience, subscription.poll(some, LONG)).await {
            seen.extend(batch.unwrap().messages);
        }
    }
    assert_contiguous(&seen);
}
