//! `heartbeat dump`
#![expect(clippy::unwrap_used, reason = "a test may stop where it stands")]

mod common;

use std::path::Path;

use common::heartbeat;
use heartbeat::sqlite::{SqliteStore, SqliteStoreConfig};
use heartbeat::{Keyed, Sentiment, Store, TweetId};
use tempfile::tempdir;

/// A task's name that would do harm where it is written as it is.
const ODD: &str = "it's \"odd\"\n\u{1b}[31m";

fn point(id: i64, task: &str, time: i32, [pos, neu, neg]: [f32; 3]) -> Keyed<Sentiment> {
    Keyed {
        id: TweetId(id),
        value: Sentiment {
            time,
            task: task.to_owned(),
            pos,
            neu,
            neg,
        },
    }
}

/// Fills the store that the program finds in `dir`.
fn fill(dir: &Path, points: &[Keyed<Sentiment>]) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let config = SqliteStoreConfig {
            path: dir.join("heartbeat.db"),
            ..SqliteStoreConfig::default()
        };
        let store = SqliteStore::open(config).await.unwrap();
        let report = store.write(points).await.unwrap();
        assert!(report.refused.is_empty());
    });
}

#[test]
fn points_come_as_the_notebook_prints_them() {
    let dir = tempdir().unwrap();
    let points = [
        point(9, ODD, 1_652_073_470, [0.0, 1.0, 0.0]),
        point(1783, "RU-UKR", 1_652_073_462, [0.02, 0.83, 0.15]),
    ];
    fill(dir.path(), &points);
    let out = heartbeat(dir.path(), &["dump"], b"").good();
    assert_eq!(
        out,
        "0) [1783, 'RU-UKR', 1652073462, 0.02, 0.83, 0.15]\n\
         1) [9, 'it\\'s \"odd\"\\n\\x1b[31m', 1652073470, 0.0, 1.0, 0.0]\n"
    );
    let out = heartbeat(dir.path(), &["dump", "--json", "--task", ODD], b"").good();
    assert_eq!(
        out,
        "{\"id\":9,\"task\":\"it's \\\"odd\\\"\\n\\u001b[31m\",\"time\":1652073470,\
         \"pos\":0.0,\"neu\":1.0,\"neg\":0.0}\n"
    );
}

#[test]
fn all_pages_come_in_order_and_each_point_once() {
    let dir = tempdir().unwrap();
    // Many points in each second, so that pages end within one.
    let points: Vec<_> = (0..2500)
        .map(|id| point(id, "t", (id / 700) as i32, [0.0, 1.0, 0.0]))
        .collect();
    fill(dir.path(), &points);
    let numbers = |flags: &[&str]| -> Vec<i64> {
        let out = heartbeat(dir.path(), &[&["dump", "--json"], flags].concat(), b"").good();
        let ids = out.lines().map(|line| {
            let line: serde_json::Value = serde_json::from_str(line).unwrap();
            line["id"].as_i64().unwrap()
        });
        ids.collect()
    };
    assert_eq!(numbers(&[]), (0..2500).collect::<Vec<_>>());
    assert_eq!(numbers(&["--limit", "1500"]), (0..1500).collect::<Vec<_>>());
    assert_eq!(numbers(&["--limit", "0"]), [0; 0]);
    assert_eq!(
        numbers(&["--from", "1", "--to", "3", "--limit", "3"]),
        [700, 701, 702]
    );
    assert_eq!(
        numbers(&["--from", "1970-01-01T00:00:03Z"]),
        (2100..2500).collect::<Vec<_>>()
    );
    assert_eq!(numbers(&["--task", "another"]), [0; 0]);
}

#[test]
fn windows_have_counts_and_means() {
    let dir = tempdir().unwrap();
    fill(
        dir.path(),
        &[
            point(1, "a", -30, [1.0, 0.0, 0.0]),
            point(2, "a", 0, [0.5, 0.25, 0.25]),
            point(3, "a", 59, [0.0, 0.25, 0.75]),
            point(4, ODD, 10, [0.0, 1.0, 0.0]),
            point(5, "a", 150, [0.0, 1.0, 0.0]),
        ],
    );
    let dump = |flags: &[&str]| {
        heartbeat(
            dir.path(),
            &[&["dump", "--every", "1m", "--task", "a"], flags].concat(),
            b"",
        )
    };
    assert_eq!(
        dump(&["--json"]).good(),
        "{\"start\":-60,\"task\":\"a\",\"count\":1,\"pos\":1.0,\"neu\":0.0,\"neg\":0.0}\n\
         {\"start\":0,\"task\":\"a\",\"count\":2,\"pos\":0.25,\"neu\":0.25,\"neg\":0.5}\n\
         {\"start\":120,\"task\":\"a\",\"count\":1,\"pos\":0.0,\"neu\":1.0,\"neg\":0.0}\n"
    );
    assert_eq!(
        dump(&["--from", "0", "--to", "60"]).good(),
        "START                 TASK      COUNT    POS    NEU    NEG     NET\n\
         1970-01-01T00:00:00Z  a             2  0.250  0.250  0.500  -0.250\n"
    );
    let all = heartbeat(dir.path(), &["dump", "--every", "1h"], b"").good();
    assert!(all.contains("it's \"odd\"\\n\\u{1b}[31m  "), "{all}");
    assert_eq!(dump(&["--limit", "1", "--json"]).good().lines().count(), 1);
}

#[test]
fn what_makes_no_sense_is_refused() {
    let dir = tempdir().unwrap();
    for flags in [
        ["--every", "0s"],
        ["--every", "1500ms"],
        ["--every", "soon"],
        ["--from", "yesterday"],
        ["--to", "2100-01-01T00:00:00Z"],
        ["--store", "memory"],
    ] {
        let ran = heartbeat(dir.path(), &[&["dump"][..], &flags].concat(), b"");
        assert_eq!(ran.code, 2, "{flags:?}: {ran:?}");
        assert!(!ran.err.is_empty());
    }
}
