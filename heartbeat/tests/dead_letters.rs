//! `heartbeat dead-letters`
#![expect(clippy::unwrap_used, reason = "a test may stop where it stands")]

mod common;

use std::fs;
use std::path::Path;

use common::{Ran, heartbeat};
use heartbeat::sqlite::{SqliteBus, SqliteConfig};
use heartbeat::{Bus, Envelope, Keyed, Output, Payload, Topic, Tweet, TweetId};
use serde_json::{Value, json};
use tempfile::tempdir;

fn dead_letters(dir: &Path, args: &[&str]) -> Ran {
    heartbeat(dir, &[&["dead-letters"], args].concat(), b"")
}

/// All of them, in the order of their ids' text, which keeps that of a topic's partitions.
fn list(dir: &Path) -> Vec<Value> {
    let out = dead_letters(dir, &["list", "--json"]).good();
    out.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn lines_of(letters: &[Value]) -> Vec<i64> {
    let mut lines: Vec<i64> = letters
        .iter()
        .map(|letter| letter["offset"].as_i64().unwrap())
        .collect();
    lines.sort_unstable();
    lines
}

/// The ids of the posts that are stored.
fn stored(dir: &Path) -> Vec<i64> {
    let out = heartbeat(dir, &["dump", "--json"], b"").good();
    let ids = out.lines().map(|line| {
        let point: Value = serde_json::from_str(line).unwrap();
        point["id"].as_i64().unwrap()
    });
    ids.collect()
}

/// Lets what is on the bus go through.
fn drain(dir: &Path) {
    for stage in ["analyze", "transfer"] {
        heartbeat(dir, &[stage, "--until-idle", "--poll-wait", "20ms"], b"").good();
    }
}

fn post(id: i64, task: Option<&str>) -> String {
    let mut post =
        json!({"id": id.to_string(), "text": "I love it", "created_at": 1_652_073_462 + id});
    if let Some(task) = task {
        post["task"] = task.into();
    }
    post.to_string()
}

fn ingest(dir: &Path, lines: &[String]) {
    fs::write(dir.join("posts.jsonl"), lines.join("\n")).unwrap();
    heartbeat(dir, &["ingest", "--source", "jsonl:posts.jsonl"], b"").good();
}

/// Publishes messages on the bus that the program finds in `dir`.
fn publish(dir: &Path, outputs: &[Output]) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let config = SqliteConfig {
            path: dir.join("heartbeat.db"),
            ..SqliteConfig::default()
        };
        let bus = SqliteBus::open(config).await.unwrap();
        bus.publish(outputs, None).await.unwrap();
    });
}

fn raw(topic: &str, key: Vec<u8>, bytes: &'static [u8]) -> Output {
    let payload = Payload::Raw {
        bytes: bytes.into(),
        reason: String::new(),
    };
    Output {
        topic: Topic::new(topic).unwrap(),
        envelope: Envelope::new(key.into(), payload),
    }
}

#[test]
fn what_is_mended_goes_through_and_what_is_not_stays() {
    let dir = tempdir().unwrap();
    let dir = dir.path();
    // Looking makes nothing.
    let ran = dead_letters(dir, &["list"]);
    assert_eq!(ran.code, 2, "{ran:?}");
    assert!(ran.err.contains("there is no database"), "{ran:?}");
    assert_eq!(std::fs::read_dir(dir).unwrap().count(), 0);

    ingest(dir, &[]);
    let ran = dead_letters(dir, &["list"]);
    assert!(ran.err.contains("No dead letters"), "{ran:?}");
    assert_eq!(ran.good(), "");

    ingest(
        dir,
        &[post(1, Some("a")), post(2, None), "{\"id\"".to_owned()],
    );
    drain(dir);
    assert_eq!(stored(dir), [1]);

    let letters = list(dir);
    assert_eq!(lines_of(&letters), [2, 3]);
    assert!(
        letters
            .iter()
            .all(|letter| letter["stage"] == "ingest" && letter["replays"] == 0)
    );
    assert!(letters.iter().any(|letter| letter["raw"] == post(2, None)));
    let table = dead_letters(dir, &["list"]).good();
    assert!(
        table.contains("  line 2 ") && table.contains("  line 3 "),
        "{table}"
    );

    // Looking and trying change nothing.
    let trial = dead_letters(dir, &["replay", "--all", "--task", "b", "--dry-run"]).good();
    assert!(
        trial.contains("Would replay 1 dead letter, 1 failed again, 0 kept"),
        "{trial}"
    );
    assert_eq!(list(dir), letters);

    let ran = dead_letters(dir, &["replay", "--all", "--task", "b"]);
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(
        ran.out
            .contains("Replayed 1 dead letter, 1 failed again, 0 kept"),
        "{}",
        ran.out
    );
    drain(dir);
    assert_eq!(stored(dir), [1, 2]);
    assert_eq!(
        heartbeat(dir, &["dump", "--task", "b"], b"")
            .good()
            .lines()
            .count(),
        1
    );

    let letters = list(dir);
    assert_eq!(lines_of(&letters), [3]);
    assert_eq!(letters[0]["replays"], 1);
}

#[test]
fn the_task_may_come_from_the_config() {
    let dir = tempdir().unwrap();
    let dir = dir.path();
    ingest(dir, &[post(1, None)]);
    fs::write(
        dir.join("heartbeat.toml"),
        "[source]\nkind = 'jsonl'\npath = 'posts.jsonl'\ntask = 'c'\n",
    )
    .unwrap();
    dead_letters(dir, &["replay", "--all"]).good();
    assert!(list(dir).is_empty());
    drain(dir);
    assert_eq!(
        heartbeat(dir, &["dump", "--task", "c"], b"")
            .good()
            .lines()
            .count(),
        1
    );
}

#[test]
fn a_message_that_dies_again_tells_how_often_it_was_replayed() {
    let dir = tempdir().unwrap();
    let dir = dir.path();
    let key = TweetId(77).to_key().to_vec();
    publish(dir, &[raw("ingest", key, b"\xff\x1b[31m no Avro\n")]);
    drain(dir);
    let letters = list(dir);
    let id = letters[0]["id"].as_str().unwrap();
    assert_eq!(letters[0]["stage"], "analyze");
    assert_eq!(letters[0]["tweet_id"], 77);
    assert_eq!(letters[0]["raw_hex"], "ff1b5b33316d206e6f204176726f0a");

    let shown = dead_letters(dir, &["show", id]).good();
    for told in [
        id,
        "analyze",
        "invalid",
        "ingest, partition ",
        "heartbeat-analyze",
        "77",
        "\\xff\\u{1b}[31m no Avro\\n",
    ] {
        assert!(shown.contains(told), "{told} in\n{shown}");
    }
    let one: Value =
        serde_json::from_str(&dead_letters(dir, &["show", "--json", id]).good()).unwrap();
    assert_eq!(one, letters[0]);

    dead_letters(dir, &["replay", "--stage", "analyze"]).good();
    assert!(list(dir).is_empty());
    drain(dir);
    let again = list(dir);
    assert_eq!((again.len(), &again[0]["replays"]), (1, &json!(1)));
    assert_ne!(again[0]["id"], letters[0]["id"]);
}

#[test]
fn a_dead_tweet_is_shown_as_one() {
    let dir = tempdir().unwrap();
    let dir = dir.path();
    // A tweet where a sentiment should be.
    let tweet = Keyed {
        id: TweetId(5),
        value: Tweet {
            time: 0,
            content: "one\ntwo\u{1b}[2J".to_owned(),
            task: "it's \"odd\"\n".to_owned(),
        },
    };
    publish(
        dir,
        &[Output {
            topic: Topic::new("sentiment").unwrap(),
            envelope: tweet.to_envelope().unwrap(),
        }],
    );
    drain(dir);
    let letters = list(dir);
    assert_eq!(letters[0]["tweet"]["content"], "one\ntwo\u{1b}[2J");
    assert_eq!(letters[0]["topic"], "sentiment");
    let id = letters[0]["id"].as_str().unwrap();
    let shown = dead_letters(dir, &["show", id]).good();
    assert!(shown.contains("one\\ntwo\\u{1b}[2J"), "{shown}");
    assert!(shown.contains("it's \"odd\"\\n"), "{shown}");
    assert!(shown.contains("1970-01-01T00:00:00Z"), "{shown}");
}

#[test]
fn only_the_selected_ones_are_replayed_and_no_other_is_lost() {
    const LETTERS: i64 = 1300; // more than a batch
    let dir = tempdir().unwrap();
    let dir = dir.path();
    let posts: Vec<String> = (1..=LETTERS).map(|id| post(id, None)).collect();
    ingest(dir, &posts);
    let letters = list(dir);
    assert_eq!(lines_of(&letters), (1..=LETTERS).collect::<Vec<_>>());

    let id_of = |line: i64| {
        let letter = letters
            .iter()
            .find(|letter| letter["offset"] == line)
            .unwrap();
        letter["id"].as_str().unwrap().to_owned()
    };
    let (first, last) = (id_of(3), id_of(LETTERS));
    let args = ["replay", "--task", "a", "--id", &first, "--id", &last];
    let out = dead_letters(dir, &args).good();
    assert!(
        out.contains("Replayed 2 dead letters, 0 failed again, 1298 kept"),
        "{out}"
    );
    let kept = list(dir);
    let expected: Vec<i64> = (1..LETTERS).filter(|line| *line != 3).collect();
    assert_eq!(lines_of(&kept), expected);
    assert!(kept.iter().all(|letter| letter["replays"] == 0));
    drain(dir);
    assert_eq!(stored(dir), [3, LETTERS]);

    // Their ids are other letters' now, or none's.
    let ran = dead_letters(dir, &args);
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(ran.err.contains("no such dead letter"), "{}", ran.err);
    assert_eq!(list(dir), kept);

    let out = dead_letters(dir, &["replay", "--stage", "transfer"]).good();
    assert!(
        out.contains("Replayed 0 dead letters, 0 failed again, 1298 kept"),
        "{out}"
    );
    assert_eq!(list(dir), kept);

    dead_letters(dir, &["replay", "--all", "--task", "a"]).good();
    assert!(list(dir).is_empty());
    drain(dir);
    assert_eq!(stored(dir), (1..=LETTERS).collect::<Vec<_>>());
}

#[test]
fn one_topic_may_be_looked_at_alone() {
    let dir = tempdir().unwrap();
    let dir = dir.path();
    publish(dir, &[raw("sentiment", TweetId(1).to_key().to_vec(), b"x")]);
    ingest(dir, &[post(1, None)]);
    drain(dir);
    assert_eq!(list(dir).len(), 2);
    for topic in ["sentiment", "sentiment.dead"] {
        let out = dead_letters(dir, &["list", "--topic", topic, "--json"]).good();
        assert_eq!(out.lines().count(), 1);
        assert!(out.contains("\"id\":\"sentiment.dead/"), "{out}");
    }
    dead_letters(dir, &["replay", "--all", "--topic", "sentiment"]).good();
    assert_eq!(list(dir)[0]["topic"], "ingest");
}

#[test]
fn what_is_no_dead_letter_of_ours_is_kept() {
    let dir = tempdir().unwrap();
    let dir = dir.path();
    publish(
        dir,
        &[raw("ingest.dead", Vec::new(), b"left here by somebody")],
    );
    let letters = list(dir);
    assert_eq!(letters[0]["raw"], "left here by somebody");
    assert!(
        letters[0]["unreadable"]
            .as_str()
            .unwrap()
            .contains("header")
    );
    assert_eq!(dead_letters(dir, &["list"]).good().lines().count(), 2);

    assert_eq!(dead_letters(dir, &["replay", "--all"]).code, 1);
    assert_eq!(list(dir)[0]["raw"], "left here by somebody");
}

#[test]
fn what_makes_no_sense_is_refused() {
    let dir = tempdir().unwrap();
    for args in [
        &["replay"][..],
        &["replay", "--all", "--stage", "analyze"],
        &["replay", "--stage", "score"],
        &["replay", "--id", "7"],
        &["show", "ingest.dead/0"],
        &["list", "--topic", "no topic"],
        &["list", "--bus", "memory"],
    ] {
        let ran = dead_letters(dir.path(), args);
        assert_eq!(ran.code, 2, "{args:?}: {ran:?}");
    }
    ingest(dir.path(), &[]);
    let ran = dead_letters(dir.path(), &["show", "ingest.dead/0/7"]);
    assert_eq!(ran.code, 1, "{ran:?}");
}
