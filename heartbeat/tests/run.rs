//! `heartbeat run`, `ingest`, `analyze` and `transfer`
#![expect(clippy::unwrap_used, reason = "a test may stop where it stands")]

mod common;

use std::fmt::Write as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use common::{Ran, command, heartbeat};
use serde_json::Value;
use tempfile::tempdir;

/// Fake posts, as many as there can be.
const FAST: [&str; 6] = ["--source", "fake", "--rate", "0", "--until-idle", "--json"];

fn run(dir: &Path, args: &[&str]) -> Ran {
    heartbeat(dir, &[&["run"], args].concat(), b"")
}

/// What a run with `--json` says it did.
#[track_caller]
fn done(ran: Ran) -> Value {
    serde_json::from_str(&ran.good()).unwrap()
}

fn dump(dir: &Path) -> String {
    heartbeat(dir, &["dump", "--json"], b"").good()
}

/// A file of so many posts, `posts.jsonl`.
fn write_posts(dir: &Path, count: u64) {
    let mut text = String::new();
    for id in 1..=count {
        writeln!(
            text,
            r#"{{"id":"{id}","text":"post {id} is lovely","created_at":{},"task":"T"}}"#,
            1_652_073_462 + id
        )
        .unwrap();
    }
    std::fs::write(dir.join("posts.jsonl"), text).unwrap();
}

fn signal(child: &Child, name: &str) {
    let pid = child.id().to_string();
    let sent = Command::new("kill").args(["-s", name, &pid]).status();
    assert!(sent.unwrap().success());
}

/// Waits until it is so; for a minute at most.
#[track_caller]
fn wait_until(what: &str, mut so: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !so() {
        assert!(begin.elapsed() < Duration::from_secs(60), "never {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_file_is_read_once_and_from_its_start_only_when_asked() {
    let dir = tempdir().unwrap();
    let dir = dir.path();
    write_posts(dir, 50);
    let args = ["--source", "jsonl:posts.jsonl", "--until-idle", "--json"];

    let first = done(run(dir, &args));
    for key in ["read", "published", "scored", "stored"] {
        assert_eq!(first[key], 50, "{first}");
    }
    let stored = dump(dir);
    assert_eq!(stored.lines().count(), 50);

    let again = done(run(dir, &args));
    assert_eq!((&again["read"], &again["stored"]), (&0.into(), &0.into()));

    let from_start = done(run(dir, &[&args[..], &["--from-start"]].concat()));
    assert_eq!(from_start["stored"], 50);
    assert!(dump(dir) == stored);
}

#[test]
fn the_same_seed_stores_the_same() {
    let dumps = ["7", "7", "8"].map(|seed| {
        let dir = tempdir().unwrap();
        let args = [&FAST[..], &["--seed", seed, "--count", "500"]].concat();
        assert_eq!(done(run(dir.path(), &args))["stored"], 500);
        dump(dir.path())
    });
    assert!(dumps[0] == dumps[1]);
    assert!(dumps[0] != dumps[2]);
}

#[test]
fn three_processes_do_what_one_does() {
    let one = tempdir().unwrap();
    let three = tempdir().unwrap();
    for dir in [&one, &three] {
        write_posts(dir.path(), 300);
    }
    let source = ["--source", "jsonl:posts.jsonl"];
    done(run(
        one.path(),
        &[&source[..], &["--until-idle", "--json"]].concat(),
    ));

    let stage = |args: &[&str]| {
        command(three.path(), args)
            .args(["--json", "--poll-wait", "200ms", "--until-idle"])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    };
    let stages = [
        stage(&["ingest", source[0], source[1]]),
        stage(&["analyze", "--idle-polls", "15"]),
        stage(&["analyze", "--idle-polls", "15"]),
        stage(&["transfer", "--idle-polls", "15"]),
    ];
    let said = stages.map(|child| {
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{output:?}");
        serde_json::from_slice::<Value>(&output.stdout).unwrap()
    });
    assert_eq!(said[0]["published"], 300);
    let scored = said[1]["scored"].as_u64().unwrap() + said[2]["scored"].as_u64().unwrap();
    assert_eq!(scored, 300);
    assert_eq!(said[3]["stored"], 300);
    assert!(dump(three.path()) == dump(one.path()));
}

#[test]
fn sigterm_finishes_what_is_in_flight_and_nothing_is_lost() {
    let dir = tempdir().unwrap();
    let dir = dir.path();
    // The rate decides the posts' times, so it is the same in all runs.
    let posts = [
        "run", "--seed", "3", "--count", "1200", "--rate", "200", "--json",
    ];
    let mut child = command(dir, &posts)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    wait_until("stored a point", || {
        assert!(child.try_wait().unwrap().is_none());
        let ran = heartbeat(dir, &["dump", "--limit", "1"], b"");
        ran.code == 0 && !ran.out.is_empty()
    });
    signal(&child, "TERM");
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let first: Value = serde_json::from_slice(&output.stdout).unwrap();
    let published = first["published"].as_u64().unwrap();
    assert!((1..1200).contains(&published), "{first}");

    let to_the_end = [&posts[..], &["--until-idle"]].concat();
    let rest = done(heartbeat(dir, &to_the_end, b""));
    assert_eq!(rest["published"].as_u64().unwrap() + published, 1200);
    let whole = tempdir().unwrap();
    done(heartbeat(whole.path(), &to_the_end, b""));
    assert!(dump(dir) == dump(whole.path()));
}

#[test]
fn a_second_ctrl_c_ends_at_once() {
    let dir = tempdir().unwrap();
    let dir = dir.path();
    run(dir, &[&FAST[..], &["--count", "1"]].concat()).good();
    // Nobody else can write while this lasts, so there is always something in flight.
    let database = rusqlite::Connection::open(dir.join("heartbeat.db")).unwrap();
    database.execute_batch("BEGIN IMMEDIATE").unwrap();

    let mut child = command(dir, &["run", "--drain", "10m"])
        .stdout(Stdio::null())
        .stderr(Stdio::from(std::fs::File::create(dir.join("log")).unwrap()))
        .spawn()
        .unwrap();
    let told = |text: &str| {
        std::fs::read_to_string(dir.join("log"))
            .unwrap()
            .contains(text)
    };
    wait_until("started", || told("INFO"));
    signal(&child, "INT");
    wait_until("told to stop", || told("Ctrl-C once more"));
    assert!(child.try_wait().unwrap().is_none());
    signal(&child, "INT");
    assert_eq!(child.wait().unwrap().code(), Some(130));
}

#[test]
fn when_one_stage_fails_the_others_stop_and_the_error_is_told_once() {
    let dir = tempdir().unwrap();
    let dir = dir.path();
    write_posts(dir, 50);
    let source = ["--source", "jsonl:posts.jsonl"];
    run(dir, &[&source[..], &["--until-idle"]].concat()).good();
    // Shorter than where the last run stopped. Without --until-idle only the failure can end it.
    write_posts(dir, 10);
    let ran = run(dir, &source);
    assert_eq!(ran.code, 2, "{ran:?}");
    assert_eq!(ran.err.matches("error").count(), 1, "{}", ran.err);
    assert!(ran.err.contains("heartbeat: error: "), "{}", ran.err);
    assert!(ran.err.contains("stage ingest"), "{}", ran.err);
    assert!(ran.err.contains("--from-start"), "{}", ran.err);
}

#[test]
fn bad_lines_are_dead_letters_and_the_rest_goes_through() {
    let dir = tempdir().unwrap();
    let lines = b"{\"id\":\"1\",\"text\":\"good\",\"created_at\":1652073462}\n\
        {\"id\":\"2\",\"text\":\n\
        {\"id\":\"3\",\"text\":\"bad\",\"created_at\":1652073463}\n";
    let args = ["run", "--source", "jsonl:-", "--task", "T", "--until-idle"];
    let ran = heartbeat(dir.path(), &args, lines);
    let out = ran.good();
    assert!(
        out.starts_with("read 3, scored 2, stored 2, 1 dead letter, in "),
        "{out}"
    );
    assert!(out.contains("`heartbeat dead-letters list`"), "{out}");
    assert_eq!(dump(dir.path()).lines().count(), 2);
}

#[test]
fn the_pipeline_runs_in_memory() {
    let dir = tempdir().unwrap();
    let memory = ["--bus", "memory", "--store", "memory", "--count", "30000"];
    let said = done(run(dir.path(), &[&FAST[..], &memory].concat()));
    assert_eq!(said["stored"], 30_000);
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn a_lone_stage_needs_a_bus_that_lasts() {
    let dir = tempdir().unwrap();
    for stage in ["ingest", "analyze", "transfer"] {
        let ran = heartbeat(dir.path(), &[stage, "--bus", "memory"], b"");
        assert_eq!(ran.code, 2);
        assert!(
            ran.err.contains("holds nothing between processes"),
            "{}",
            ran.err
        );
    }
}

#[test]
fn flags_for_fake_posts_are_for_those_only() {
    let dir = tempdir().unwrap();
    let ran = run(dir.path(), &["--source", "jsonl:-", "--count", "3"]);
    assert_eq!(ran.code, 2);
    assert!(ran.err.contains("--source fake"), "{}", ran.err);
}
