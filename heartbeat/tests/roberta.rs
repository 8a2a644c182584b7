//! A RoBERTa model in the program: `--analyzer roberta:MODEL`
//!
//! `cargo xtask test` gives it the real tweets (`HEARTBEAT_TWEETS`); without, it makes some of its own.
#![expect(clippy::unwrap_used, reason = "a test may stop where it stands")]

mod common;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{Read, Write as _};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::{env, fs, thread};

use common::{Ran, command, heartbeat};
use serde_json::{Value, json};
use tempfile::{TempDir, tempdir};

/// What the small model is checked with, and another model to copy from.
const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../heartbeat-torch/fixtures");

/// Shares negative, neutral and positive.
type Shares = [f64; 3];

fn shares(scores: &Value) -> Shares {
    ["neg", "neu", "pos"].map(|share| scores[share].as_f64().unwrap())
}

fn values(lines: &str) -> Vec<Value> {
    lines
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// The file of tweets, and each tweet's id and text.
fn tweets(dir: &Path) -> (PathBuf, BTreeMap<i64, String>) {
    let path = env::var_os("HEARTBEAT_TWEETS").map_or_else(|| made_up(dir), PathBuf::from);
    let tweets = values(&fs::read_to_string(&path).unwrap());
    let tweets = tweets.iter().map(|tweet| {
        let text = |field: &str| tweet[field].as_str().unwrap().to_owned();
        (text("id").parse().unwrap(), text("text"))
    });
    (path, tweets.collect())
}

fn made_up(dir: &Path) -> PathBuf {
    assert!(
        env::var_os("HEARTBEAT_REQUIRE_DATA").is_none(),
        "the real tweets are required"
    );
    let moods = ["a lovely day", "a terrible day", "a day"];
    let mut lines = String::new();
    for id in 1..=300 {
        let text = format!("@someone {} {}", "it was ".repeat(id % 7), moods[id % 3]);
        let tweet = json!({"id": id.to_string(), "text": text, "created_at": 1_652_073_462 + id, "task": "T"});
        writeln!(lines, "{tweet}").unwrap();
    }
    let path = dir.join("tweets.jsonl");
    fs::write(&path, lines).unwrap();
    path
}

/// Scores texts by `heartbeat score --json`.
fn score(dir: &Path, texts: impl IntoIterator<Item = String>, flags: &[&str]) -> Vec<Value> {
    let mut input = String::new();
    for text in texts {
        writeln!(input, "{}", text.replace(['\n', '\r'], " ")).unwrap();
    }
    let score = ["score", "--json", "--analyzer", "roberta:small"];
    let args = [&score[..], &["--threads", "1"], flags].concat();
    let ran = heartbeat(dir, &args, input.as_bytes());
    assert_eq!(ran.err, "", "nobody watches");
    values(&ran.good())
}

#[test]
fn every_tweet_is_one_point_with_the_models_scores_and_the_next_run_reads_nothing() {
    let dir = tempdir().unwrap();
    let (path, tweets) = tweets(dir.path());
    let source = format!("jsonl:{}", path.display());
    let args = [
        "run",
        "--source",
        &source,
        "--analyzer",
        "roberta:small",
        "--until-idle",
        "--json",
    ];
    for read in [tweets.len(), 0] {
        let ran = heartbeat(dir.path(), &args, b"");
        assert!(ran.err.contains("Loaded the model"), "{}", ran.err);
        let done: Value = serde_json::from_str(&ran.good()).unwrap();
        let counts = ["read", "scored", "stored", "dead_letters"].map(|count| &done[count]);
        assert_eq!(counts, [read, read, read, 0], "{done}");
    }

    let stored = values(&heartbeat(dir.path(), &["dump", "--json"], b"").good());
    let stored: BTreeMap<i64, Shares> = stored
        .iter()
        .map(|point| (point["id"].as_i64().unwrap(), shares(point)))
        .collect();
    assert!(stored.keys().eq(tweets.keys()), "every tweet, once");
    let scored = score(dir.path(), tweets.into_values(), &[]);
    for ((id, stored), scored) in stored.iter().zip(&scored) {
        for (stored, scored) in stored.iter().zip(shares(scored)) {
            assert!((stored - scored).abs() < 2e-5, "{id}: {scored}");
        }
    }

    if env::var_os("HEARTBEAT_TWEETS").is_some() {
        // Most of them taught the model, so this tells that it is read right, not how good it is.
        let tweets = path.display().to_string();
        let args = ["eval", &tweets, "--json", "--analyzer", "roberta:small"];
        let report: Value =
            serde_json::from_str(&heartbeat(dir.path(), &args, b"").good()).unwrap();
        assert_eq!(report["texts"], 4200, "{report}");
        for (measure, least) in [("accuracy", 0.8), ("macro_recall", 0.75)] {
            assert!(report[measure].as_f64().unwrap() > least, "{report}");
        }
    }
}

#[test]
fn int8_agrees_with_fp32() {
    let dir = tempdir().unwrap();
    let (_, tweets) = tweets(dir.path());
    let [exact, quick] = ["fp32", "int8"].map(|precision| {
        let texts = tweets.values().cloned();
        score(dir.path(), texts, &["--precision", precision])
    });
    assert_ne!(exact, quick, "the flag does something");
    let (mut agree, mut off) = (0.0, 0.0);
    for (exact, quick) in exact.iter().zip(&quick) {
        agree += f64::from(u8::from(exact["label"] == quick["label"]));
        off += shares(exact)
            .iter()
            .zip(shares(quick))
            .map(|(exact, quick)| (exact - quick).abs() / 3.0)
            .sum::<f64>();
    }
    let count = exact.len() as f64;
    assert!(agree / count >= 0.995, "labels agree in {agree} of {count}");
    assert!(off / count < 0.01, "mean difference {}", off / count);
}

#[test]
fn a_stage_of_its_own_scores_with_the_model_of_the_config() {
    let dir = tempdir().unwrap();
    let config = format!(
        "[analyzer]\nkind = 'roberta'\nmodel = '{FIXTURES}/small'\nprecision = 'int8'\nhub.offline = true\n"
    );
    fs::write(dir.path().join("heartbeat.toml"), config).unwrap();
    let stage = |args: &[&str]| {
        let out = heartbeat(
            dir.path(),
            &[args, &["--until-idle", "--json"]].concat(),
            b"",
        )
        .good();
        serde_json::from_str::<Value>(&out).unwrap()
    };
    let posts = stage(&["ingest", "--seed", "1", "--count", "40", "--rate", "0"]);
    assert_eq!(posts["published"], 40);
    let scored = stage(&["analyze", "--poll-wait", "50ms"]);
    assert_eq!(scored["scored"], 40, "{scored}");
}

#[test]
fn check_tells_what_was_loaded() {
    let dir = tempdir().unwrap();
    let flags = ["--device", "cpu", "--precision", "int8", "--threads", "1"];
    let args = [&["check", "--analyzer", "roberta:small"], &flags[..]].concat();
    let out = heartbeat(dir.path(), &args, b"").good();
    let line = out.lines().find(|line| line.contains("analyzer")).unwrap();
    assert!(
        line.starts_with("✓ analyzer roberta:small: finds “What a lovely day!” positive; "),
        "{line}"
    );
    assert!(
        line.contains(" million parameters, int8 on cpu, 1 thread, loaded in "),
        "{line}"
    );
}

/// Scores a text with whatever `args` say.
fn refused(dir: &Path, args: &[&str]) -> Ran {
    let ran = heartbeat(dir, &[&["score", "a text"], args].concat(), b"");
    assert_eq!(ran.code, 2, "{ran:?}");
    assert_eq!(ran.out, "", "no score all the same");
    ran
}

#[test]
fn what_cannot_work_is_told_with_what_to_do() {
    let dir = tempdir().unwrap();
    for (args, told) in [
        (
            &["--analyzer", "roberta:./no/such"][..],
            "neither a folder nor the id of a repository",
        ),
        (
            &["--analyzer", "roberta:not an id"],
            "Give the path of a folder that exists",
        ),
        (&["--analyzer", "roberta:"], "does not end at its colon"),
        (
            &["--analyzer", "roberta:small", "--device", "cuda:99"],
            "no such CUDA device (device cuda:99",
        ),
        (
            &["--analyzer", "roberta:small", "--device", "gpu"],
            "`cpu` or `cuda:N`",
        ),
        (
            &["--analyzer", "roberta:small", "--precision", "fp8"],
            "[possible values: fp32, bf16, int8]",
        ),
        (
            &["--analyzer", "roberta:small", "--threads", "0"],
            "'--threads <THREADS>'",
        ),
        (
            &["--analyzer", "vader", "--device", "cpu"],
            "for RoBERTa models (analyzer vader). Leave them out",
        ),
        (&["--analyzer", "robert:small"], "Did you mean `roberta`?"),
    ] {
        let ran = refused(dir.path(), args);
        assert!(ran.err.contains(told), "{args:?}: {}", ran.err);
    }
}

/// A folder with the small model, its configuration changed.
fn model(change: impl FnOnce(&mut Value)) -> TempDir {
    let dir = tempdir().unwrap();
    for file in ["model.safetensors", "tokenizer.json", "config.json"] {
        fs::copy(format!("{FIXTURES}/small/{file}"), dir.path().join(file)).unwrap();
    }
    let path = dir.path().join("config.json");
    let mut config = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
    change(&mut config);
    fs::write(path, config.to_string()).unwrap();
    dir
}

#[test]
fn a_model_that_cannot_be_run_is_refused_by_what_is_wrong_with_it() {
    let other_labels =
        model(|config| config["id2label"] = json!({"0": "sad", "1": "so", "2": "glad"}));
    let other_kind = model(|config| config["model_type"] = json!("bert"));
    let other_sizes = model(|config| config["vocab_size"] = json!(5000));
    let incomplete = model(|_| {});
    fs::remove_file(incomplete.path().join("model.safetensors")).unwrap();
    for (model, told) in [
        (&other_labels, "labels 0 sad, 1 so, 2 glad"),
        (&other_kind, "model_type bert"),
        (&other_sizes, "roberta.embeddings.word_embeddings.weight"),
        (&incomplete, "missing model.safetensors"),
    ] {
        let address = format!("roberta:{}", model.path().display());
        let ran = refused(model.path(), &["--analyzer", &address]);
        assert!(ran.err.contains(told), "{}", ran.err);
    }
}

#[test]
fn a_model_that_the_hub_does_not_have_is_told() {
    let dir = tempdir().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    // Has nothing at all. It ends with the test.
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let _ = stream.read(&mut [0; 4096]).unwrap();
            stream
                .write_all(
                    b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
                )
                .unwrap();
        }
    });
    for (variable, value, told) in [
        (
            "HF_ENDPOINT",
            endpoint.as_str(),
            "the Hub has no such repository",
        ),
        ("HF_HUB_OFFLINE", "1", "HF_HUB_OFFLINE"),
    ] {
        let output = command(
            dir.path(),
            &["score", "a text", "--analyzer", "roberta:some/model"],
        )
        .env("HF_HOME", dir.path())
        .env(variable, value)
        .output()
        .unwrap();
        let err = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{err}");
        assert!(err.contains(told) && err.contains("some/model"), "{err}");
    }
}
