//! What all commands share, and `heartbeat demo`, `check` and `completions`

mod common;

use std::io::Read;
use std::process::Stdio;

use common::{command, heartbeat};
use serde_json::Value;
use tempfile::tempdir;

#[test]
fn the_demo_tells_every_step_and_then_what_is_stored() {
    let dir = tempdir().unwrap();
    let out = heartbeat(dir.path(), &["demo"], b"").good();
    let count = |start: &str| out.lines().filter(|line| line.starts_with(start)).count();
    for topic in ["ingest", "sentiment"] {
        for verb in ["ADD", "GET"] {
            let step = format!("KAFKA {topic} {verb} ");
            let empty = format!("{step}EMPTY");
            assert_eq!(count(&step) - count(&empty), 5, "{step}: {out}");
        }
    }
    assert_eq!(count("DB ADD ["), 5, "{out}");
    assert!(count("KAFKA ingest GET EMPTY") >= 3, "{out}");
    assert!(count("KAFKA sentiment GET EMPTY") >= 10, "{out}");
    assert!(!out.contains('\u{1b}'), "colours: {out}");
    let (_, stored) = out.split_once("\n0) [").unwrap();
    assert_eq!(stored.lines().count(), 5, "{out}");
    for point in out.lines().filter(|line| line.starts_with("DB ADD ")) {
        let point = point.strip_prefix("DB ADD ").unwrap();
        assert!(out.contains(&format!(") {point}\n")), "{point}: {out}");
        let id: u32 = point[1..].split(',').next().unwrap().parse().unwrap();
        assert!((1000..10_000).contains(&id), "{point}");
        assert!(point.contains(", 'RU-UKR', 16520734"), "{point}");
    }
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn the_demo_takes_another_seed_and_count() {
    let dir = tempdir().unwrap();
    let stored = |args: &[&str]| {
        let out = heartbeat(dir.path(), &[&["demo", "--count", "2"], args].concat(), b"").good();
        let stored: Vec<_> = out
            .lines()
            .skip_while(|line| !line.starts_with("0)"))
            .collect();
        stored.join("\n")
    };
    assert_eq!(stored(&[]).lines().count(), 2);
    assert_eq!(stored(&["--seed", "8"]), stored(&["--seed", "8"]));
    assert_ne!(stored(&["--seed", "8"]), stored(&["--seed", "9"]));
}

#[test]
fn check_tells_that_all_is_well() {
    let dir = tempdir().unwrap();
    let out = heartbeat(dir.path(), &["check"], b"").good();
    let parts: Vec<&str> = out
        .lines()
        .map(|line| line.split_whitespace().nth(1).unwrap())
        .collect();
    assert_eq!(
        parts,
        ["config", "source", "bus", "analyzer", "store"],
        "{out}"
    );
    assert!(out.lines().all(|line| line.starts_with('✓')), "{out}");
}

#[test]
fn check_goes_on_behind_what_fails() {
    let dir = tempdir().unwrap();
    std::fs::write(dir.path().join("no.db"), "no database".repeat(1000)).unwrap();
    let args = [
        "check",
        "--json",
        "--source",
        "jsonl:no.jsonl",
        "--bus",
        "sqlite:no.db",
        "--store",
        "sqlite:no/such.db",
    ];
    let ran = heartbeat(dir.path(), &args, b"");
    assert_eq!(ran.code, 1, "{ran:?}");
    let found: Vec<Value> = ran
        .out
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let ok: Vec<bool> = found
        .iter()
        .map(|part| part["ok"].as_bool().unwrap())
        .collect();
    assert_eq!(ok, [true, false, false, true, false], "{}", ran.out);
    assert!(
        found[1]["tells"].as_str().unwrap().contains("no.jsonl"),
        "{}",
        ran.out
    );
    assert_eq!(found[2]["what"], "sqlite:no.db");
    assert!(
        found[2]["tells"]
            .as_str()
            .unwrap()
            .contains("not an SQLite database"),
        "{}",
        ran.out
    );
}

#[test]
fn check_tells_what_is_wrong_with_the_config() {
    let dir = tempdir().unwrap();
    std::fs::write(dir.path().join("heartbeat.toml"), "[bus]\nkind = 'sqlit'").unwrap();
    let ran = heartbeat(dir.path(), &["check"], b"");
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(
        ran.out.starts_with("✗ config   heartbeat.toml: "),
        "{}",
        ran.out
    );
    assert!(ran.out.contains("Did you mean `sqlite`?"), "{}", ran.out);
    assert_eq!(ran.out.lines().count(), 1);
}

#[test]
fn a_wrong_config_is_bad_usage() {
    let dir = tempdir().unwrap();
    std::fs::write(dir.path().join("my.toml"), "\n[stages]\nbach = 3").unwrap();
    let ran = heartbeat(dir.path(), &["run", "--config", "my.toml"], b"");
    assert_eq!(ran.code, 2, "{ran:?}");
    assert!(
        ran.err.starts_with(
            "heartbeat: error: unknown field `bach` (line 3, file my.toml). Did you mean `batch`?"
        ),
        "{}",
        ran.err
    );
    let missing = heartbeat(dir.path(), &["run", "--config", "no.toml"], b"");
    assert_eq!(missing.code, 2, "{missing:?}");
    assert!(missing.err.contains("no.toml"), "{}", missing.err);
}

#[test]
fn flags_go_before_the_environment_and_that_before_the_file() {
    let dir = tempdir().unwrap();
    let file = "[bus]\npath = 'file.db'\n[store]\npath = 'file.db'\n[source]\nkind = 'jsonl'";
    std::fs::write(dir.path().join("heartbeat.toml"), file).unwrap();
    let output = command(
        dir.path(),
        &["check", "--json", "--source", "fake", "--seed", "5"],
    )
    .args(["--store", "memory"])
    .env("HEARTBEAT_STORE", "sqlite:environment.db")
    .env("HEARTBEAT_BUS", "sqlite:environment.db")
    .output()
    .unwrap();
    let what: Vec<String> = String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .map(|line| {
            serde_json::from_str::<Value>(line).unwrap()["what"]
                .as_str()
                .unwrap()
                .into()
        })
        .collect();
    assert_eq!(
        what,
        [
            "heartbeat.toml",
            "fake",
            "sqlite:environment.db",
            "vader",
            "memory"
        ]
    );
}

#[test]
fn every_shell_gets_its_completions() {
    let dir = tempdir().unwrap();
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let script = heartbeat(dir.path(), &["completions", shell], b"").good();
        assert!(script.contains("dead-letters"), "{shell}");
    }
}

#[test]
fn a_reader_that_has_enough_is_no_error() {
    let dir = tempdir().unwrap();
    let mut child = command(dir.path(), &["completions", "bash"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let status = child.wait().unwrap();
    let mut err = String::new();
    child
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut err)
        .unwrap();
    assert!(status.success(), "{status}: {err}");
    assert_eq!(err, "");
}

#[test]
fn the_log_is_written_as_asked() {
    let dir = tempdir().unwrap();
    let run = [
        "run",
        "--source",
        "fake",
        "--count",
        "1",
        "--rate",
        "0",
        "--until-idle",
        "--bus",
        "memory",
        "--store",
        "memory",
    ];
    let log = |flags: &[&str]| {
        let ran = heartbeat(dir.path(), &[&run, flags].concat(), b"");
        assert_eq!(ran.code, 0, "{ran:?}");
        ran.err
    };
    assert!(log(&[]).contains(" INFO "));
    assert_eq!(log(&["-q"]), "");
    assert!(log(&["-v"]).contains("DEBUG"));
    let json = log(&["--log-format", "json"]);
    for line in json.lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        assert_eq!(line["level"], "INFO");
    }
    assert!(json.lines().count() > 0);
}

#[test]
fn the_version_is_told() {
    let dir = tempdir().unwrap();
    let out = heartbeat(dir.path(), &["--version"], b"").good();
    assert_eq!(out, format!("heartbeat {}\n", env!("CARGO_PKG_VERSION")));
}
