//! The scores are those of Python's vaderSentiment 3.3.2.
//!
//! `sentences.jsonl` holds what Python said of some sentences. With `HEARTBEAT_TWEETS` (JSON lines with
//! a `text`) and `HEARTBEAT_PYTHON` (a Python that has the package) it is asked about those tweets too;
//! `HEARTBEAT_REQUIRE_DATA` makes it an error that they are not there.

use std::env;
use std::fs::File;
use std::path::Path;
use std::process::{Command, Stdio};

use heartbeat_core::{Analyzer, Label, Scores};
use heartbeat_vader::VaderAnalyzer;
use serde_json::Value;

/// A text and what Python says of it.
struct Scored {
    text: String,
    neg: f64,
    neu: f64,
    pos: f64,
    compound: f64,
}

fn parse(lines: &str) -> Vec<Scored> {
    let number = |line: &Value, field: &str| line[field].as_f64().expect("a number");
    lines
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .map(|line: Value| Scored {
            text: line["text"].as_str().expect("a text").to_owned(),
            neg: number(&line, "neg"),
            neu: number(&line, "neu"),
            pos: number(&line, "pos"),
            compound: number(&line, "compound"),
        })
        .collect()
}

fn ask_python(python: &Path, tweets: &Path) -> Vec<Scored> {
    let answer = Command::new(python)
        .arg(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/tests/parity/score.py"
        ))
        .stdin(File::open(tweets).expect("the tweets"))
        .stderr(Stdio::inherit())
        .output()
        .expect("Python starts");
    assert!(answer.status.success(), "Python failed");
    parse(&String::from_utf8(answer.stdout).expect("UTF-8"))
}

async fn assert_parity(expected: &[Scored]) {
    let texts: Vec<&str> = expected.iter().map(|it| it.text.as_str()).collect();
    let scores = VaderAnalyzer::new().analyze(&texts).await.expect("scores");
    assert_eq!(scores.len(), expected.len());
    for (scores, python) in scores.iter().zip(expected) {
        assert!(scores.checked().is_ok(), "{scores:?}");
        assert_eq!(
            [scores.neg, scores.neu, scores.pos].map(thousandths),
            shares(python),
            "{scores:?} of {:?}",
            python.text
        );
        assert_eq!(
            scores.label,
            label(python.compound),
            "label of {:?}",
            python.text
        );
    }
}

fn thousandths(share: f32) -> i64 {
    (f64::from(share) * 1000.0).round() as i64
}

/// Python's shares, but what has no words at all is neutral here, where Python gives no share to any.
fn shares(python: &Scored) -> [i64; 3] {
    match [python.neg, python.neu, python.pos].map(|share| (share * 1000.0).round() as i64) {
        [0, 0, 0] => [0, 1000, 0],
        shares => shares,
    }
}

fn label(compound: f64) -> Label {
    match compound {
        0.05.. => Label::Positive,
        ..=-0.05 => Label::Negative,
        _ => Label::Neutral,
    }
}

#[tokio::test]
async fn texts_score_as_in_python() {
    assert_parity(&parse(include_str!("sentences.jsonl"))).await;

    let path = |name| env::var_os(name).map(std::path::PathBuf::from);
    if let (Some(tweets), Some(python)) = (path("HEARTBEAT_TWEETS"), path("HEARTBEAT_PYTHON")) {
        let expected = ask_python(&python, &tweets);
        assert!(expected.len() >= 1000, "only {} tweets", expected.len());
        assert_parity(&expected).await;
    } else {
        let required = env::var_os("HEARTBEAT_REQUIRE_DATA").is_some();
        assert!(
            !required,
            "HEARTBEAT_TWEETS and HEARTBEAT_PYTHON are not both set"
        );
    }
}

/// 3 of 2,000 and 1,997 of 2,000 both lie half-way between two thousandths.
#[test]
fn two_shares_at_a_tie_still_sum_to_one() {
    let text = format!("sweet{}", " table".repeat(1997));
    let scores: Scores = VaderAnalyzer::new().score(&text);
    assert!(scores.checked().is_ok(), "{scores:?}");
    assert_eq!(scores.neg, 0.0);
}
