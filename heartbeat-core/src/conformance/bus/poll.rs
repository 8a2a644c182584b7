//! What polling promises.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::{Instant, timeout};

use super::{BusHarness, patience, publish, topic, total_lag};
use crate::bus::Max;
use crate::conformance::{PLENTY, SHORT, any_of, given_up, id_of, poll_count, random, raw, unique};
use crate::message::Output;

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
    let patience = patience(harness);
    let started = Instant::now();
    let batch = reader.poll(PLENTY, 4 * patience).await.unwrap();
    assert_eq!(batch.messages.len(), 1);
    let waited = started.elapsed();
    assert!(waited < 2 * patience, "{waited:?}");
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
    // Keys, values and headers count.
    let mut large = raw(&topic, &[b'k'; 300], vec![b'x'; 300]);
    large
        .envelope
        .headers
        .push("header", Bytes::from_static(&[b'h'; 394]));
    assert_eq!(large.envelope.size(), 1000);
    let outputs: Vec<Output> = std::iter::repeat_n(large, 10).collect();
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
    for round in 0_u32.. {
        if seen.len() >= 200 {
            break;
        }
        assert!(
            started.elapsed() < 4 * patience(harness),
            "{} of 200 came",
            seen.len()
        );
        if round < 20 {
            let ids = i64::from(round) * 10;
            publish(bus.as_ref(), &topic, ids..ids + 10).await;
        }
        for _ in 0..10 {
            // Longer and longer, so that it comes to an end wherever the time goes.
            let round = u64::from(round);
            let short = Duration::from_micros(random() % (3000 + 100 * round));
            let poll = given_up(reader.poll(few, SHORT), any_of(3 + round));
            if let Ok(Some(batch)) = timeout(short, poll).await {
                seen.extend(batch.unwrap().messages.iter().map(id_of));
            }
        }
    }
    seen.sort_unstable();
    assert_eq!(seen, (0..200).collect::<Vec<i64>>());
    reader.close().await.unwrap();
}

/// Lag is what the group has not committed in each partition, and 0 when it has committed all.
pub async fn lag_counts_what_is_not_committed(harness: &dyn BusHarness) {
    let topic = topic(harness, "lag", 2).await;
    let bus = harness.open().await;
    let group = unique("g");
    let lag = async || -> Vec<(i32, u64)> {
        let lag = bus.lag(&topic, &group).await.unwrap();
        lag.iter().map(|it| (it.partition, it.messages)).collect()
    };
    assert_eq!(lag().await, [(0, 0), (1, 0)]);
    publish(bus.as_ref(), &topic, 0..10).await;
    let behind = lag().await;
    let mut reader = bus.subscribe(&topic, &group).await.unwrap();
    let batch = poll_count(reader.as_mut(), 10, patience(harness)).await;
    let in_partition = |partition| {
        let messages = batch.messages.iter();
        let count = messages.filter(|it| it.partition == partition).count();
        (partition, count as u64)
    };
    assert_eq!(behind, [in_partition(0), in_partition(1)], "never read");
    assert_eq!(lag().await, behind, "polled is not committed");
    reader.commit(&batch.checkpoint, &[]).await.unwrap();
    assert_eq!(lag().await, [(0, 0), (1, 0)]);
    publish(bus.as_ref(), &topic, 10..13).await;
    assert_eq!(total_lag(bus.as_ref(), &topic, &group).await, 3);
    reader.close().await.unwrap();
}

/// The spans of a checkpoint hold its messages, and begin where the last ones ended; committed one by one in
/// the order of their polls, they move the group to the end.
pub async fn checkpoints_cover_their_messages(harness: &dyn BusHarness) {
    let topic = topic(harness, "spans", 2).await;
    let bus = harness.open().await;
    publish(bus.as_ref(), &topic, 0..30).await;
    let group = unique("g");
    let mut reader = bus.subscribe(&topic, &group).await.unwrap();
    let few = Max {
        messages: 4,
        ..PLENTY
    };
    let (mut batches, mut came) = (Vec::new(), 0);
    while came < 30 {
        let batch = reader.poll(few, patience(harness)).await.unwrap();
        assert!(!batch.is_empty(), "{came} of 30 messages came");
        came += batch.messages.len();
        batches.push(batch);
    }
    let mut ends: BTreeMap<i32, i64> = BTreeMap::new();
    for batch in &batches {
        let spans = &batch.checkpoint.spans;
        for message in &batch.messages {
            assert!(spans[&message.partition].contains(&message.offset));
        }
        for (partition, span) in spans {
            let before = ends.insert(*partition, span.end);
            assert!(before.is_none_or(|end| end == span.start), "{span:?}");
        }
    }
    for batch in &batches {
        reader.commit(&batch.checkpoint, &[]).await.unwrap();
    }
    assert_eq!(total_lag(bus.as_ref(), &topic, &group).await, 0);
    reader.close().await.unwrap();
}
