//! `heartbeat check`

use std::fmt::{self, Display};
use std::process::ExitCode;
use std::time::Duration;

use anstyle::{AnsiColor, Style};
use clap::Args;
use heartbeat::backend;
#[cfg(feature = "bluesky")]
use heartbeat::bluesky::BlueskySource;
use heartbeat::config::{AnalyzerConfig, BusConfig, Config, SourceConfig, StoreConfig};
use heartbeat_core::{Error, Page, Query, Result, Stage, Topic};
use serde::Serialize;

use crate::cli::args::PipelineArgs;
use crate::cli::context::Context;
#[cfg(feature = "influx")]
use crate::cli::influx;
use crate::cli::out::Out;
#[cfg(feature = "twitter")]
use crate::cli::rules;
#[cfg(feature = "kafka")]
use crate::cli::topics;
use crate::cli::work;

/// Check the config and reach every backend
///
/// One line for each part: whether it works, and if not, what is wrong and what to do. Exit status 1
/// when any does not.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  heartbeat check
  heartbeat check --config production.toml --json")]
pub(crate) struct CheckArgs {
    #[command(flatten)]
    pipeline: PipelineArgs,
    /// Write a JSON object for each part: {"part","what","ok","tells"}
    #[arg(long)]
    json: bool,
}

/// How long a backend may take to answer.
const LIMIT: Duration = Duration::from_secs(15);

/// What came of one part.
#[derive(Debug, Serialize)]
struct Finding {
    part: &'static str,
    /// The file or the address.
    what: String,
    ok: bool,
    /// What it says for itself; or what is wrong and what to do.
    tells: String,
}

impl Finding {
    fn new(part: &'static str, what: impl Display, found: Result<String>) -> Self {
        Self {
            part,
            what: what.to_string(),
            ok: found.is_ok(),
            tells: found.unwrap_or_else(|error| error.report()),
        }
    }
}

impl Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const GOOD: Style = AnsiColor::Green.on_default();
        const BAD: Style = AnsiColor::Red.on_default();
        let Self {
            part, what, tells, ..
        } = self;
        if self.ok {
            write!(f, "{GOOD}✓{GOOD:#} {part:8} {what}: {tells}")
        } else {
            write!(f, "{BAD}✗{BAD:#} {part:8} {what}: {tells}")
        }
    }
}

pub(crate) async fn run(args: &CheckArgs, context: &Context) -> Result<ExitCode> {
    let mut report = Report {
        out: Out::new(),
        json: args.json,
        all_good: true,
    };
    let (file, good) = match context.config_file() {
        Some(file) => (file.display().to_string(), "is right"),
        None => ("no file".to_owned(), "the defaults are taken"),
    };
    match args.config(context) {
        Err(error) => report.add(&Finding::new("config", file, Err(error)))?,
        Ok(config) => {
            report.add(&Finding::new("config", file, Ok(good.to_owned())))?;
            backends(&config, context, &mut report).await?;
        }
    }
    Ok(if report.all_good {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

impl CheckArgs {
    /// The config with the flags over it.
    fn config(&self, context: &Context) -> Result<Config> {
        let mut config = context.config()?;
        self.pipeline.apply(&mut config)?;
        work::options(&config)?;
        Ok(config)
    }
}

struct Report {
    out: Out,
    json: bool,
    all_good: bool,
}

impl Report {
    fn add(&mut self, finding: &Finding) -> Result<()> {
        self.all_good &= finding.ok;
        if self.json {
            self.out.json(finding)?;
        } else {
            self.out.line(finding)?;
        }
        self.out.flush()
    }
}

async fn backends(config: &Config, context: &Context, report: &mut Report) -> Result<()> {
    let source = config.source()?;
    let found = in_time(check_source(source.clone())).await;
    report.add(&Finding::new("source", source, found))?;

    let bus = config.bus()?;
    // At once, so that brokers that do not answer are waited for once.
    let (found, of_topics) = tokio::join!(
        in_time(check_bus(bus.clone(), config)),
        check_topics(&bus, config)
    );
    report.add(&Finding::new("bus", bus, found))?;
    if let Some(found) = of_topics {
        let topics = config.stages.topics()?;
        let what = format!("{}, {}", topics.ingest, topics.sentiment);
        report.add(&Finding::new("topics", what, found))?;
    }

    let analyzer = config.analyzer()?;
    // Without a limit: a model may have to be fetched, and the server's silence has a limit of its own.
    let found = check_analyzer(analyzer.clone(), context).await;
    report.add(&Finding::new("analyzer", analyzer, found))?;

    let store = config.store()?;
    let (found, of_bucket) =
        tokio::join!(in_time(check_store(store.clone())), check_bucket(&store));
    report.add(&Finding::new("store", &store, found))?;
    if let Some((bucket, found)) = of_bucket {
        report.add(&Finding::new("bucket", bucket, found))?;
    }
    Ok(())
}

async fn in_time(check: impl Future<Output = Result<String>>) -> Result<String> {
    tokio::time::timeout(LIMIT, check)
        .await
        .unwrap_or_else(
            |_| Err(Error::unavailable("no answer").with("after", format!("{LIMIT:?}"))),
        )
}

async fn check_source(config: SourceConfig) -> Result<String> {
    #[cfg(feature = "bluesky")]
    if let SourceConfig::Bluesky(config) = &config {
        let host = BlueskySource::open(config).await?.reach().await?;
        return Ok(format!("answers, by {host}"));
    }
    #[cfg(feature = "twitter")]
    if let SourceConfig::Twitter(config) = &config {
        return rules::check(config).await;
    }
    let source = backend::open_source(config).await?;
    Ok(format!("can be read, as `{}`", source.name()))
}

async fn check_bus(config: BusConfig, whole: &Config) -> Result<String> {
    let bus = backend::open_bus(config).await?;
    let topics = whole.stages.topics()?;
    let waiting = async |topic: &Topic, stage: Stage| -> Result<u64> {
        let lag = bus.lag(topic, &whole.stages.group(stage)).await?;
        Ok(lag.iter().map(|partition| partition.messages).sum())
    };
    let tweets = waiting(&topics.ingest, Stage::Analyze).await?;
    let sentiments = waiting(&topics.sentiment, Stage::Transfer).await?;
    bus.close().await?;
    Ok(format!(
        "answers; {tweets} tweets wait to be scored, {sentiments} sentiments to be stored"
    ))
}

/// Nothing for a bus that makes its topics by itself.
async fn check_topics(bus: &BusConfig, whole: &Config) -> Option<Result<String>> {
    #[cfg(feature = "kafka")]
    if let BusConfig::Kafka(kafka) = bus {
        let kafka = kafka.as_ref().clone();
        return Some(in_time(topics::check(kafka, &whole.stages)).await);
    }
    #[cfg(not(feature = "kafka"))]
    let _ = (bus, whole);
    None
}

/// Nothing for a store that has no bucket.
async fn check_bucket(store: &StoreConfig) -> Option<(String, Result<String>)> {
    #[cfg(feature = "influx")]
    if let StoreConfig::Influx(config) = store {
        let found = in_time(influx::check(config.as_ref().clone())).await;
        return Some((config.bucket.clone(), found));
    }
    #[cfg(not(feature = "influx"))]
    let _ = store;
    None
}

async fn check_analyzer(config: AnalyzerConfig, context: &Context) -> Result<String> {
    const TEXT: &str = "What a lovely day!";
    let (analyzer, told) = context.open_analyzer(config).await?;
    let scores = analyzer.analyze(&[TEXT]).await?;
    let first = scores
        .first()
        .ok_or_else(|| Error::internal("it gave no scores for a text"))?;
    let found = format!("finds “{TEXT}” {}", first.label);
    Ok(match told {
        Some(told) => format!("{found}; {told}"),
        None => found,
    })
}

async fn check_store(config: StoreConfig) -> Result<String> {
    let store = backend::open_store(config).await?;
    let points = store.read(&Query::default(), &Page::first(1)).await?;
    store.close().await?;
    Ok(match points.first() {
        None => "answers; nothing is stored yet".to_owned(),
        Some(first) => format!("answers; the first point is of {}", first.value.task),
    })
}
