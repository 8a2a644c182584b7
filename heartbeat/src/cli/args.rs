//! The flags that several commands share.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
#[cfg(feature = "kafka")]
use heartbeat::config::BusConfig;
use heartbeat::config::{Config, SourceConfig};
use heartbeat_core::{Error, Result, durations};

#[cfg(feature = "influx")]
use crate::cli::influx::InfluxArgs;
#[cfg(feature = "torch")]
use crate::cli::roberta::RobertaArgs;

/// Flags of every command.
#[derive(Debug, Args)]
#[command(next_help_heading = "General")]
pub(crate) struct GlobalArgs {
    /// The config file [default: heartbeat.toml, if it is there]
    #[arg(long, global = true, value_name = "FILE", env = "HEARTBEAT_CONFIG")]
    pub(crate) config: Option<PathBuf>,
    /// Tell more; twice: everything
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,
    /// Tell only what went wrong
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub(crate) quiet: bool,
    /// How log lines are written, on the standard error
    #[arg(
        long,
        global = true,
        value_name = "FORMAT",
        env = "HEARTBEAT_LOG_FORMAT",
        default_value = "text"
    )]
    pub(crate) log_format: LogFormat,
}

/// How log lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Flags that choose the source.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Source")]
pub(crate) struct SourceArgs {
    #[arg(long, value_name = "ADDRESS", env = "HEARTBEAT_SOURCE", help = SOURCES)]
    source: Option<String>,
    /// The subject of posts that do not name theirs
    #[arg(long, env = "HEARTBEAT_TASK")]
    task: Option<String>,
    /// Bluesky: the words of the subject that `--task` names, such as `cat,cats,kitten*`
    #[cfg(feature = "bluesky")]
    #[arg(long, value_name = "WORDS", value_delimiter = ',', requires = "task")]
    words: Vec<String>,
    /// Fake posts: decides all of them; the same seed, the same posts [default: another each time]
    #[arg(long, env = "HEARTBEAT_SEED")]
    seed: Option<u64>,
    /// Fake posts: how many [default: without end]
    #[arg(long)]
    count: Option<u64>,
    /// Fake posts: how many a second; 0 is as many as there can be [default: 5]
    #[arg(long, value_name = "PER_SECOND")]
    rate: Option<f64>,
    /// Recorded posts: how many times as fast as they came in; 1 is as they did [default: as fast as can be]
    #[arg(long, value_name = "TIMES")]
    speed: Option<f64>,
}

#[cfg(all(feature = "bluesky", feature = "twitter"))]
const SOURCES: &str = "Where posts come from: `fake`, `jsonl:FILE`, `jsonl:-` for the standard input, `bluesky`, `twitter` [default: fake]";
#[cfg(not(all(feature = "bluesky", feature = "twitter")))]
const SOURCES: &str = "Where posts come from: `fake`, `jsonl:FILE`, `jsonl:-` for the standard input; builds with the features `bluesky` and `twitter` have these too [default: fake]";

impl SourceArgs {
    fn set_task(&self, source: &mut SourceConfig) -> Result<()> {
        #[cfg(feature = "bluesky")]
        if !self.words.is_empty() {
            let (SourceConfig::Bluesky(bluesky), Some(task)) = (&mut *source, &self.task) else {
                return Err(Error::misconfigured("--words is for posts of Bluesky")
                    .with("source", source)
                    .hint("Leave it out, or choose `--source bluesky`."));
            };
            bluesky.words = [(task.clone(), self.words.clone())].into();
            return Ok(());
        }
        match &self.task {
            Some(task) if !source.set_task(task) => Err(Error::misconfigured(
                "posts of Bluesky have the subject whose words they have",
            )
            .with("task", task)
            .hint(
                "Name its words by `--words`, or write them into the config's `[source.words]`.",
            )),
            _ => Ok(()),
        }
    }

    /// Lays the flags over the config.
    pub(crate) fn apply(&self, config: &mut Config) -> Result<()> {
        if let Some(address) = &self.source {
            config.set_source(address)?;
        }
        let mut source = config.source()?;
        self.set_task(&mut source)?;
        match &mut source {
            SourceConfig::Fake(fake) => {
                fake.seed = self.seed.or(fake.seed);
                fake.count = self.count.or(fake.count);
                fake.rate = self.rate.unwrap_or(fake.rate);
            }
            other if self.seed.is_some() || self.count.is_some() || self.rate.is_some() => {
                return Err(
                    Error::misconfigured("--seed, --count and --rate are for fake posts")
                        .with("source", other)
                        .hint("Leave them out, or choose `--source fake`."),
                );
            }
            _ => {}
        }
        match &mut source {
            SourceConfig::Jsonl(jsonl) => jsonl.speed = self.speed.or(jsonl.speed),
            other if self.speed.is_some() => {
                return Err(Error::misconfigured("--speed is for recorded posts")
                    .with("source", other)
                    .hint("Leave it out, or choose `--source jsonl:FILE`."));
            }
            _ => {}
        }
        config.source = Some(source);
        Ok(())
    }
}

/// Flags that choose the bus.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Bus")]
pub(crate) struct BusArgs {
    #[arg(long, value_name = "ADDRESS", env = "HEARTBEAT_BUS", help = BUSES)]
    bus: Option<String>,
    /// The URL of Kafka's schema registry [default: http://localhost:8081] [env: HEARTBEAT_REGISTRY]
    #[cfg(feature = "kafka")]
    #[arg(long, value_name = "URL")]
    registry: Option<String>,
}

#[cfg(feature = "kafka")]
const BUSES: &str = "What carries messages: `memory`, `sqlite:FILE`, `kafka:HOST:PORT,…` [default: sqlite:heartbeat.db]";
#[cfg(not(feature = "kafka"))]
const BUSES: &str = "What carries messages: `memory`, `sqlite:FILE`; a build with the feature `kafka` has `kafka:HOST:PORT` too [default: sqlite:heartbeat.db]";

impl BusArgs {
    /// Lays the flags over the config.
    pub(crate) fn apply(&self, config: &mut Config) -> Result<()> {
        if let Some(address) = &self.bus {
            config.set_bus(address)?;
        }
        #[cfg(feature = "kafka")]
        if let Some(BusConfig::Kafka(kafka)) = &mut config.bus {
            // Not by clap: the variable may be set for another bus to come, and is no mistake then.
            let variable = std::env::var("HEARTBEAT_REGISTRY").ok();
            if let Some(url) = self.registry.clone().or(variable) {
                kafka.registry.url = url;
            }
        } else if self.registry.is_some() {
            return Err(Error::misconfigured("--registry is for a Kafka bus")
                .hint("Leave it out, or choose `--bus kafka:HOST:PORT`."));
        }
        Ok(())
    }
}

/// Flags that choose the analyzer.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Analyzer")]
pub(crate) struct AnalyzerArgs {
    #[arg(long, value_name = "ADDRESS", env = "HEARTBEAT_ANALYZER", help = ANALYZERS)]
    analyzer: Option<String>,
    #[cfg(feature = "torch")]
    #[command(flatten)]
    roberta: RobertaArgs,
}

#[cfg(feature = "torch")]
const ANALYZERS: &str = "What tells the mood: `vader`, a lexicon; `roberta:small`, the small transformer that ships; \
    `roberta:FOLDER`, one in the Hub's layout; `roberta:OWNER/NAME`, one on the Hub, such as \
    roberta:cardiffnlp/twitter-roberta-base-sentiment-latest [default: vader]";
#[cfg(not(feature = "torch"))]
const ANALYZERS: &str = "What tells the mood: `vader`; a build with the feature `torch` has `roberta:MODEL` too [default: vader]";

impl AnalyzerArgs {
    /// Lays the flags over the config.
    pub(crate) fn apply(&self, config: &mut Config) -> Result<()> {
        if let Some(address) = &self.analyzer {
            config.set_analyzer(address)?;
        }
        #[cfg(feature = "torch")]
        self.roberta.apply(config)?;
        Ok(())
    }
}

/// Flags that choose the store.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Store")]
pub(crate) struct StoreArgs {
    #[arg(long, value_name = "ADDRESS", env = "HEARTBEAT_STORE", help = STORES)]
    store: Option<String>,
    #[cfg(feature = "influx")]
    #[command(flatten)]
    influx: InfluxArgs,
}

#[cfg(feature = "influx")]
const STORES: &str =
    "Where moods are kept: `memory`, `sqlite:FILE`, `influx:URL` [default: sqlite:heartbeat.db]";
#[cfg(not(feature = "influx"))]
const STORES: &str = "Where moods are kept: `memory`, `sqlite:FILE`; a build with the feature `influx` has `influx:URL` too [default: sqlite:heartbeat.db]";

impl StoreArgs {
    /// Lays the flags over the config.
    pub(crate) fn apply(&self, config: &mut Config) -> Result<()> {
        if let Some(address) = &self.store {
            config.set_store(address)?;
        }
        #[cfg(feature = "influx")]
        self.influx.apply(config)?;
        Ok(())
    }
}

/// Flags that say how stages work.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Stages")]
pub(crate) struct StageArgs {
    /// The most messages in one batch; InfluxDB is given more at once [default: 1000]
    #[arg(long, value_name = "MESSAGES")]
    batch: Option<usize>,
    /// The most messages that are worked on at once [default: 4000]
    #[arg(long, value_name = "MESSAGES")]
    in_flight: Option<usize>,
    /// How long a batch that is not full waits for more; for InfluxDB 1s [default: 0s]
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    linger: Option<Duration>,
    /// How long one poll waits for messages [default: 1s]
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    poll_wait: Option<Duration>,
    /// How long work in flight may take to finish when told to stop [default: 10s]
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    drain: Option<Duration>,
    /// What the consumer groups' names begin with; one group shares the work [default: heartbeat]
    #[arg(long, value_name = "NAME", env = "HEARTBEAT_GROUP")]
    group: Option<String>,
}

impl StageArgs {
    /// Lays the flags over the config.
    pub(crate) fn apply(&self, config: &mut Config) {
        let stages = &mut config.stages;
        stages.batch = self.batch.unwrap_or(stages.batch);
        stages.in_flight = self.in_flight.unwrap_or(stages.in_flight);
        stages.linger = self.linger.unwrap_or(stages.linger);
        stages.poll_wait = self.poll_wait.unwrap_or(stages.poll_wait);
        stages.drain = self.drain.unwrap_or(stages.drain);
        if let Some(group) = &self.group {
            stages.group.clone_from(group);
        }
    }
}

/// The flags of the commands that deal with the whole pipeline.
#[derive(Debug, Args)]
pub(crate) struct PipelineArgs {
    #[command(flatten)]
    source: SourceArgs,
    #[command(flatten)]
    bus: BusArgs,
    #[command(flatten)]
    analyzer: AnalyzerArgs,
    #[command(flatten)]
    store: StoreArgs,
    #[command(flatten)]
    stages: StageArgs,
}

impl PipelineArgs {
    /// Lays the flags over the config.
    pub(crate) fn apply(&self, config: &mut Config) -> Result<()> {
        self.source.apply(config)?;
        self.bus.apply(config)?;
        self.analyzer.apply(config)?;
        self.store.apply(config)?;
        self.stages.apply(config);
        Ok(())
    }
}

/// A duration as people write it: `500ms`, `10s`, `7 days`.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    durations::parse(text).map_err(|error| error.report())
}
