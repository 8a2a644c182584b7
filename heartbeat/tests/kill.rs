//! The pipeline under `kill -9`: whatever is killed and whenever, every tweet ends as one point.
//!
//! `cargo xtask test` gives it the real tweets (`HEARTBEAT_TWEETS`) and 50 kills (`HEARTBEAT_KILLS`); without, it
//! makes tweets of its own and kills a few times.
#![cfg(unix)]

#[path = "common/tweets.rs"]
mod tweets;

use std::collections::BTreeSet;
use std::env;
use std::fs::{self, File};
use std::hash::{BuildHasher, RandomState};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use heartbeat::sqlite::{SqliteBus, SqliteConfig, SqliteStore, SqliteStoreConfig};
use heartbeat::{Bus, Max, Page, Query, Store, Topic, TweetId};
use tempfile::TempDir;

/// How long a killed member keeps its partitions: short, so that many can be killed in a test.
const LEASE: Duration = Duration::from_millis(300);

fn kills() -> u32 {
    env::var("HEARTBEAT_KILLS").map_or(5, |kills| {
        kills.parse().expect("HEARTBEAT_KILLS is a number")
    })
}

/// Up to `most`, anew each time.
fn random(most: u64) -> u64 {
    RandomState::new().hash_one(()) % most
}

struct World {
    folder: TempDir,
    ids: BTreeSet<i64>,
}

impl World {
    fn new() -> Self {
        // Small batches, so that there is much to interrupt.
        Self::with("kind = 'vader'", 3)
    }

    fn with(analyzer: &str, batch: usize) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let lines = tweets::lines();
        let tweets = folder.path().join("tweets.jsonl");
        fs::write(&tweets, &lines).expect("written");
        let config = format!(
            "[source]\nkind = 'jsonl'\npath = '{}'\n\
             [bus]\nkind = 'sqlite'\npath = '{}'\nlease = '{}ms'\n\
             [analyzer]\n{analyzer}\n\
             [store]\nkind = 'sqlite'\npath = '{}'\n\
             [stages]\nbatch = {batch}\nin_flight = {}\npoll_wait = '20ms'\n",
            tweets.display(),
            folder.path().join("bus.db").display(),
            LEASE.as_millis(),
            folder.path().join("points.db").display(),
            3 * batch,
        );
        fs::write(folder.path().join("heartbeat.toml"), config).expect("written");
        Self {
            folder,
            ids: tweets::ids(&lines),
        }
    }

    /// Starts `heartbeat` with its log in a file.
    fn start(&self, arguments: &[&str]) -> Child {
        let log = self.folder.path().join("log");
        let log = File::options()
            .create(true)
            .append(true)
            .open(log)
            .expect("a log");
        Command::new(env!("CARGO_BIN_EXE_heartbeat"))
            .args(arguments)
            .current_dir(self.folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("heartbeat starts")
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    async fn bus(&self) -> SqliteBus {
        SqliteBus::open(SqliteConfig {
            path: self.folder.path().join("bus.db"),
            ..SqliteConfig::default()
        })
        .await
        .expect("the bus opens")
    }

    async fn stored(&self) -> Vec<i64> {
        let store = SqliteStore::open(SqliteStoreConfig {
            path: self.folder.path().join("points.db"),
            ..SqliteStoreConfig::default()
        })
        .await
        .expect("the store opens");
        let all = Page::first(usize::MAX >> 1);
        let points = store.read(&Query::default(), &all).await.expect("points");
        points.iter().map(|point| point.id.0).collect()
    }

    /// Every tweet is one point and one message of each topic, and nothing died.
    async fn assert_everything_arrived_once(&self) {
        let expected: Vec<i64> = self.ids.iter().copied().collect();
        let mut stored = self.stored().await;
        stored.sort_unstable();
        assert_eq!(stored, expected, "points\n{}", self.log());
        let bus = self.bus().await;
        for topic in ["ingest", "sentiment"] {
            assert_eq!(keys(&bus, topic).await, expected, "{topic}\n{}", self.log());
        }
        for topic in ["ingest.dead", "sentiment.dead"] {
            assert_eq!(
                keys(&bus, topic).await,
                Vec::<i64>::new(),
                "{topic}\n{}",
                self.log()
            );
        }
    }
}

/// The keys on a topic, sorted; one that is there twice stands twice.
async fn keys(bus: &SqliteBus, topic: &str) -> Vec<i64> {
    let topic = Topic::new(topic).expect("a name");
    let mut reader = bus
        .subscribe(&topic, "verify")
        .await
        .expect("a subscription");
    let max = Max {
        messages: 100_000,
        bytes: usize::MAX,
    };
    let mut keys = Vec::new();
    loop {
        let batch = reader
            .poll(max, Duration::from_millis(500))
            .await
            .expect("a batch");
        if batch.is_empty() {
            break;
        }
        keys.extend(
            batch
                .messages
                .iter()
                .map(|message| TweetId::from_key(&message.envelope.key).map_or(-1, |id| id.0)),
        );
    }
    reader.close().await.expect("closed");
    keys.sort_unstable();
    keys
}

fn wait_for(mut child: Child, patience: Duration) -> std::process::ExitStatus {
    let started = Instant::now();
    loop {
        if let Some(status) = child.try_wait().expect("a status") {
            return status;
        }
        if started.elapsed() > patience {
            child.kill().expect("killed");
            panic!("heartbeat did not end within {patience:?}");
        }
        sleep(Duration::from_millis(10));
    }
}

/// Whether it is there to be told to stop: waits for one that has only just been started, which a
/// SIGTERM would end at once. Where the system does not tell, it is taken to be.
fn listens(child: &mut Child) -> bool {
    const SIGTERM: u64 = 1 << 14;
    let status = format!("/proc/{}/status", child.id());
    let started = Instant::now();
    while child.try_wait().expect("a status").is_none() {
        let caught = fs::read_to_string(&status).map_or(SIGTERM, |status| {
            let mut lines = status.lines();
            let mask = lines.find_map(|line| line.strip_prefix("SigCgt:"));
            mask.map_or(0, |mask| {
                u64::from_str_radix(mask.trim(), 16).expect("a mask")
            })
        });
        if caught & SIGTERM != 0 {
            return true;
        }
        assert!(
            started.elapsed() < Duration::from_secs(30),
            "it never listens"
        );
        sleep(Duration::from_millis(10));
    }
    false
}

fn terminate(child: &Child) {
    let status = Command::new("kill")
        .args(["-TERM", &child.id().to_string()])
        .status()
        .expect("kill runs");
    assert!(status.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn one_process_killed_at_any_moment_loses_and_doubles_nothing() {
    let world = World::new();
    let mut at_work = 0;
    for _ in 0..kills() {
        let mut process = world.start(&["run", "--until-idle"]);
        let moment = u64::try_from(LEASE.as_millis()).unwrap() * 2;
        sleep(Duration::from_millis(random(moment)));
        if process.try_wait().expect("a status").is_none() {
            at_work += 1;
        }
        process.kill().expect("killed");
        process.wait().expect("ended");
    }
    println!("{at_work} of {} were killed at work", kills());
    let status = wait_for(
        world.start(&["run", "--until-idle"]),
        Duration::from_secs(120),
    );
    assert!(status.success(), "{}", world.log());
    world.assert_everything_arrived_once().await;

    // The same file again: there is nothing new in it. From the start: the same points.
    for again in [
        &["run", "--until-idle"][..],
        &["run", "--until-idle", "--from-start"],
    ] {
        let status = wait_for(world.start(again), Duration::from_secs(120));
        assert!(status.success(), "{}", world.log());
        assert_eq!(world.stored().await.len(), world.ids.len());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn processes_of_one_stage_each_lose_and_double_nothing() {
    const STAGES: [&str; 5] = ["ingest", "ingest", "analyze", "analyze", "transfer"];
    let world = World::new();
    let mut processes = STAGES.map(|stage| world.start(&[stage]));
    for _ in 0..kills() {
        sleep(Duration::from_millis(random(400)));
        let victim = usize::try_from(random(STAGES.len() as u64)).unwrap();
        // An `ingest` that is through with its file has ended by itself.
        processes[victim].kill().ok();
        processes[victim].wait().expect("ended");
        processes[victim] = world.start(&[STAGES[victim]]);
    }
    let started = Instant::now();
    while world.stored().await.len() < world.ids.len() {
        assert!(
            started.elapsed() < Duration::from_secs(180),
            "{}",
            world.log()
        );
        sleep(Duration::from_millis(200));
    }
    for process in &mut processes {
        if listens(process) {
            terminate(process);
        }
    }
    for process in processes {
        let status = wait_for(process, Duration::from_secs(30));
        assert!(
            status.success(),
            "a process that was told to stop: {status}\n{}",
            world.log()
        );
    }
    world.assert_everything_arrived_once().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_analyzers_share_the_work_and_one_takes_over_from_the_other() {
    let world = World::new();
    let status = wait_for(world.start(&["ingest"]), Duration::from_secs(120));
    assert!(status.success(), "{}", world.log());

    let ingest = Topic::new("ingest").expect("a name");
    let bus = world.bus().await;
    let lag = async || -> Vec<u64> {
        let lag = bus.lag(&ingest, "heartbeat-analyze").await.expect("a lag");
        lag.iter().map(|partition| partition.messages).collect()
    };
    let before = lag().await;
    let (mut doomed, heir) = (world.start(&["analyze"]), world.start(&["analyze"]));
    // Both at work: every partition moves.
    let started = Instant::now();
    while lag()
        .await
        .iter()
        .zip(&before)
        .any(|(now, before)| now == before)
    {
        assert!(
            started.elapsed() < Duration::from_secs(60),
            "{}",
            world.log()
        );
        sleep(Duration::from_millis(5));
    }
    doomed.kill().expect("killed");
    doomed.wait().expect("ended");
    let started = Instant::now();
    while lag().await.iter().any(|messages| *messages > 0) {
        assert!(
            started.elapsed() < Duration::from_secs(120),
            "{}",
            world.log()
        );
        sleep(Duration::from_millis(20));
    }
    terminate(&heir);
    assert!(wait_for(heir, Duration::from_secs(30)).success());
    let status = wait_for(
        world.start(&["transfer", "--until-idle"]),
        Duration::from_secs(120),
    );
    assert!(status.success(), "{}", world.log());
    world.assert_everything_arrived_once().await;
}

#[cfg(feature = "torch")]
#[tokio::test(flavor = "multi_thread")]
async fn a_model_killed_at_work_loses_and_doubles_nothing() {
    let world = World::with("kind = 'roberta'\nthreads = 1", 50);
    let mut process = world.start(&["run", "--until-idle"]);
    let started = Instant::now();
    while world.stored().await.is_empty() {
        let patience = Duration::from_secs(60);
        assert!(started.elapsed() < patience, "{}", world.log());
        sleep(Duration::from_millis(20));
    }
    assert!(
        process.try_wait().expect("a status").is_none(),
        "{}",
        world.log()
    );
    process.kill().expect("killed");
    process.wait().expect("ended");
    let again = world.start(&["run", "--until-idle"]);
    let status = wait_for(again, Duration::from_secs(120));
    assert!(status.success(), "{}", world.log());
    world.assert_everything_arrived_once().await;
}
