//! Programs that are not heartbeat: `foreign.py`, run by the Python that has Confluent's client.

use std::env;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use heartbeat::Topic;
use serde_json::Value;

/// The schemas of the Python services, byte for byte.
pub(crate) const TWEET: &str = include_str!("../../../heartbeat-core/src/tweet.avsc");
pub(crate) const SENTIMENT: &str = include_str!("../../../heartbeat-core/src/sentiment.avsc");

/// Runs it on these services.
#[derive(Debug)]
pub(crate) struct Python {
    brokers: String,
    registry: String,
}

impl Python {
    pub(crate) fn new(brokers: &str, registry: &str) -> Self {
        Self {
            brokers: brokers.to_owned(),
            registry: registry.to_owned(),
        }
    }

    /// The id under which the registry has the schema for a topic's values.
    pub(crate) fn register(&self, topic: &Topic, schema: &str) -> u32 {
        let told = self.run(&["register", topic.as_str(), schema.trim_end()], &[]);
        let id = told[0]["id"].as_u64().expect("an id");
        u32::try_from(id).expect("an id of 32 bits")
    }

    /// Runs a command with these lines of input; gives the lines it writes.
    pub(crate) fn run(&self, args: &[&str], input: &[Value]) -> Vec<Value> {
        let python = env::var_os("HEARTBEAT_PYTHON")
            .expect("HEARTBEAT_PYTHON is not set: run this by `cargo xtask test`");
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/kafka/foreign.py");
        let mut child = Command::new(python)
            .arg(script)
            .args(args)
            .env("BROKERS", &self.brokers)
            .env("REGISTRY", &self.registry)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("Python starts");
        let lines = input.iter().fold(String::new(), |mut lines, line| {
            writeln!(lines, "{line}").expect("a string takes it");
            lines
        });
        // It reads all of it before it writes.
        let mut stdin = child.stdin.take().expect("a piped input");
        let fed = stdin.write_all(lines.as_bytes());
        drop(stdin);
        let output = child.wait_with_output().expect("an output");
        let told = String::from_utf8(output.stdout).expect("UTF-8");
        assert!(
            output.status.success(),
            "{args:?}: {}\n{told}\n{}",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
        fed.expect("it reads its input");
        let told = told.lines().map(serde_json::from_str);
        told.collect::<Result<_, _>>().expect("JSON")
    }
}
