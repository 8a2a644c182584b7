//! The main job, end to end: a file of tweets becomes points with the scores that VADER gives in Python.
//!
//! `cargo xtask test` gives it the real tweets (`HEARTBEAT_TWEETS`) and the Python to ask (`HEARTBEAT_PYTHON`).
//! Without, it makes tweets of its own and asks the library.

mod common;

use std::collections::BTreeMap;
use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use common::heartbeat;
use heartbeat::mock::{FakeConfig, FakeSource};
use heartbeat::vader::VaderAnalyzer;
use heartbeat::{Analyzer, Source};
use serde_json::{Value, json};

/// Writes the id and the scores of each line of its input file.
const PYTHON: &str = r"
import json, sys
from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer
analyzer = SentimentIntensityAnalyzer()
for line in open(sys.argv[1], encoding='utf-8'):
    tweet = json.loads(line)
    scores = analyzer.polarity_scores(tweet['text'])
    print(json.dumps({'id': int(tweet['id']), **scores}))
";

/// In thousandths: negative, neutral, positive.
type Shares = [i64; 3];

fn shares(scores: &Value) -> Shares {
    ["neg", "neu", "pos"]
        .map(|share| (scores[share].as_f64().expect("a share") * 1000.0).round() as i64)
}

fn by_id(lines: &str) -> BTreeMap<i64, Shares> {
    lines
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .map(|line: Value| (line["id"].as_i64().expect("an id"), shares(&line)))
        .collect()
}

/// The file of tweets, and the scores that each should get.
async fn tweets(dir: &Path) -> (PathBuf, BTreeMap<i64, Shares>) {
    match (
        env::var_os("HEARTBEAT_TWEETS"),
        env::var_os("HEARTBEAT_PYTHON"),
    ) {
        (Some(tweets), Some(python)) => {
            let asked = Command::new(python)
                .args(["-c", PYTHON])
                .arg(&tweets)
                .output();
            let asked = asked.expect("Python starts");
            assert!(
                asked.status.success(),
                "{}",
                String::from_utf8_lossy(&asked.stderr)
            );
            let mut scores = by_id(&String::from_utf8(asked.stdout).expect("UTF-8"));
            for shares in scores.values_mut().filter(|shares| **shares == [0; 3]) {
                // Python gives no share to any where there is no word; here that is neutral.
                *shares = [0, 1000, 0];
            }
            (tweets.into(), scores)
        }
        _ => {
            assert!(
                env::var_os("HEARTBEAT_REQUIRE_DATA").is_none(),
                "the real tweets are required"
            );
            made_up(dir).await
        }
    }
}

async fn made_up(dir: &Path) -> (PathBuf, BTreeMap<i64, Shares>) {
    let config = FakeConfig {
        seed: Some(1),
        count: Some(500),
        rate: 0.0,
        ..FakeConfig::default()
    };
    let mut source = FakeSource::new(config).expect("a source");
    let batch = source.next_batch(500).await.expect("posts").expect("posts");
    let (mut lines, mut scores) = (String::new(), BTreeMap::new());
    for tweet in batch.tweets {
        let line = json!({"id": tweet.id.to_string(), "text": tweet.value.content,
            "created_at": tweet.value.time, "task": tweet.value.task});
        lines += &format!("{line}\n");
        let scored = VaderAnalyzer::new().analyze(&[&tweet.value.content]).await;
        scores.insert(tweet.id.0, shares(&json!(scored.expect("scores")[0])));
    }
    let path = dir.join("tweets.jsonl");
    std::fs::write(&path, lines).expect("written");
    (path, scores)
}

#[tokio::test]
async fn every_tweet_is_one_point_with_its_scores_however_often_the_file_is_read() {
    let dir = tempfile::tempdir().expect("a folder");
    let (path, expected) = tweets(dir.path()).await;
    let source = format!("jsonl:{}", path.display());
    let total = expected.len();
    for (from_start, read) in [(None, total), (None, 0), (Some("--from-start"), total)] {
        let mut args = vec!["run", "--source", &source, "--until-idle", "--json"];
        args.extend(from_start);
        let done: Value =
            serde_json::from_str(&heartbeat(dir.path(), &args, b"").good()).expect("JSON");
        assert_eq!(done["read"], read, "{done}");
        assert_eq!(done["stored"], read, "{done}");
        assert_eq!(done["dead_letters"], 0, "{done}");

        let dump = heartbeat(dir.path(), &["dump", "--json"], b"").good();
        assert_eq!(dump.lines().count(), total);
        let stored = by_id(&dump);
        for (id, shares) in &expected {
            assert_eq!(stored.get(id), Some(shares), "tweet {id}");
        }
    }
    if env::var_os("HEARTBEAT_TWEETS").is_some() {
        assert_eval_agrees(dir.path(), &path.display().to_string());
    }
}

/// Agrees with the people who rated the tweets just as much as Python's package does.
fn assert_eval_agrees(dir: &Path, tweets: &str) {
    let gate = |least| ["eval", tweets, "--json", "--min-macro-recall", least];
    let report = heartbeat(dir, &gate("0.7"), b"").good();
    let report: Value = serde_json::from_str(&report).expect("JSON");
    assert_eq!(report["texts"], 4200, "{report}");
    for (measure, python) in [("accuracy", 0.808), ("macro_recall", 0.703)] {
        let ours = report[measure].as_f64().expect("a number");
        assert!(
            (ours - python).abs() < 0.0005,
            "{measure}: {ours} is not {python}"
        );
    }
    let missed = heartbeat(dir, &gate("0.71"), b"");
    assert_eq!(missed.code, 1, "{missed:?}");
    assert!(missed.err.contains("0.71"), "{missed:?}");
}
