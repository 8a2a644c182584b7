//! What publishing promises.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;

use super::{BusHarness, assert_quiet, patience, publish, round_outputs, rounds, topic, total_lag};
use crate::bus::Progress;
use crate::conformance::{given_up, id_of, output, poll_count, raw, unique};
use crate::error::{Error, ErrorKind};
use crate::message::{Envelope, Message, Output, Payload, Topic};
use crate::source::Position;

/// In milliseconds: more than the clocks of two machines differ.
const HOUR: u64 = 3_600_000;

/// Milliseconds since 1970.
fn now() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    i64::try_from(now.as_millis()).unwrap()
}

/// Where the source was, and where it is behind the outputs.
fn step(source: &str, from: Option<&str>, to: &str) -> Option<Progress> {
    Some(Progress {
        source: source.to_owned(),
        from: from.map(|from| Position(from.to_owned())),
        to: Position(to.to_owned()),
    })
}

fn at(position: &str) -> Option<Position> {
    Some(Position(position.to_owned()))
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
    for output in &outputs {
        let same_key = |message: &&Message| message.envelope.key == output.envelope.key;
        let message = batch.messages.iter().find(same_key).unwrap();
        assert_eq!(message.topic, topic);
        assert_eq!(message.envelope.headers, output.envelope.headers);
        match (&message.envelope.payload, &output.envelope.payload) {
            // The reason is the bus's own.
            (Payload::Raw { bytes, reason }, Payload::Raw { bytes: sent, .. }) => {
                assert_eq!(bytes, sent);
                assert!(!reason.is_empty(), "no reason why it cannot be read");
            }
            (
                Payload::Avro { schema, datum },
                Payload::Avro {
                    schema: written,
                    datum: sent,
                },
            ) => {
                assert_eq!(datum, sent);
                // Whoever keeps schemas may keep them in words of its own.
                assert!(schema.same_layout(written), "{schema:?}, not {written:?}");
            }
            (read, sent) => assert_eq!(read, sent),
        }
        let age = now().abs_diff(message.timestamp);
        assert!(age < HOUR, "published {age} milliseconds from now");
    }
    reader.close().await.unwrap();
}

/// Messages of one key share a partition and keep their order, also within one call; offsets rise.
pub async fn one_key_one_partition_one_order(harness: &dyn BusHarness) {
    let topic = topic(harness, "order", 4).await;
    let bus = harness.open().await;
    for first in [0, 5, 10, 15] {
        let outputs = round_outputs(&topic, 10, first..first + 5);
        bus.publish(&outputs, None).await.unwrap();
    }
    let mut reader = bus.subscribe(&topic, &unique("g")).await.unwrap();
    let batch = poll_count(reader.as_mut(), 200, patience(harness)).await;

    let mut partitions: BTreeMap<i64, BTreeSet<i32>> = BTreeMap::new();
    let mut offsets: BTreeMap<i32, Vec<i64>> = BTreeMap::new();
    for message in &batch.messages {
        let of_key = partitions.entry(id_of(message)).or_default();
        of_key.insert(message.partition);
        let of_partition = offsets.entry(message.partition).or_default();
        of_partition.push(message.offset);
    }
    let rising = |offsets: &Vec<i64>| offsets.is_sorted_by(|a, b| a < b);
    let in_order: Vec<u8> = (0..20).collect();
    assert!(partitions.values().all(|of_key| of_key.len() == 1));
    assert!(rounds(&batch).values().all(|rounds| *rounds == in_order));
    assert!(offsets.values().all(rising));
    assert!(offsets.keys().all(|partition| (0..4).contains(partition)));
    reader.close().await.unwrap();
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

/// What a handle published before it was closed is there for the others, which go on.
pub async fn a_closed_handle_leaves_the_others(harness: &dyn BusHarness) {
    let topic = topic(harness, "closed", 2).await;
    let (closed, other) = (harness.open().await, harness.open().await);
    publish(closed.as_ref(), &topic, 0..5).await;
    closed.close().await.unwrap();
    publish(other.as_ref(), &topic, 5..10).await;
    let mut reader = other.subscribe(&topic, &unique("g")).await.unwrap();
    poll_count(reader.as_mut(), 10, patience(harness)).await;
    reader.close().await.unwrap();
}

/// A source's position moves with its messages, and without any.
pub async fn positions_move_with_their_messages(harness: &dyn BusHarness) {
    let topic = topic(harness, "positions", 1).await;
    let bus = harness.open().await;
    let source = unique("source");
    assert_eq!(bus.position(&source).await.unwrap(), None);
    let first = [output(&topic, 1)];
    bus.publish(&first, step(&source, None, "a")).await.unwrap();
    assert_eq!(bus.position(&source).await.unwrap(), at("a"));
    // When all that was read is of no use.
    let nothing = bus.publish(&[], step(&source, Some("a"), "b")).await;
    nothing.unwrap();
    let other = harness.open().await;
    assert_eq!(other.position(&source).await.unwrap(), at("b"));
    assert_eq!(other.position(&unique("other")).await.unwrap(), None);

    let mut reader = bus.subscribe(&topic, &unique("g")).await.unwrap();
    poll_count(reader.as_mut(), 1, patience(harness)).await;
    reader.close().await.unwrap();
}

/// A publisher that is killed in the middle has published all and moved the position, or nothing: made
/// again by another, the call leaves every message there once.
pub async fn a_publish_is_all_or_nothing(harness: &dyn BusHarness) {
    const ROUNDS: u8 = 12;
    let topic = topic(harness, "all-or-nothing", 2).await;
    let source = unique("source");
    let mut from: Option<String> = None;
    for round in 0..ROUNDS {
        let outputs = round_outputs(&topic, 10, round..round + 1);
        let to = round.to_string();
        let step = || step(&source, from.as_deref(), &to);
        let doomed = harness.open().await;
        if let Some(done) = given_up(doomed.publish(&outputs, step()), usize::from(round) + 1).await
        {
            done.unwrap();
        } else {
            drop(doomed);
            let again = harness.open().await;
            again.publish(&outputs, step()).await.unwrap();
        }
        from = Some(to);
    }
    let bus = harness.open().await;
    assert_eq!(bus.position(&source).await.unwrap(), from.map(Position));
    let mut reader = bus.subscribe(&topic, &unique("g")).await.unwrap();
    let total = 10 * usize::from(ROUNDS);
    let batch = poll_count(reader.as_mut(), total, patience(harness)).await;
    let in_order: Vec<u8> = (0..ROUNDS).collect();
    assert!(rounds(&batch).values().all(|rounds| *rounds == in_order));
    assert_quiet(reader.as_mut()).await;
    reader.close().await.unwrap();
}

/// Of two processes that read the same piece of a source, one publishes it.
pub async fn two_readers_of_one_source_publish_once(harness: &dyn BusHarness) {
    let topic = topic(harness, "one-source", 1).await;
    let (one, two) = (harness.open().await, harness.open().await);
    let source = unique("source");
    let step = |from, to| step(&source, from, to);
    let piece = [output(&topic, 1), output(&topic, 2)];
    one.publish(&piece, step(None, "2")).await.unwrap();
    // The same piece again: it is there already.
    two.publish(&piece, step(None, "2")).await.unwrap();
    one.publish(&piece, step(None, "2")).await.unwrap();
    // Another piece from a place where the source no longer is.
    let next = [output(&topic, 3)];
    let error = two.publish(&next, step(None, "1")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Rebalanced, "{error:?}");
    assert_eq!(one.position(&source).await.unwrap(), at("2"));
    two.publish(&next, step(Some("2"), "3")).await.unwrap();

    let mut reader = one.subscribe(&topic, &unique("g")).await.unwrap();
    let batch = poll_count(reader.as_mut(), 3, patience(harness)).await;
    let mut ids: Vec<i64> = batch.messages.iter().map(id_of).collect();
    ids.sort_unstable();
    assert_eq!(ids, [1, 2, 3]);
    assert_quiet(reader.as_mut()).await;
    reader.close().await.unwrap();
}

/// An output that is refused is named, and nothing of its call is done: without it, the call can be made.
pub async fn what_can_never_be_published_is_named(harness: &dyn BusHarness) {
    let Some(payload) = harness.refused() else {
        return;
    };
    let (from, to) = (
        topic(harness, "refused-from", 1).await,
        topic(harness, "refused-to", 1).await,
    );
    let bus = harness.open().await;
    let bad = Output {
        topic: to.clone(),
        envelope: Envelope::new(Bytes::from_static(b"bad"), payload),
    };
    let good = [output(&to, 1), output(&to, 2)];
    let outputs = [good[0].clone(), bad, good[1].clone()];
    let assert_named = |error: Error| {
        assert_eq!(error.kind(), ErrorKind::Invalid, "{error:?}");
        assert_eq!(error.item(), Some(1), "{error:?}");
    };

    let source = unique("source");
    let progress = step(&source, None, "a");
    assert_named(bus.publish(&outputs, progress).await.unwrap_err());
    assert_eq!(bus.position(&source).await.unwrap(), None);

    let group = unique("g");
    publish(bus.as_ref(), &from, 0..3).await;
    let mut reader = bus.subscribe(&from, &group).await.unwrap();
    let batch = poll_count(reader.as_mut(), 3, patience(harness)).await;
    assert_named(
        reader
            .commit(&batch.checkpoint, &outputs)
            .await
            .unwrap_err(),
    );
    assert_eq!(total_lag(bus.as_ref(), &from, &group).await, 3);

    let mut watcher = bus.subscribe(&to, &unique("w")).await.unwrap();
    assert_quiet(watcher.as_mut()).await;
    reader.commit(&batch.checkpoint, &good).await.unwrap();
    poll_count(watcher.as_mut(), 2, patience(harness)).await;
    reader.close().await.unwrap();
    watcher.close().await.unwrap();
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

/// A topic that nobody has made has no partitions; who subscribes to it makes it or is told.
pub async fn a_missing_topic_is_empty_or_refused(harness: &dyn BusHarness) {
    let topic = Topic::new(&unique("missing")).unwrap();
    let bus = harness.open().await;
    assert_eq!(bus.lag(&topic, &unique("g")).await.unwrap(), []);
    match bus.subscribe(&topic, &unique("g")).await {
        Ok(mut reader) => {
            assert_quiet(reader.as_mut()).await;
            reader.close().await.unwrap();
        }
        Err(error) => assert_eq!(error.kind(), ErrorKind::Misconfigured, "{error:?}"),
    }
}
