//! Posts of Bluesky.

use std::path::Path;

use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

use crate::common::{Ran, command, ended};
use crate::jetstream::{Answer, Double, END, Log, Step, moment, post, time};

/// A folder to run the program in, and two hosts that have the same posts, by clocks of their own.
struct World {
    dir: TempDir,
    double: Double,
    hosts: Vec<String>,
    runtime: Runtime,
}

impl World {
    /// So many posts, and what is wrong with the first connections.
    fn new(posts: i64, answers: impl IntoIterator<Item = Answer>) -> Self {
        let log = Log {
            messages: (0..posts)
                .map(|n| (time(n), post(n, 0).replace(":0,", ":TIME,")))
                .collect(),
            ahead: vec![0, 2_000_000],
        };
        let mut world = Self {
            dir: tempfile::tempdir().unwrap(),
            double: Double::with_log(log, answers),
            hosts: Vec::new(),
            runtime: tokio::runtime::Builder::new_multi_thread()
                .worker_threads(1)
                .enable_all()
                .build()
                .unwrap(),
        };
        for host in 0..2 {
            let listener = world
                .runtime
                .block_on(TcpListener::bind("127.0.0.1:0"))
                .unwrap();
            let url = format!("'ws://{}'", listener.local_addr().unwrap());
            world.hosts.push(url);
            let double = world.double.clone();
            world.runtime.spawn(async move {
                while let Ok((tcp, _)) = listener.accept().await {
                    let double = double.clone();
                    tokio::spawn(async move { double.serve(host, tcp).await });
                }
            });
        }
        world.configure("[source.words]\nRU-UKR = ['ukrain*']\nUA = ['ukraine']");
        world
    }

    fn path(&self) -> &Path {
        self.dir.path()
    }

    fn configure(&self, more: &str) {
        let hosts = self.hosts.join(", ");
        let end = moment(END);
        let text =
            format!("[source]\nkind = 'bluesky'\nhosts = [{hosts}]\nuntil = '{end}'\n{more}");
        std::fs::write(self.path().join("heartbeat.toml"), text).unwrap();
    }

    fn run(&self, args: &[&str]) -> Ran {
        ended(&mut command(self.path(), args))
    }
}

#[test]
fn posts_of_the_words_come_once_whatever_happens_to_hosts_and_to_the_program() {
    let world = World::new(
        60,
        [
            Answer::Stream(vec![Step::Log(20)]),
            Answer::Refusal(503, None),
            Answer::Stream(vec![Step::Log(30)]),
        ],
    );
    let ran = world.run(&["run", "--until-idle"]);
    // Of each post one for either task.
    assert!(ran.good().contains("stored 120, no dead letters"));
    let hosts: Vec<usize> = world
        .double
        .seen()
        .connections
        .iter()
        .map(|asked| asked.host)
        .collect();
    assert!(hosts.contains(&0) && hosts.contains(&1), "{hosts:?}");

    // The next run goes on where this one was, and finds nothing new.
    let again = world.run(&["run", "--until-idle", "--json"]).good();
    assert!(again.contains(r#""read":0"#), "{again}");
    let dump = world.run(&["dump", "--json"]).good();
    assert_eq!(dump.lines().count(), 120);
}

#[test]
fn what_is_recorded_is_played_again() {
    let world = World::new(30, []);
    let told = world.run(&["record", "night.jsonl.gz"]).good();
    assert_eq!(
        told,
        "recorded 30 messages: 60 tweets, 0 no posts, into night.jsonl.gz\n"
    );
    let told = world
        .run(&["run", "--source", "jsonl:night.jsonl.gz", "--until-idle"])
        .good();
    assert!(told.contains("stored 60, no dead letters"), "{told}");
}

#[test]
fn a_subject_is_told_by_its_words() {
    let world = World::new(30, []);
    world.configure("");
    for (args, says) in [
        (&["run"][..], "[source.words]"),
        (&["run", "--task", "T"], "--words"),
        (
            &["run", "--source", "fake", "--task", "T", "--words", "x"],
            "--words is for posts of Bluesky",
        ),
    ] {
        let ran = world.run(args);
        assert!(ran.code == 2 && ran.err.contains(says), "{ran:?}");
    }
    let ran = world.run(&[
        "run",
        "--task",
        "T",
        "--words",
        "nothing,Ukrain*",
        "--until-idle",
    ]);
    assert!(ran.good().contains("stored 30"));
    let check = world.run(&["check", "--task", "T", "--words", "x"]);
    assert!(check.out.contains("answers, by 127.0.0.1:"), "{check:?}");
}
