//! What every [`Bus`] and [`Subscription`](crate::Subscription) promises.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::time::{Instant, timeout};

use super::{PLENTY, SHORT, id_of, output, poll_count, random, raw, unique};
use crate::bus::{Bus, Max, Progress};
use crate::error::ErrorKind;
use crate::message::{Envelope, Output, Payload, Topic};
use crate::source::Position;

/// Makes the bus under test.
#[async_trait]
pub trait BusHarness: Sync {
    /// Another handle to the one bus, as another process would have it.
    async fn open(&self) -> Arc<dyn Bus>;

    /// Creates a topic, and the topic of its dead letters.
    async fn create_topic(&self, topic: &Topic, partitions: i32);

    /// How long it takes, at most, until the partitions of a vanished member are another's.
    fn takeover(&self) -> Duration;
}

/// Every promise, one after the other.
pub async fn all(harness: &dyn BusHarness) {
    macro_rules! run {
        ($($promise:ident),* $(,)?) => {$(
            println!("bus: {}", stringify!($promise));
            $promise(harness).await;
        )*};
    }
    run!(
        messages_come_back_whole,
        one_key_one_partition_one_order,
        every_group_reads_everything,
        another_handle_sees_what_was_published,
        what_is_not_committed_is_read_again,
        what_is_committed_is_not_read_again,
        a_commit_publishes_with_the_advance,
        a_repeated_commit_publishes_once,
        a_vanished_member_is_taken_over,
        a_slow_member_keeps_its_partitions,
        members_share_and_nothing_is_doubled,
        a_poll_waits_for_the_first_message,
        an_empty_poll_takes_as_long_as_told,
        a_poll_keeps_to_its_limits,
        a_dropped_poll_loses_nothing,
        positions_move_with_their_messages,
        two_readers_of_one_source_publish_once,
        lag_counts_what_is_not_committed,
        publishers_do_not_disturb_each_other,
        an_empty_publish_is_fine,
    );
}

async fn topic(harness: &dyn BusHarness, stem: &str, partitions: i32) -> Topic {
    let topic = Topic::new(&unique(stem)).unwrap();
    harness.create_topic(&topic, partitions).await;
    topic
}

async fn publish(bus: &dyn Bus, topic: &Topic, ids: impl IntoIterator<Item = i64>) {
    let outputs: Vec<Output> = ids.into_iter().map(|id| output(topic, id)).collect();
    bus.publish(&outputs, None).await.unwrap();
}

/// How long to wait for messages that are surely there.
fn patience(harness: &dyn BusHarness) -> Duration {
    harness.takeover() + Duration::from_secs(10)
}

/// Keys, values of every kind and headers come back as they were published, whatever bytes they hold.
pub async fn messages_come_back_whole(harness: &dyn BusHarness) {
    let topic = topic(harness, "whole", 1).await;
    let bus = harness.open().await;
    let mut with_headers = output(&topic, 1);
    with_headers.envelope.headers.push("lang", "en");
    with_headers.envelope.headers.push("lang", "uk");
    with_headers.envelope.headers.push("", Bytes::new());
    with_headers
        .envelope
        .headers
        .push("bytes \u{1F499}", vec![0, 255, 10]);
    let tombstone = Output {
        topic: topic.clone(),
        envelope: Envelope::new(Bytes::from_static(b"gone"), Payload::Tombstone),
    };
    let outputs = vec![
        with_headers,
        raw(&topic, b"", Vec::new()),
        raw(&topic, b"\0\xff\n'", vec![0, 1, 2, 0xff]),
        raw(&topic, b"large", vec![7; 500_000]),
        tombstone,
        output(&topic, i64::MIN),
    ];
    bus.publish(&outputs, None).await.unwrap();

    let mut reader = bus.subscribe(&topic, &unique("g")).await.unwrap();
    let batch = poll_count(reader.as_mut(), outputs.len(), patience(harness)).await;
    for (output, message) in outputs.iter().zip(&batch.messages) {
        assert_eq!(message.topic, topic);
        assert_eq!(message.envelope.key, output.envelope.key);
        assert_eq!(message.envelope.headers, output.envelope.headers);
        match (&message.envelope.payload, &output.envelope.payload) {
            // The reason is the bus's own.
            (Payload::Raw { bytes, .. }, Payload::Raw { bytes: sent, .. }) => {
                assert_eq!(bytes, sent);
            }
            (read, sent) => assert_eq!(read, sent),
        }
        assert!(
            message.timestamp > 1_600_000_000_000,
            "milliseconds since 1970"
        );
    }
    reader.close().await.unwrap();
}

/// Messages of one key share a partition and keep their order; offsets rise.
pub async fn one_key_one_partition_one_order(harness: &dyn BusHarness) {
    let topic = topic(harness, "order", 4).await;
    let bus = harness.open().await;
    for round in 0..20_u8 {
        let outputs: Vec<Output> = (0..10)
            .map(|id| {
                let mut output = output(&topic, id);
                output.envelope.headers.push("round", vec![round]);
                output
            })
            .collect();
        bus.publish(&outputs, None).await.unwrap();
    }
    let mut reader = bus.subscribe(&topic, &unique("g")).await.unwrap();
    let batch = poll_count(reader.as_mut(), 200, patience(harness)).await;

    let mut partitions: BTreeMap<i64, BTreeSet<i32>> = BTreeMap::new();
    let mut rounds: BTreeMap<i64, Vec<u8>> = BTreeMap::new();
    let mut offsets: BTreeMap<i32, Vec<i64>> = BTreeMap::new();
    for message in &batch.messages {
        let id = id_of(message);
        partitions.entry(id).or_default().insert(message.partition);
        let round = message.envelope.headers.get("round").unwrap();
        rounds.entry(id).or_default().push(round[0]);
        offsets
            .entry(message.partition)
            .or_default()
            .push(message.offset);
    }
    assert!(partitions.values().all(|of_key| of_key.len() == 1));
    let in_order: Vec<u8> = (0..20).collect();
    assert!(rounds.values().all(|rounds| *rounds == in_order));
    assert!(
        offsets
            .values()
            .all(|offsets| offsets.is_sorted_by(|a, b| a < b))
    );
    assert!(offsets.keys().all(|partition| (0..4).contains(partition)));
    reader.close().await.unwrap();
}

/// Two groups each read every message, from the first, whatever the other has committed.
pub async fn every_group_reads_everything(harness: &dyn BusHarness) {
    let topic = topic(harness, "groups", 2).await;
    let bus = harness.open().await;
    publish(bus.as_ref(), &topic, 0..10).await;
    for group in [unique("one"), unique("two")] {
        let mut reader = bus.subscribe(&topic, &group).await.unwrap();
        let batch = poll_count(reader.as_mut(), 10, patience(harness)).await;
        reader.commit(&batch.checkpoint, &[]).await.unwrap();
        reader.close().await.unwrap();
    }
}

/// What one handle has published, another reads.
pub async fn another_handle_sees_what_was_published(harness: &dyn BusHarness) {
    let topic = topic(harness, "handles", 2).await;
    publish(harness.open().await.as_ref(), &topic, 0..5).await;
    let other = harness.open().await;
    let mut reader = other.subscribe(&topic, &unique("g")).await.unwrap();
    poll_count(reader.as_mut(), 5, patience(harness)).await;
    reader.close().await.unwrap();
}

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
    let nothing = reader.poll(PLENTY, SHORT).await.unwrap();
    assert!(nothing.messages.is_empty());
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
    assert!(
        watcher
            .poll(PLENTY, SHORT)
            .await
            .unwrap()
            .messages
            .is_empty()
    );
    // Gone before the commit: nothing was published, everything comes again.
    drop(reader);

    let mut reader = bus.subscribe(&from, &group).await.unwrap();
    let batch = poll_count(reader.as_mut(), 10, patience(harness)).await;
    let mut outputs: Vec<Output> = batch
        .messages
        .iter()
        .map(|message| output(&to, id_of(message)))
        .collect();
    outputs.push(raw(&from.dead_letters(), b"key", b"poison".to_vec()));
    reader.commit(&batch.checkpoint, &outputs).await.unwrap();
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
    assert!(
        watcher
            .poll(PLENTY, SHORT)
            .await
            .unwrap()
            .messages
            .is_empty()
    );
    reader.close().await.unwrap();
    watcher.close().await.unwrap();
}

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

/// Members come and go while they work; the outputs hold every message once, in the order of its key.
pub async fn members_share_and_nothing_is_doubled(harness: &dyn BusHarness) {
    const KEYS: i64 = 40;
    const ROUNDS: u8 = 25;
    let from = topic(harness, "share-from", 4).await;
    let to = topic(harness, "share-to", 2).await;
    let bus = harness.open().await;
    for round in 0..ROUNDS {
        let outputs: Vec<Output> = (0..KEYS)
            .map(|id| {
                let mut output = output(&from, id);
                output.envelope.headers.push("round", vec![round]);
                output
            })
            .collect();
        bus.publish(&outputs, None).await.unwrap();
    }
    let group = unique("g");
    let mut members = tokio::task::JoinSet::new();
    for _ in 0..3 {
        let (bus, from, to) = (harness.open().await, from.clone(), to.clone());
        let group = group.clone();
        members.spawn(async move { work(bus.as_ref(), &from, &to, &group).await });
    }
    let took = members.join_all().await;
    println!("bus: messages by member: {took:?}");

    let mut watcher = bus.subscribe(&to, &unique("w")).await.unwrap();
    let total = KEYS as usize * usize::from(ROUNDS);
    let batch = poll_count(watcher.as_mut(), total, patience(harness)).await;
    let mut rounds: BTreeMap<i64, Vec<u8>> = BTreeMap::new();
    for message in &batch.messages {
        let round = message.envelope.headers.get("round").unwrap();
        rounds.entry(id_of(message)).or_default().push(round[0]);
    }
    let in_order: Vec<u8> = (0..ROUNDS).collect();
    assert_eq!(rounds.len(), KEYS as usize);
    assert!(
        rounds.values().all(|rounds| *rounds == in_order),
        "{rounds:?}"
    );
    watcher.close().await.unwrap();
}

/// Copies from topic to topic, now and then as a new member, until the group has nothing left.
async fn work(bus: &dyn Bus, from: &Topic, to: &Topic, group: &str) -> usize {
    let mut copied = 0;
    loop {
        let mut reader = bus.subscribe(from, group).await.unwrap();
        for _ in 0..3 + random() % 8 {
            let some = Max {
                messages: 1 + (random() % 30) as usize,
                ..PLENTY
            };
            let batch = reader.poll(some, SHORT).await.unwrap();
            if batch.is_empty() {
                let lag = bus.lag(from, group).await.unwrap();
                if lag.iter().all(|partition| partition.messages == 0) {
                    reader.close().await.unwrap();
                    return copied;
                }
                continue;
            }
            let outputs: Vec<Output> = batch
                .messages
                .iter()
                .map(|message| Output {
                    topic: to.clone(),
                    envelope: message.envelope.clone(),
                })
                .collect();
            match reader.commit(&batch.checkpoint, &outputs).await {
                Ok(()) => copied += outputs.len(),
                Err(error) => assert_eq!(error.kind(), ErrorKind::Rebalanced, "{error:?}"),
            }
        }
        if random().is_multiple_of(3) {
            drop(reader);
        } else {
            reader.close().await.unwrap();
        }
    }
}

/// A poll that waits returns when the first message comes, long before its time is up.
pub async fn a_poll_waits_for_the_first_message(harness: &dyn BusHarness) {
    let topic = topic(harness, "wait", 2).await;
    let bus = harness.open().await;
    let publisher = harness.open().await;
    let mut reader = bus.subscribe(&topic, &unique("g")).await.unwrap();
    // Joining may take a while; from here on it has joined.
    reader.poll(PLENTY, SHORT).await.unwrap();
    let later = {
        let topic = topic.clone();
        tokio::spawn(async move {
            tokio::time::sleep(2 * SHORT).await;
            publish(publisher.as_ref(), &topic, [7]).await;
        })
    };
    let started = Instant::now();
    let batch = reader.poll(PLENTY, Duration::from_secs(60)).await.unwrap();
    assert_eq!(batch.messages.len(), 1);
    assert!(
        started.elapsed() < Duration::from_secs(30),
        "{:?}",
        started.elapsed()
    );
    later.await.unwrap();
    reader.close().await.unwrap();
}

/// A poll that finds nothing is empty after about its time.
pub async fn an_empty_poll_takes_as_long_as_told(harness: &dyn BusHarness) {
    let topic = topic(harness, "empty", 2).await;
    let bus = harness.open().await;
    let mut reader = bus.subscribe(&topic, &unique("g")).await.unwrap();
    let started = Instant::now();
    let batch = reader.poll(PLENTY, 3 * SHORT).await.unwrap();
    assert!(batch.is_empty());
    assert!(started.elapsed() >= 3 * SHORT, "{:?}", started.elapsed());
    reader.close().await.unwrap();
}

/// A poll brings no more messages and bytes than asked, but always at least one message.
pub async fn a_poll_keeps_to_its_limits(harness: &dyn BusHarness) {
    let topic = topic(harness, "limits", 1).await;
    let bus = harness.open().await;
    let outputs: Vec<Output> = (0..10)
        .map(|_| raw(&topic, b"k", vec![b'x'; 1000]))
        .collect();
    bus.publish(&outputs, None).await.unwrap();
    let mut reader = bus.subscribe(&topic, &unique("g")).await.unwrap();
    let patience = patience(harness);

    let three = Max {
        messages: 3,
        ..PLENTY
    };
    let batch = reader.poll(three, patience).await.unwrap();
    assert!((1..=3).contains(&batch.messages.len()));
    let two_and_a_bit = Max {
        bytes: 2500,
        ..PLENTY
    };
    let batch = reader.poll(two_and_a_bit, patience).await.unwrap();
    assert!((1..=2).contains(&batch.messages.len()));
    let tiny = Max { bytes: 1, ..PLENTY };
    let batch = reader.poll(tiny, patience).await.unwrap();
    assert_eq!(batch.messages.len(), 1);
    reader.close().await.unwrap();
}

/// A poll that is given up half-way takes nothing with it.
pub async fn a_dropped_poll_loses_nothing(harness: &dyn BusHarness) {
    let topic = topic(harness, "dropped", 2).await;
    let bus = harness.open().await;
    let mut reader = bus.subscribe(&topic, &unique("g")).await.unwrap();
    let few = Max {
        messages: 3,
        ..PLENTY
    };
    let mut seen = Vec::new();
    let started = Instant::now();
    let mut published = 0;
    while seen.len() < 200 {
        assert!(
            started.elapsed() < 4 * patience(harness),
            "{} of 200 came",
            seen.len()
        );
        if published < 200 {
            publish(bus.as_ref(), &topic, published..published + 10).await;
            published += 10;
        }
        for _ in 0..10 {
            let short = Duration::from_micros(random() % 3000);
            if let Ok(batch) = timeout(short, reader.poll(few, SHORT)).await {
                seen.extend(batch.unwrap().messages.iter().map(id_of));
            }
        }
    }
    seen.sort_unstable();
    assert_eq!(seen, (0..200).collect::<Vec<i64>>());
    reader.close().await.unwrap();
}

/// A source's position moves in the same step in which its messages appear.
pub async fn positions_move_with_their_messages(harness: &dyn BusHarness) {
    let topic = topic(harness, "positions", 1).await;
    let bus = harness.open().await;
    let source = unique("source");
    let at = |text: &str| Some(Position(text.to_owned()));
    let step = |from: Option<Position>, to: &str| {
        Some(Progress {
            source: source.clone(),
            from,
            to: Position(to.to_owned()),
        })
    };
    assert_eq!(bus.position(&source).await.unwrap(), None);
    let first = [output(&topic, 1)];
    bus.publish(&first, step(None, "a")).await.unwrap();
    assert_eq!(bus.position(&source).await.unwrap(), at("a"));
    // A position may move without a message, when all that was read is of no use.
    bus.publish(&[], step(at("a"), "b")).await.unwrap();
    let other = harness.open().await;
    assert_eq!(other.position(&source).await.unwrap(), at("b"));
    assert_eq!(other.position(&unique("other")).await.unwrap(), None);

    let mut reader = bus.subscribe(&topic, &unique("g")).await.unwrap();
    poll_count(reader.as_mut(), 1, patience(harness)).await;
    reader.close().await.unwrap();
}

/// Of two processes that read the same piece of a source, one publishes it.
pub async fn two_readers_of_one_source_publish_once(harness: &dyn BusHarness) {
    let topic = topic(harness, "one-source", 1).await;
    let (one, two) = (harness.open().await, harness.open().await);
    let source = unique("source");
    let step = |from: Option<&str>, to: &str| {
        Some(Progress {
            source: source.clone(),
            from: from.map(|from| Position(from.to_owned())),
            to: Position(to.to_owned()),
        })
    };
    let piece = [output(&topic, 1), output(&topic, 2)];
    one.publish(&piece, step(None, "2")).await.unwrap();
    // The same piece again: it is there already.
    two.publish(&piece, step(None, "2")).await.unwrap();
    one.publish(&piece, step(None, "2")).await.unwrap();
    // Another piece from a place where the source no longer is.
    let error = two
        .publish(&[output(&topic, 3)], step(None, "1"))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Rebalanced, "{error:?}");
    two.publish(&[output(&topic, 3)], step(Some("2"), "3"))
        .await
        .unwrap();

    let mut reader = one.subscribe(&topic, &unique("g")).await.unwrap();
    let batch = poll_count(reader.as_mut(), 3, patience(harness)).await;
    let ids: Vec<i64> = batch.messages.iter().map(id_of).collect();
    assert_eq!(ids, [1, 2, 3]);
    assert!(
        reader
            .poll(PLENTY, SHORT)
            .await
            .unwrap()
            .messages
            .is_empty()
    );
    reader.close().await.unwrap();
}

/// Lag is what the group has not committed, and 0 when it has committed all.
pub async fn lag_counts_what_is_not_committed(harness: &dyn BusHarness) {
    let topic = topic(harness, "lag", 2).await;
    let bus = harness.open().await;
    let group = unique("g");
    let total = async || -> u64 {
        let lag = bus.lag(&topic, &group).await.unwrap();
        assert!(lag.is_sorted_by_key(|partition| partition.partition));
        lag.iter().map(|partition| partition.messages).sum()
    };
    assert_eq!(total().await, 0);
    publish(bus.as_ref(), &topic, 0..10).await;
    assert_eq!(total().await, 10, "a group that never read");
    let mut reader = bus.subscribe(&topic, &group).await.unwrap();
    let batch = poll_count(reader.as_mut(), 10, patience(harness)).await;
    assert_eq!(total().await, 10, "polled is not committed");
    reader.commit(&batch.checkpoint, &[]).await.unwrap();
    assert_eq!(total().await, 0);
    publish(bus.as_ref(), &topic, 10..13).await;
    assert_eq!(total().await, 3);
    reader.close().await.unwrap();
}

/// What several publish at once is all there, once.
pub async fn publishers_do_not_disturb_each_other(harness: &dyn BusHarness) {
    let topic = topic(harness, "publishers", 4).await;
    let mut publishers = tokio::task::JoinSet::new();
    for publisher in 0..4 {
        let (bus, topic) = (harness.open().await, topic.clone());
        publishers.spawn(async move {
            for id in 0..25 {
                publish(bus.as_ref(), &topic, [publisher * 25 + id]).await;
            }
        });
    }
    publishers.join_all().await;
    let bus = harness.open().await;
    let mut reader = bus.subscribe(&topic, &unique("g")).await.unwrap();
    let batch = poll_count(reader.as_mut(), 100, patience(harness)).await;
    let ids: BTreeSet<i64> = batch.messages.iter().map(id_of).collect();
    assert_eq!(ids, (0..100).collect());
    reader.close().await.unwrap();
}

/// Publishing nothing does nothing.
pub async fn an_empty_publish_is_fine(harness: &dyn BusHarness) {
    harness.open().await.publish(&[], None).await.unwrap();
}
