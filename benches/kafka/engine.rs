//! The engines, each at the same work.

use std::env;
use std::error::Error;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use heartbeat_core::{Bus, InFlight, Max, Stage, StageOptions, Topic, analyze};
use heartbeat_mock::FreeAnalyzer;
use serde::Deserialize;

use crate::world::{TWEETS, World};

/// Who does the work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Engine {
    Heartbeat,
    Librdkafka,
    Python,
}

/// One turn.
pub(crate) struct Task {
    /// Messages to a transaction.
    pub(crate) size: usize,
    pub(crate) messages: usize,
    /// Of its group and its topic.
    pub(crate) name: String,
}

/// What an engine that is a process tells at its end.
#[derive(Deserialize)]
struct Told {
    /// From the first message to the last commit.
    seconds: f64,
}

impl Engine {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Heartbeat => "heartbeat",
            Self::Librdkafka => "librdkafka",
            Self::Python => "python",
        }
    }

    /// As many as take some seconds.
    pub(crate) fn messages(self, size: usize) -> usize {
        let most = match self {
            Self::Python => 60_000,
            Self::Heartbeat | Self::Librdkafka => TWEETS,
        };
        most.min(size * 400)
    }

    /// Does a turn and tells how long it took, from the first message to the last commit.
    pub(crate) fn run(self, world: &World, task: &Task) -> Result<f64, Box<dyn Error>> {
        let topic = Topic::new(&format!("out-{}", task.name))?;
        world.topic(&topic)?;
        let (variable, script) = match self {
            Self::Heartbeat => return heartbeat(world, task, &topic),
            Self::Librdkafka => ("HEARTBEAT_RIVALS_LIBRDKAFKA", None),
            Self::Python => ("HEARTBEAT_PYTHON", Some("kafka/python.py")),
        };
        let program = env::var(variable)
            .map_err(|_| format!("{variable} is not set: run `cargo xtask bench kafka`"))?;
        let output = Command::new(&program)
            .args(script)
            .args([&world.brokers, &world.registry])
            .args([world.tweets.as_str(), topic.as_str(), &task.name])
            .args([task.size.to_string(), task.messages.to_string()])
            .stderr(Stdio::inherit())
            .output()?;
        if !output.status.success() {
            return Err(format!("{program} failed: {}", output.status).into());
        }
        Ok(serde_json::from_slice::<Told>(&output.stdout)?.seconds)
    }
}

fn heartbeat(world: &World, task: &Task, topic: &Topic) -> Result<f64, Box<dyn Error>> {
    let bus = world.bus()?;
    let mut options = StageOptions::new(Stage::Analyze);
    options.topics.ingest = world.tweets.clone();
    options.topics.sentiment = topic.clone();
    options.group.clone_from(&task.name);
    options.max = Max {
        messages: task.size,
        bytes: 64 << 20,
    };
    options.linger = Duration::from_millis(500);
    options.in_flight = InFlight {
        messages: 4 * task.size,
        tokens: usize::MAX,
    };
    let counters = options.counters.clone();
    let stop = options.shutdown.clone();
    let messages = task.messages as u64;
    let took = world.runtime.block_on(async {
        let watch = async {
            while counters.summary().read == 0 {
                tokio::time::sleep(Duration::from_micros(100)).await;
            }
            let started = Instant::now();
            while counters.summary().written < messages {
                tokio::time::sleep(Duration::from_micros(100)).await;
            }
            let took = started.elapsed();
            stop.cancel();
            took
        };
        let work = analyze(bus.as_ref(), Arc::new(FreeAnalyzer), &options);
        let (done, took) = tokio::join!(work, watch);
        done?;
        bus.close().await?;
        Ok::<_, heartbeat_core::Error>(took)
    })?;
    Ok(took.as_secs_f64())
}
