//! `heartbeat eval`
#![expect(clippy::unwrap_used, reason = "a test may stop where it stands")]

mod common;

use std::fs;
use std::path::Path;

use common::{Ran, heartbeat};
use serde_json::{Value, json};
use tempfile::{TempDir, tempdir};

/// Truths and texts that VADER finds negative (hate), neutral (table) or positive (love): a confusion
/// matrix of [2 0 1], [1 1 0], [0 0 3].
const ROWS: [(&str, &str); 8] = [
    ("negative", "I hate it"),
    ("negative", "hate hate"),
    ("negative", "I love it, not"),
    ("neutral", "I hate tables"),
    ("neutral", "a table"),
    ("positive", "I love it"),
    ("positive", "love tables"),
    ("positive", "love love"),
];

fn file(text: impl AsRef<[u8]>) -> TempDir {
    let dir = tempdir().unwrap();
    fs::write(dir.path().join("rows"), text).unwrap();
    dir
}

fn jsonl() -> String {
    let rows = ROWS.map(|(label, text)| json!({"text": text, "label": label}).to_string() + "\n");
    rows.concat()
}

fn eval(dir: &Path, flags: &[&str]) -> Ran {
    heartbeat(dir, &[&["eval", "rows"], flags].concat(), b"")
}

fn report(dir: &Path, flags: &[&str]) -> Value {
    let out = eval(dir, &[&["--json"], flags].concat()).good();
    serde_json::from_str(&out).unwrap()
}

fn near(value: &Value, expected: f64) {
    let value = value.as_f64().expect("a number");
    assert!((value - expected).abs() < 1e-9, "{value} is not {expected}");
}

#[test]
fn numbers_are_those_worked_out_by_hand() {
    let dir = file(jsonl());
    let report = report(dir.path(), &[]);
    assert_eq!(report["texts"], 8);
    assert_eq!(
        report["confusion"],
        json!([[2, 0, 1], [1, 1, 0], [0, 0, 3]])
    );
    near(&report["accuracy"], 6.0 / 8.0);
    near(&report["macro_recall"], (2.0 / 3.0 + 0.5 + 1.0) / 3.0);
    near(
        &report["macro_f1"],
        (4.0 / 6.0 + 2.0 / 3.0 + 6.0 / 7.0) / 3.0,
    );
    near(&report["classes"]["positive"]["precision"], 0.75);
    near(&report["classes"]["negative"]["recall"], 2.0 / 3.0);
    assert!(report["texts_per_second"].as_f64().unwrap() > 0.0);
}

#[test]
fn the_table_has_them_all() {
    let dir = file(jsonl());
    let out = eval(dir.path(), &[]).good();
    let words: Vec<Vec<&str>> = out
        .lines()
        .map(|line| line.split_whitespace().collect())
        .collect();
    for row in [
        vec!["accuracy", "0.750"],
        vec!["macro", "recall", "0.722"],
        vec!["macro", "F1", "0.730"],
        vec!["negative", "0.667", "0.667", "0.667", "3"],
        vec!["negative", "2", "0", "1"],
    ] {
        assert!(words.contains(&row), "{row:?} in\n{out}");
    }
}

#[test]
fn a_valence_is_neutral_near_zero() {
    // As VADER's ground truth is written.
    let dir = file("1\t0.5\ta table\n2\t0.6\ta table\n3\t-0.6\tI hate it\n");
    assert_eq!(
        report(dir.path(), &[])["confusion"],
        json!([[1, 0, 0], [0, 1, 0], [0, 1, 0]])
    );
    let wider = report(dir.path(), &["--neutral-within", "1"]);
    assert_eq!(wider["confusion"], json!([[0, 0, 0], [1, 2, 0], [0, 0, 0]]));
    assert_eq!(wider["absent"], json!(["negative", "positive"]));
    near(&wider["macro_recall"], 2.0 / 3.0);
}

#[test]
fn the_gate_closes_below_its_bound() {
    let dir = file(jsonl());
    eval(dir.path(), &["--min-macro-recall", "0.72"]).good();
    let ran = eval(dir.path(), &["--min-macro-recall", "0.73"]);
    assert_eq!(ran.code, 1);
    assert!(ran.out.contains("macro recall"), "{}", ran.out);
    assert!(
        ran.err.contains("0.7222") && ran.err.contains("0.73"),
        "{}",
        ran.err
    );
}

#[test]
fn bad_rows_are_told_and_left_out() {
    let mut rows = jsonl().into_bytes();
    rows.extend(b"{\"text\": \"no truth\"}\n\xff\n\n");
    rows.extend(b"{\n".repeat(10));
    let dir = file(rows);
    let ran = eval(dir.path(), &["--json"]);
    assert!(
        ran.err.contains("line 9") && ran.err.contains("line 10"),
        "{}",
        ran.err
    );
    assert!(
        ran.err.contains("line 14") && !ran.err.contains("line 15"),
        "{}",
        ran.err
    );
    let report: Value = serde_json::from_str(&ran.good()).unwrap();
    assert_eq!(
        (&report["texts"], &report["bad_rows"]),
        (&json!(8), &json!(12))
    );
}

#[test]
fn a_file_without_a_good_row_is_an_error() {
    for rows in ["", "\n\n", "text\tlabel\n", "no columns\nat all\n"] {
        let ran = eval(file(rows).path(), &[]);
        assert_eq!(ran.code, 1, "{rows:?}: {ran:?}");
        assert!(ran.err.contains("no labelled text"), "{}", ran.err);
    }
    let ran = eval(tempdir().unwrap().path(), &[]);
    assert_eq!(ran.code, 2);
    assert!(ran.err.contains("rows"), "{}", ran.err);
}
