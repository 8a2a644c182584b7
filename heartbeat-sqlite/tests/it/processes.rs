//! Several processes on one file, some of them killed.
//!
//! A child process is this test binary again, told by the environment to run [`child`] alone.

use std::collections::BTreeMap;
use std::fs;
use std::hash::{BuildHasher, RandomState};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use heartbeat_core::{Bus, Max, Position, Progress, Topic};
use heartbeat_sqlite::{SqliteBus, SqliteConfig};
use tokio::runtime::Runtime;

use crate::support::*;

const ROLE: &str = "HEARTBEAT_TEST_ROLE";
const FILE: &str = "HEARTBEAT_TEST_FILE";

fn spawn(program: &Path, role: &str, file: &Path) -> Command {
    let mut command = Command::new(program);
    command
        .args(["--exact", "processes::child", "--nocapture", "--quiet"])
        .env(ROLE, role)
        .env(FILE, file)
        .stdout(Stdio::piped());
    command
}

fn this_program() -> std::path::PathBuf {
    std::env::current_exe().unwrap()
}

/// What a child does; nothing when the tests run.
#[test]
fn child() {
    let (Ok(role), Some(file)) = (std::env::var(ROLE), std::env::var_os(FILE)) else {
        return;
    };
    let path = Path::new(&file);
    let runtime = Runtime::new().unwrap();
    match role.as_str() {
        "work" => runtime.block_on(work(path)),
        "publish" => runtime.block_on(publish(path)),
        "open" => {
            let error = runtime.block_on(SqliteBus::open(config(path))).unwrap_err();
            println!("\n{}: {}", error.kind(), error.report());
        }
        other => panic!("no role {other}"),
    }
}

fn source() -> Topic {
    topic("ingest")
}

fn sink() -> Topic {
    topic("sentiment")
}

/// Publishes numbers in a row and copies them on, until it is killed. Says what was acknowledged.
async fn work(path: &Path) {
    let bus = SqliteBus::open(SqliteConfig {
        lease: Duration::from_millis(100),
        ..config(path)
    })
    .await
    .unwrap();
    let publishing = async {
        loop {
            let from = bus.position("numbers").await.unwrap();
            let first: i64 = from.as_ref().map_or(0, |from| from.0.parse().unwrap());
            let progress = Progress {
                source: "numbers".to_owned(),
                from,
                to: Position((first + 7).to_string()),
            };
            bus.publish(&outputs(&source(), first..first + 7), Some(progress))
                .await
                .unwrap();
            println!("\npublished {}", first + 7);
        }
    };
    let copying = async {
        let mut subscription = bus.subscribe(&source(), "copy").await.unwrap();
        let max = Max {
            messages: 20,
            ..ALL
        };
        let mut copied = 0;
        loop {
            let batch = subscription.poll(max, LONG).await.unwrap();
            subscription
                .commit(&batch.checkpoint, &outputs(&sink(), numbers(&batch)))
                .await
                .unwrap();
            copied += batch.messages.len();
            println!("\ncopied {copied}");
        }
    };
    tokio::join!(publishing, copying);
}

#[test]
fn a_process_killed_at_any_moment_loses_and_doubles_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("bus.db");
    let (mut published, mut copied) = (0, 0);
    for _ in 0..15 {
        let mut child = spawn(&this_program(), "work", &path).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let said = thread::spawn(move || {
            let (mut published, mut copied) = (0, 0);
            for line in lines.map_while(Result::ok) {
                if let Some(number) = line.strip_prefix("published ") {
                    published = number.parse().unwrap();
                } else if let Some(number) = line.strip_prefix("copied ") {
                    copied = number.parse().unwrap();
                }
            }
            (published, copied)
        });
        let random = RandomState::new().hash_one(0) % 400;
        thread::sleep(Duration::from_millis(random));
        child.kill().unwrap();
        let status = child.wait().unwrap();
        assert_eq!(
            status.signal(),
            Some(9),
            "it was alive until then: {status}"
        );
        let (last_published, newly_copied): (i64, usize) = said.join().unwrap();
        published = last_published.max(published);
        copied += newly_copied;
    }
    assert!(
        published > 0 && copied > 0,
        "published {published}, copied {copied}"
    );

    Runtime::new().unwrap().block_on(async {
        let bus = open(&path).await;
        let there = read_topic(&bus, &source()).await;
        assert!(
            there.len() as i64 >= published,
            "{} of {published}",
            there.len()
        );
        assert_contiguous(&there);
        assert_each_once(there.iter().map(number), there.len());

        let copies = read_topic(&bus, &sink()).await;
        assert!(copies.len() >= copied, "{} of {copied}", copies.len());
        let rest = total_lag(&bus, &source(), "copy").await as usize;
        assert_eq!(
            copies.len() + rest,
            there.len(),
            "a copy for each that was committed"
        );
        let mut subscription = bus.subscribe(&source(), "copy").await.unwrap();
        let mut all: Vec<i64> = copies.iter().map(number).collect();
        if rest > 0 {
            all.extend(numbers(&poll_all(&mut *subscription, rest).await));
        }
        assert_each_once(all, there.len());
        assert_contiguous(&copies);
    });
    assert_sound(&path);
}

async fn publish(path: &Path) {
    let bus = open(path).await;
    for batch in 0..50 {
        bus.publish(&outputs(&source(), batch * 10..batch * 10 + 10), None)
            .await
            .unwrap();
    }
}

#[test]
fn processes_that_make_and_write_one_file_at_once_do_not_disturb_each_other() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("bus.db");
    let mut children: Vec<Child> = (0..4)
        .map(|_| spawn(&this_program(), "publish", &path).spawn().unwrap())
        .collect();
    for child in &mut children {
        assert!(child.wait().unwrap().success());
    }
    let messages = Runtime::new()
        .unwrap()
        .block_on(async { read_topic(&open(&path).await, &source()).await });
    assert_contiguous(&messages);
    let mut counts: BTreeMap<i64, usize> = BTreeMap::new();
    for message in &messages {
        *counts.entry(number(message)).or_default() += 1;
    }
    assert_eq!(counts.len(), 500);
    assert!(counts.values().all(|&count| count == 4), "{counts:?}");
    assert_sound(&path);
}

#[test]
fn a_file_or_folder_that_may_only_be_read_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let permit = |path: &Path, mode| {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    };
    // Whoever runs the tests as root may write anything: the child is somebody else then.
    let is_root = fs::metadata(dir.path()).unwrap().uid() == 0;
    let program = dir.path().join("program");
    fs::copy(this_program(), &program).unwrap();
    let folder = dir.path().join("folder");
    fs::create_dir(&folder).unwrap();
    let file = folder.join("bus.db");
    Runtime::new().unwrap().block_on(async {
        let bus = open(&file).await;
        bus.publish(&outputs(&source(), [1]), None).await.unwrap();
    });
    permit(dir.path(), 0o755);

    // What a child is told when it opens `path`, with these permissions.
    let told = |path: &Path, folder_mode, file_mode| {
        for entry in fs::read_dir(&folder).unwrap() {
            permit(&entry.unwrap().path(), file_mode);
        }
        permit(&folder, folder_mode);
        let mut command = spawn(&program, "open", path);
        if is_root {
            command.uid(65_534).gid(65_534);
        }
        let output = command.output().unwrap();
        permit(&folder, 0o755);
        let text = String::from_utf8(output.stdout).unwrap();
        text.lines()
            .find(|line| line.starts_with("misconfigured: "))
            .unwrap_or(&text)
            .to_owned()
    };
    for error in [
        told(&file, 0o777, 0o444),
        told(&file, 0o555, 0o444),
        told(&folder.join("new.db"), 0o555, 0o444),
    ] {
        assert!(error.starts_with("misconfigured: "), "{error}");
        assert!(error.contains(folder.to_str().unwrap()), "{error}");
        assert!(error.contains("writable"), "{error}");
    }
}

fn assert_each_once(numbers: impl IntoIterator<Item = i64>, count: usize) {
    let mut numbers: Vec<i64> = numbers.into_iter().collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (0..count as i64).collect::<Vec<_>>());
}

fn assert_sound(path: &Path) {
    let connection = rusqlite::Connection::open(path).unwrap();
    let verdict: String = connection
        .pragma_query_value(None, "integrity_check", |row| row.get(0))
        .unwrap();
    assert_eq!(verdict, "ok");
}
