//! Messages of every bad kind on the topic of tweets: each becomes a dead letter that says what is wrong with it, and the
//! rest goes through.

use std::collections::BTreeMap;
use std::time::Duration;

use heartbeat::{DeadLetter, Keyed, Message, Payload, Record, Sentiment, Stage, Tweet, TweetId};
use serde_json::{Value, json};

use crate::python::{SENTIMENT, TWEET};
use crate::world::{Making, World};

const PATIENCE: Duration = Duration::from_secs(60);
const TIME: i32 = 1_652_073_462;

/// Schemas that newer programs may write tweets with.
const NEWER: [&str; 3] = [
    // One more field.
    r#"{"type":"record","namespace":"heartbeat","name":"tweet","fields":[{"name":"time","type":"int"},{"name":"content","type":"string"},{"name":"task","type":"string"},{"name":"lang","type":"string","default":"en"}]}"#,
    // A longer time.
    r#"{"type":"record","namespace":"heartbeat","name":"tweet","fields":[{"name":"time","type":{"type":"long","logicalType":"timestamp-millis"}},{"name":"content","type":"string"},{"name":"task","type":"string"}]}"#,
    // Another name, which tells the old one.
    r#"{"type":"record","namespace":"heartbeat","name":"tweet","fields":[{"name":"time","type":"int"},{"name":"text","aliases":["content"],"type":"string"},{"name":"task","type":"string"}]}"#,
];

/// A tweet's datum in the frame of that schema.
fn framed(id: u32, content: &str) -> Vec<u8> {
    let tweet = Tweet {
        time: TIME,
        content: content.to_owned(),
        task: "t".to_owned(),
    };
    let datum = Tweet::codec().encode(&tweet).expect("it fits");
    [&[0], &id.to_be_bytes()[..], &datum].concat()
}

fn key(number: i64) -> String {
    hex(&TweetId(number).to_key())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn value(message: &Message) -> &[u8] {
    match &message.envelope.payload {
        Payload::Raw { bytes, .. } => bytes,
        Payload::Avro { datum, .. } => datum,
        Payload::Tombstone => &[],
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_bad_message_is_a_dead_letter_and_the_rest_goes_through() {
    let world = World::new(Making {
        // Several batches of them.
        batch: 4,
        ..Making::shared()
    })
    .await;
    let python = world.python();
    let ingest = world.topics.ingest.as_str();
    python.run(&["configure", ingest, "max.message.bytes=8388608"], &[]);
    let tweet = python.register(&world.topics.ingest, TWEET);
    let huge = vec![b'x'; 5 << 20];

    // The key, the value and what its dead letter says.
    let unknown = u32::MAX >> 1;
    let bad: Vec<(String, Vec<u8>, String)> = vec![
        (
            key(1),
            b"abc".to_vec(),
            "3 bytes are too short for the frame of an Avro message".to_owned(),
        ),
        (
            key(2),
            framed(unknown, "good"),
            format!("the registry has no schema {unknown}"),
        ),
        (
            key(3),
            framed(tweet, "cut short")[..12].to_vec(),
            "the Avro datum cannot be read (record Tweet): Failed to read bytes: failed to fill whole buffer"
                .to_owned(),
        ),
        (
            hex(b"abc"),
            framed(tweet, "a key of text"),
            "a key is 8 or 4 bytes, big-endian (bytes 3)".to_owned(),
        ),
        (
            key(4),
            huge.clone(),
            "not the frame of an Avro message: it begins with byte 0x78, not with 0".to_owned(),
        ),
    ];
    let mut raw = vec![json!({"key": key(5), "value": Value::Null})];
    let mut good: Vec<i64> = Vec::new();
    for (index, (key_of_bad, value, _)) in (100..).zip(&bad) {
        raw.push(json!({"key": key_of_bad, "value": hex(value)}));
        raw.push(json!({"key": key(index), "value": hex(&framed(tweet, "good news"))}));
        good.push(index);
    }
    let places = python.run(&["produce", ingest], &raw);
    assert_eq!(places.len(), raw.len());
    let mut expected: BTreeMap<(i64, i64), (&str, &[u8], &str)> = BTreeMap::new();
    let place = |told: &Value| {
        let number = |name: &str| told[name].as_i64().expect("a number");
        (number("partition"), number("offset"))
    };
    for (told, (key, value, reason)) in places.iter().skip(1).step_by(2).zip(&bad) {
        expected.insert(place(told), (key, value, reason));
    }

    for (id, schema) in (200..).zip(NEWER) {
        let text = if schema.contains("aliases") {
            "text"
        } else {
            "content"
        };
        let mut value = json!({"time": TIME, "task": "t", text: "good news"});
        if schema.contains("lang") {
            value["lang"] = "en".into();
        }
        let line = json!({"key": id, "width": 8, "value": value});
        python.run(&["write", ingest, schema], &[line]);
        good.push(id);
    }
    let sentiment = json!({"key": 6, "width": 8, "value": {"time": TIME, "task": "t", "pos": 1.0, "neu": 0.0, "neg": 0.0}});
    let told = python.run(&["write", ingest, SENTIMENT.trim_end()], &[sentiment]);
    let sixth = key(6);
    expected.insert(
        place(&told[0]),
        (
            &sixth,
            &[],
            "the message is another record (record Tweet, writer heartbeat.sentiment)",
        ),
    );

    let analyze = world.start("analyze", &["analyze", "--until-idle"]);
    let done = analyze.end(PATIENCE).await;
    assert_eq!(done["scored"], good.len(), "{}", world.logs());
    assert_eq!(done["dead_letters"], expected.len(), "{}", world.logs());
    let group = world.group("analyze");
    assert_eq!(world.lag(&world.topics.ingest, &group).await, 0);

    let mut scored = Vec::new();
    for message in world.read(&world.topics.sentiment).await {
        let read = Keyed::<Sentiment>::from_message(&message).expect("a sentiment");
        let Keyed { id, value } = read.expect("a sentiment");
        assert_eq!((value.time, value.task.as_str()), (TIME, "t"), "{id}");
        assert!(value.pos > 0.5, "{id}: {value:?}");
        scored.push(id.0);
    }
    scored.sort_unstable();
    assert_eq!(scored, good);

    for message in world.read(&world.topics.ingest.dead_letters()).await {
        let letter = DeadLetter::from_message(&message).expect("a dead letter");
        let place = (letter.partition.into(), letter.offset);
        let (key, original, reason) = expected.remove(&place).expect("one of the bad ones");
        assert_eq!(letter.error, reason);
        assert_eq!(letter.stage, Stage::Analyze);
        assert_eq!(
            (letter.topic.as_str(), letter.reader.as_str()),
            (ingest, &*group)
        );
        assert_eq!(hex(&letter.envelope.key), key, "{reason}");
        let kept = value(&message);
        if original.len() > huge.len() / 2 {
            // Larger than that topic takes.
            assert!(
                original.starts_with(kept) && kept.len() >= 1024,
                "{}",
                kept.len()
            );
        } else if !original.is_empty() {
            assert!(original.ends_with(kept), "{reason}: {kept:x?}");
        }
    }
    assert!(expected.is_empty(), "no dead letter of {expected:?}");
}
