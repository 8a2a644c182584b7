//! Messages, positions and topics in the file.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::support::*;
use bytes::Bytes;
use heartbeat_core::{Bus, Envelope, ErrorKind, Headers, Max, Output, Payload, Position, Progress};

fn progress(from: Option<&str>, to: &str) -> Option<Progress> {
    Some(Progress {
        source: "file".to_owned(),
        from: from.map(|from| Position(from.to_owned())),
        to: Position(to.to_owned()),
    })
}

#[tokio::test]
async fn everything_is_there_again_after_reopening() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("bus.db");
    let ingest = topic("ingest");
    {
        let bus = open(&path).await;
        bus.publish(&outputs(&ingest, 0..100), progress(None, "100"))
            .await
            .unwrap();
        let mut subscription = bus.subscribe(&ingest, "analyze").await.unwrap();
        let max = Max {
            messages: 30,
            ..ALL
        };
        let batch = subscription.poll(max, LONG).await.unwrap();
        assert_eq!(batch.messages.len(), 30);
        subscription.commit(&batch.checkpoint, &[]).await.unwrap();
        subscription.close().await.unwrap();
    }
    let bus = open(&path).await;
    assert_eq!(
        bus.position("file").await.unwrap(),
        Some(Position("100".to_owned()))
    );
    assert_eq!(bus.position("other").await.unwrap(), None);
    assert_eq!(total_lag(&bus, &ingest, "analyze").await, 70);
    assert_eq!(total_lag(&bus, &ingest, "new").await, 100);
    let mut subscription = bus.subscribe(&ingest, "analyze").await.unwrap();
    poll_all(&mut *subscription, 70).await;

    let messages = read_topic(&bus, &ingest).await;
    assert_contiguous(&messages);
    let mut numbers: Vec<i64> = messages.iter().map(number).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (0..100).collect::<Vec<_>>());
    let first = messages
        .iter()
        .find(|message| number(message) == 0)
        .unwrap();
    assert_eq!(first.envelope, output(&ingest, 0).envelope);
}

#[tokio::test]
async fn hostile_strings_and_sizes_come_back_as_they_went_in() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("it's ?a #\"file\" 🎈 %20.db");
    let bus = open(&path).await;
    let hostile = topic("hostile");
    let long = "long ".repeat(200_000);
    let texts = [
        "",
        "\0",
        "a\0b",
        "'; DROP TABLE messages; --",
        "🎈\u{200d}é",
        "\"",
        &long,
    ];
    let mut sent = Vec::new();
    for text in texts {
        for payload in [
            Payload::Avro {
                schema: SCHEMA.clone(),
                datum: Bytes::copy_from_slice(text.as_bytes()),
            },
            Payload::Raw {
                bytes: Bytes::copy_from_slice(text.as_bytes()),
                reason: "x".to_owned(),
            },
            Payload::Tombstone,
        ] {
            let mut headers = Headers::default();
            headers.push(text, text.to_owned());
            headers.push(text, Bytes::from_static(b"\xff\0again"));
            headers.push("", "");
            // One key, so that the order is one.
            let key = Bytes::from_static(b"\0'key");
            sent.push(Output {
                topic: hostile.clone(),
                envelope: Envelope {
                    key,
                    payload,
                    headers,
                },
            });
        }
    }
    sent.push(Output {
        topic: hostile.clone(),
        envelope: Envelope::new(Bytes::new(), Payload::Tombstone),
    });
    bus.publish(&sent, progress(None, "a\0'b🎈")).await.unwrap();
    assert_eq!(
        bus.position("file").await.unwrap(),
        Some(Position("a\0'b🎈".to_owned()))
    );

    let group = "g\0'\"🎈";
    let mut subscription = bus.subscribe(&hostile, group).await.unwrap();
    let batch = poll_all(&mut *subscription, sent.len()).await;
    let (keyless, keyed): (Vec<_>, Vec<_>) = batch
        .messages
        .iter()
        .partition(|message| message.envelope.key.is_empty());
    assert_eq!(keyless.len(), 1);
    assert_eq!(keyless[0].partition, 0);
    for (message, sent) in keyed.into_iter().zip(&sent) {
        let (got, sent) = (&message.envelope, &sent.envelope);
        match (&got.payload, &sent.payload) {
            (Payload::Raw { bytes, reason }, Payload::Raw { bytes: wrote, .. }) => {
                assert_eq!(bytes, wrote);
                assert!(reason.contains("no Avro schema"), "{reason}");
            }
            (got, sent) => assert_eq!(got, sent),
        }
        assert_eq!((&got.key, &got.headers), (&sent.key, &sent.headers));
    }
    subscription.commit(&batch.checkpoint, &[]).await.unwrap();
    assert_eq!(total_lag(&bus, &hostile, group).await, 0);
}

#[tokio::test]
async fn a_source_moves_on_only_from_where_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("bus.db");
    let (bus, other) = (open(&path).await, open(&path).await);
    let ingest = topic("ingest");
    bus.publish(&outputs(&ingest, [1]), progress(None, "1"))
        .await
        .unwrap();
    // The same again, as after an answer that was lost, is fine and publishes nothing.
    other
        .publish(&outputs(&ingest, [1]), progress(None, "1"))
        .await
        .unwrap();
    for stale in [progress(None, "2"), progress(Some("0"), "2")] {
        let error = other
            .publish(&outputs(&ingest, [2]), stale)
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Rebalanced);
    }
    other.publish(&[], progress(Some("1"), "2")).await.unwrap();
    assert_eq!(
        bus.position("file").await.unwrap(),
        Some(Position("2".to_owned()))
    );
    assert_eq!(read_topic(&bus, &ingest).await.len(), 1);
}

#[tokio::test]
async fn an_output_that_can_never_be_published_takes_the_others_with_it() {
    let dir = tempfile::tempdir().unwrap();
    let bus = open(&dir.path().join("bus.db")).await;
    let ingest = topic("ingest");
    let mut both = outputs(&ingest, [1]);
    // One byte more than an SQLite row can hold; the pages are never touched.
    let bytes = Bytes::from(vec![0; 1_000_000_001]);
    let payload = Payload::Raw {
        bytes,
        reason: String::new(),
    };
    both.push(Output {
        topic: ingest.clone(),
        envelope: Envelope::new(Bytes::new(), payload),
    });
    let error = bus.publish(&both, None).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid, "{error:?}");
    assert!(
        bus.lag(&ingest, "any").await.unwrap().is_empty(),
        "the topic is not there either"
    );
}

#[tokio::test]
async fn a_topic_keeps_its_number_of_partitions() {
    let dir = tempfile::tempdir().unwrap();
    let bus = open(&dir.path().join("bus.db")).await;
    let wide = topic("wide");
    bus.create_topic(&wide, count(7)).await.unwrap();
    bus.create_topic(&wide, count(7)).await.unwrap();
    let error = bus.create_topic(&wide, count(8)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Misconfigured);
    bus.publish(&outputs(&wide, 0..200), None).await.unwrap();
    let partitions: Vec<i32> = bus
        .lag(&wide, "any")
        .await
        .unwrap()
        .iter()
        .map(|lag| lag.partition)
        .collect();
    assert_eq!(partitions, (0..7).collect::<Vec<_>>());
}

#[tokio::test]
async fn no_partition_waits_for_another_to_be_empty() {
    let dir = tempfile::tempdir().unwrap();
    let bus = open(&dir.path().join("bus.db")).await;
    let ingest = topic("ingest");
    bus.publish(&outputs(&ingest, 0..400), None).await.unwrap();
    let mut subscription = bus.subscribe(&ingest, "analyze").await.unwrap();
    for max in [
        Max { messages: 1, ..ALL },
        Max { bytes: 16, ..ALL },
        Max { bytes: 0, ..ALL },
    ] {
        let mut seen: BTreeMap<i32, usize> = BTreeMap::new();
        for _ in 0..4 {
            let batch = subscription.poll(max, LONG).await.unwrap();
            assert_eq!(batch.messages.len(), 1, "{max:?}");
            *seen.entry(batch.messages[0].partition).or_default() += 1;
        }
        assert_eq!(seen.len(), 4, "{max:?}: {seen:?}");
    }
    let batch = subscription
        .poll(
            Max {
                messages: 42,
                ..ALL
            },
            LONG,
        )
        .await
        .unwrap();
    assert_eq!(batch.messages.len(), 42);
    assert_eq!(batch.checkpoint.spans.len(), 4);
    for span in batch.checkpoint.spans.values() {
        assert!((10..=11).contains(&(span.end - span.start)), "{span:?}");
    }
}

#[tokio::test]
async fn a_waiting_poll_wakes_for_its_own_process_and_for_others() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("bus.db");
    let (bus, other) = (open(&path).await, open(&path).await);
    let ingest = topic("ingest");
    let mut subscription = bus.subscribe(&ingest, "analyze").await.unwrap();
    for publisher in [&bus, &other] {
        let begun = Instant::now();
        let news = outputs(&ingest, [1]);
        let (batch, published) = tokio::join!(subscription.poll(ALL, LONG), async {
            tokio::time::sleep(Duration::from_millis(100)).await;
            publisher.publish(&news, None).await
        });
        published.unwrap();
        assert_eq!(numbers(&batch.unwrap()), [1]);
        assert!(begun.elapsed() < LONG / 4, "{:?}", begun.elapsed());
    }
    let begun = Instant::now();
    assert!(subscription.poll(ALL, NONE).await.unwrap().is_empty());
    assert!(begun.elapsed() >= NONE);
    // A wait that never ends is one too.
    let forever = subscription.poll(ALL, Duration::MAX);
    tokio::time::timeout(NONE, forever).await.unwrap_err();
}

#[tokio::test]
async fn offsets_beyond_32_bits_are_only_numbers() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("bus.db");
    let ingest = topic("ingest");
    let huge = i64::MAX - 1_000;
    open(&path)
        .await
        .create_topic(&ingest, count(1))
        .await
        .unwrap();
    rusqlite::Connection::open(&path)
        .unwrap()
        .execute("UPDATE partitions SET first = ?1, next = ?1", [huge])
        .unwrap();
    let bus = open(&path).await;
    let mut subscription = bus.subscribe(&ingest, "analyze").await.unwrap();
    bus.publish(&outputs(&ingest, 0..10), None).await.unwrap();
    let batch = subscription.poll(ALL, LONG).await.unwrap();
    assert_eq!(batch.checkpoint.spans[&0], huge..huge + 10);
    subscription.commit(&batch.checkpoint, &[]).await.unwrap();
    assert_eq!(total_lag(&bus, &ingest, "analyze").await, 0);
}
