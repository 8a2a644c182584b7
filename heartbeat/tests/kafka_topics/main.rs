//! The program on a Kafka bus, with the broker and the registry that `cargo xtask test` starts.
#![expect(clippy::unwrap_used, reason = "a test may stop where it stands")]

#[path = "../common/mod.rs"]
mod common;
mod dead_letters;
mod topics;

use std::fs;
use std::path::Path;

use common::{Ran, heartbeat};
use heartbeat::config::{BusConfig, Config};
use heartbeat::kafka::KafkaConfig;
use serde_json::Value;
use tempfile::TempDir;

/// A folder with a config whose topics and group nobody else has.
struct Place {
    dir: TempDir,
    /// What their names begin with.
    name: String,
}

impl Place {
    fn new() -> Self {
        let dir = tempfile::Builder::new()
            .prefix("heartbeat-test-")
            .tempdir()
            .unwrap();
        let name = dir.path().file_name().unwrap().to_str().unwrap().to_owned();
        let config = format!(
            r#"
            [bus]
            kind = "kafka"
            brokers = "{brokers}"
            registry = "{registry}"
            session_timeout = "6s"

            [bus.topics]
            partitions = 2
            positions = "{name}.positions"

            [stages]
            ingest_topic = "{name}.ingest"
            sentiment_topic = "{name}.sentiment"
            group = "{name}"
            poll_wait = "100ms"
            "#,
            brokers = testbed::shared_brokers().unwrap(),
            registry = testbed::shared_registry().unwrap(),
        );
        fs::write(dir.path().join("heartbeat.toml"), config).unwrap();
        Self { dir, name }
    }

    /// With its topics.
    fn with_topics() -> Self {
        let place = Self::new();
        place.run(&["topics", "create"]).good();
        place
    }

    fn path(&self) -> &Path {
        self.dir.path()
    }

    fn run(&self, args: &[&str]) -> Ran {
        heartbeat(self.path(), args, b"")
    }

    fn topic(&self, name: &str) -> String {
        format!("{}.{name}", self.name)
    }

    /// The five topics.
    fn topics(&self) -> [String; 5] {
        [
            "ingest",
            "ingest.dead",
            "sentiment",
            "sentiment.dead",
            "positions",
        ]
        .map(|name| self.topic(name))
    }

    fn config(&self) -> KafkaConfig {
        let config = Config::read(&self.path().join("heartbeat.toml")).unwrap();
        match config.bus().unwrap() {
            BusConfig::Kafka(kafka) => *kafka,
            other => panic!("{other}"),
        }
    }

    /// Reads these lines as a source's.
    fn ingest(&self, lines: &[String], flags: &[&str]) {
        fs::write(self.path().join("posts.jsonl"), lines.join("\n")).unwrap();
        self.run(&[&["ingest", "--source", "jsonl:posts.jsonl"], flags].concat())
            .good();
    }

    /// Lets what is on the bus go through.
    fn drain(&self) {
        for stage in ["analyze", "transfer"] {
            self.run(&[stage, "--until-idle"]).good();
        }
    }

    /// The ids of the posts that are stored.
    fn stored(&self) -> Vec<i64> {
        let out = self.run(&["dump", "--json"]).good();
        let points = json_lines(&out).into_iter();
        points.map(|point| point["id"].as_i64().unwrap()).collect()
    }
}

fn json_lines(out: &str) -> Vec<Value> {
    out.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn post(id: i64, task: Option<&str>) -> String {
    let task = task.map_or_else(String::new, |task| format!(r#","task":"{task}""#));
    let time = 1_652_073_462 + id;
    format!(r#"{{"id":"{id}","text":"I love it","created_at":{time}{task}}}"#)
}
