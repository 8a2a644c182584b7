//! InfluxDB dies and comes back while posts stream in.

use std::fs::{self, File};
use std::io::Write;
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::thread::{JoinHandle, sleep, spawn};
use std::time::{Duration, Instant};

use testbed::Influx;

use crate::world::World;

const POSTS: usize = 200_000;

/// The whole pipeline in one process, and a thread that feeds it posts as fast as it takes them.
struct Pipeline {
    child: Child,
    log: PathBuf,
    fed: Arc<AtomicUsize>,
    feeder: JoinHandle<()>,
}

impl Pipeline {
    fn start(world: &World) -> Self {
        let log = world.path().join("log");
        let mut child = world
            .command(&[
                "run",
                "--source",
                "jsonl:-",
                "--bus",
                "memory",
                "--until-idle",
                "--json",
            ])
            .stdin(Stdio::piped())
            .stdout(File::create(world.path().join("done")).expect("a file"))
            .stderr(File::create(&log).expect("a log"))
            .spawn()
            .expect("heartbeat starts");
        let mut input = child.stdin.take().expect("a pipe");
        let fed = Arc::new(AtomicUsize::new(0));
        let counter = fed.clone();
        let feeder = spawn(move || {
            for id in 1..=POSTS {
                let time = 1_652_073_462 + id / 100;
                let task = ["RU-UKR", "climate"][id % 2];
                let line = format!(
                    "{{\"id\":\"{id}\",\"text\":\"good news\",\"created_at\":{time},\"task\":\"{task}\"}}\n"
                );
                if input.write_all(line.as_bytes()).is_err() {
                    return;
                }
                counter.store(id, Relaxed);
            }
        });
        Self {
            child,
            log,
            fed,
            feeder,
        }
    }

    fn logged(&self) -> String {
        fs::read_to_string(&self.log).expect("a log")
    }

    /// Waits until it has taken so many posts.
    fn until_fed(&mut self, posts: usize) {
        let started = Instant::now();
        while self.fed.load(Relaxed) < posts {
            let running = self.child.try_wait().expect("a status").is_none();
            assert!(
                running && started.elapsed() < Duration::from_secs(120),
                "{}",
                self.logged()
            );
            sleep(Duration::from_millis(5));
        }
    }

    /// The memory that it takes, in KiB.
    fn memory(&self) -> u64 {
        let status =
            fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("a status");
        let line = status
            .lines()
            .find(|line| line.starts_with("VmRSS:"))
            .expect("its memory");
        line.split_whitespace()
            .nth(1)
            .and_then(|size| size.parse().ok())
            .expect("a size")
    }

    /// Waits for its end, and sees that all posts are stored, each once.
    fn finish(mut self, world: &World) {
        let started = Instant::now();
        while self.child.try_wait().expect("a status").is_none() {
            assert!(
                started.elapsed() < Duration::from_secs(120),
                "{}",
                self.logged()
            );
            sleep(Duration::from_millis(20));
        }
        self.feeder.join().expect("a feeder");
        let log = fs::read_to_string(&self.log).expect("a log");
        let done = fs::read_to_string(world.path().join("done")).expect("what was done");
        assert!(self.child.wait().expect("a status").success(), "{log}");
        assert!(done.contains("\"dead_letters\":0"), "{done}");
        // The log says what happened.
        assert!(
            log.contains("Trying again") && log.contains("InfluxDB cannot be reached"),
            "{log}"
        );
        assert!(log.contains("Works again"), "{log}");

        let points = world.run(&["dump", "--json"]).good();
        let id = |line: &str| -> usize {
            let point: serde_json::Value = serde_json::from_str(line).expect("JSON");
            point["id"].as_u64().expect("an id") as usize
        };
        let mut ids: Vec<usize> = points.lines().map(id).collect();
        ids.sort_unstable();
        assert_eq!(ids.len(), POSTS, "some are lost or there twice");
        assert!(
            ids.into_iter().eq(1..=POSTS),
            "some are lost or there twice"
        );
    }
}

#[test]
fn a_server_that_is_killed_ten_times_has_all_points_once() {
    let mut server = Influx::start().expect("an InfluxDB");
    let world = World::at(server.url()).set_up();
    let mut pipeline = Pipeline::start(&world);
    for kill in 1..=10 {
        pipeline.until_fed(kill * POSTS / 11);
        server.kill().expect("killed");
        // Some kills are short and some are long.
        sleep(Duration::from_millis(100 * (kill as u64 % 4)));
        server.restart().expect("it is back");
    }
    pipeline.finish(&world);
}

/// How long it is away: `HEARTBEAT_OUTAGE` in seconds, or less than a minute where many tests are to be run.
fn outage() -> Duration {
    let seconds =
        std::env::var("HEARTBEAT_OUTAGE").map_or(10, |seconds| seconds.parse().expect("seconds"));
    Duration::from_secs(seconds)
}

#[test]
fn while_it_is_away_input_pauses_and_memory_stays() {
    let mut server = Influx::start().expect("an InfluxDB");
    let world = World::at(server.url()).set_up();
    // So that all that may be on the way is less than there is.
    let config =
        "[bus]\nkind = 'memory'\ncapacity = 10000\n[store]\nkind = 'influx'\nlinger = '0s'\n";
    fs::write(world.path().join("heartbeat.toml"), config).expect("written");
    let mut pipeline = Pipeline::start(&world);
    pipeline.until_fed(POSTS / 4);
    server.kill().expect("killed");
    // What is on the way is full by then.
    sleep(Duration::from_secs(3));
    let (fed, memory) = (pipeline.fed.load(Relaxed), pipeline.memory());
    assert!(fed < POSTS / 2, "{fed} posts were taken");
    sleep(outage());
    let grown = pipeline.memory().saturating_sub(memory);
    println!(
        "{memory} KiB at first, {grown} KiB more after {:?}",
        outage()
    );
    assert_eq!(pipeline.fed.load(Relaxed), fed, "it goes on to take posts");
    assert!(grown < 8 << 10, "{grown} KiB more");
    server.restart().expect("it is back");
    pipeline.finish(&world);
}
