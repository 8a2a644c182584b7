//! `heartbeat topics`

mod view;

use std::num::NonZeroU16;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Subcommand};
use heartbeat::config::{BusConfig, StagesConfig};
use heartbeat::kafka::{KafkaConfig, TopicAdmin, TopicPlan, TopicState, Verdict, missing_topic};
use heartbeat_core::{Error, Result};

use crate::cli::args::{BusArgs, duration};
use crate::cli::context::Context;
use crate::cli::out::Out;
use crate::cli::topics::view::{JsonTopic, JsonVerdict, Table, made, verdict};

/// List, create and check the topics on Kafka
///
/// On Kafka topics are made before they are used. Heartbeat has five: those of tweets and of sentiments,
/// one of dead letters beside each, and one that holds how far sources have come. Their names stand in
/// the config's `[stages]`, and how they are to be in `[bus.topics]`. Other buses make theirs by themselves.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  heartbeat topics create --bus kafka:localhost:9092
  heartbeat topics create --partitions 12 --retention 30d --dry-run
  heartbeat topics list --all
  heartbeat topics verify && heartbeat analyze")]
pub(crate) struct TopicsArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    List(ListArgs),
    Create(CreateArgs),
    Verify(VerifyArgs),
}

/// List heartbeat's topics, or all there are: a line each
#[derive(Debug, Args)]
struct ListArgs {
    /// All topics that this user may see
    #[arg(long)]
    all: bool,
    /// Write a JSON object for each: {"topic","exists","partitions",…}
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    bus: BusArgs,
}

/// Create the topics that are missing
///
/// A topic that is there is left as it is; how it differs is told. So this may be run again at any time,
/// as before each start.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  heartbeat topics create --dry-run
  heartbeat topics create --partitions 12 --replication 3 --min-insync-replicas 2 --retention 30d

A topic's partitions are as many as processes can share its work; topics of dead letters and of
positions have one. Give `verify` the same flags, or better, write them into the config:
  [bus.topics]
  partitions = 12
  retention = \"30d\"")]
struct CreateArgs {
    /// Only tell what would be made; the brokers say whether they would make it
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    plan: PlanArgs,
    #[command(flatten)]
    bus: BusArgs,
}

/// Check that heartbeat's topics are there and as planned
///
/// Exit status 1 when one is missing or differs, with what to do about it. More partitions, more replicas
/// and a longer retention than planned are as good.
#[derive(Debug, Args)]
struct VerifyArgs {
    /// Write a JSON object for each: {"topic","ok","planned","found","differences"}
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    plan: PlanArgs,
    #[command(flatten)]
    bus: BusArgs,
}

/// How topics are to be.
#[derive(Debug, Args)]
#[command(next_help_heading = "Topics")]
struct PlanArgs {
    /// How many partitions topics of tweets and sentiments have [default: 6]
    #[arg(long, value_name = "N")]
    partitions: Option<NonZeroU16>,
    /// How many brokers hold each message [default: 3, or as many as there are]
    #[arg(long, value_name = "N")]
    replication: Option<NonZeroU16>,
    /// How many of these must have a message before it counts as written [default: all but one]
    #[arg(long, value_name = "N")]
    min_insync_replicas: Option<NonZeroU16>,
    /// How long messages are kept [default: 7d]
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    retention: Option<Duration>,
}

impl PlanArgs {
    /// Lays the flags over the config.
    fn apply(&self, config: &mut KafkaConfig) {
        let topics = &mut config.topics;
        topics.partitions = self.partitions.unwrap_or(topics.partitions);
        topics.replication = self.replication.or(topics.replication);
        topics.min_insync_replicas = self.min_insync_replicas.or(topics.min_insync_replicas);
        topics.retention = self.retention.unwrap_or(topics.retention);
    }
}

pub(crate) async fn run(args: &TopicsArgs, context: &Context) -> Result<ExitCode> {
    match &args.command {
        Command::List(list) => list.run(context).await,
        Command::Create(create) => create.run(context).await,
        Command::Verify(verify) => verify.run(context).await,
    }
}

impl ListArgs {
    async fn run(&self, context: &Context) -> Result<ExitCode> {
        let (kafka, stages) = config(&self.bus, context)?;
        let plans = plans(&kafka, &stages)?;
        let admin = TopicAdmin::connect(kafka).await?;
        let mut topics: Vec<(String, Option<TopicState>)> = Vec::new();
        if self.all {
            let all = admin.list().await?.into_iter();
            topics.extend(all.map(|state| (state.topic.clone(), Some(state))));
        } else {
            let all = admin.verify(&plans).await?.into_iter();
            topics.extend(all.map(|verdict| (verdict.planned.topic, verdict.found)));
        }
        let mut out = Out::new();
        if self.json {
            for (name, found) in &topics {
                out.json(&JsonTopic::new(name, found.as_ref()))?;
            }
        } else {
            let table = Table::new(topics.iter().map(|(name, _)| name.as_str()));
            out.line(table.head())?;
            for (name, found) in &topics {
                out.line(table.row(name, found.as_ref()))?;
            }
        }
        out.flush()?;
        Ok(ExitCode::SUCCESS)
    }
}

impl CreateArgs {
    async fn run(&self, context: &Context) -> Result<ExitCode> {
        let (mut kafka, stages) = config(&self.bus, context)?;
        self.plan.apply(&mut kafka);
        let plans = plans(&kafka, &stages)?;
        let admin = TopicAdmin::connect(kafka).await?;
        let mut out = Out::new();
        let mut new = 0;
        for (plan, before) in plans.iter().zip(admin.verify(&plans).await?) {
            // One by one, so that what was made is told even if the next one is refused.
            let plan = std::slice::from_ref(plan);
            let is_new = match &before.found {
                Some(_) => false,
                None if self.dry_run => !admin.dry_run(plan).await?.is_empty(),
                None => !admin.create(plan).await?.is_empty(),
            };
            new += usize::from(is_new);
            out.line(made(&before, is_new, self.dry_run))?;
            out.flush()?;
        }
        let were = plans.len() - new;
        let verb = if self.dry_run { "Would make" } else { "Made" };
        out.line(format_args!("{verb} {new}, {were} were there."))?;
        out.flush()?;
        Ok(ExitCode::SUCCESS)
    }
}

impl VerifyArgs {
    async fn run(&self, context: &Context) -> Result<ExitCode> {
        let (mut kafka, stages) = config(&self.bus, context)?;
        self.plan.apply(&mut kafka);
        let plans = plans(&kafka, &stages)?;
        let verdicts = TopicAdmin::connect(kafka).await?.verify(&plans).await?;
        let mut out = Out::new();
        for found in &verdicts {
            if self.json {
                out.json(&JsonVerdict::new(found))?;
            } else {
                out.line(verdict(found))?;
            }
        }
        out.flush()?;
        Ok(if verdicts.iter().all(Verdict::is_good) {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        })
    }
}

/// The settings of the bus, which is Kafka's, and those of the stages, which name topics.
fn config(args: &BusArgs, context: &Context) -> Result<(KafkaConfig, StagesConfig)> {
    let mut config = context.config()?;
    args.apply(&mut config)?;
    match config.bus()? {
        BusConfig::Kafka(kafka) => Ok((*kafka, config.stages)),
        other => Err(Error::misconfigured("this bus makes its topics by itself")
            .with("bus", other)
            .hint("Only Kafka's are made beforehand: choose `--bus kafka:HOST:PORT`, or `kind = \"kafka\"` in the config's `[bus]`.")),
    }
}

fn plans(kafka: &KafkaConfig, stages: &StagesConfig) -> Result<Vec<TopicPlan>> {
    TopicPlan::of_topics(&kafka.topics, &stages.topics()?)
}

/// What `heartbeat check` tells of the topics.
///
/// # Errors
/// One is missing.
pub(crate) async fn check(kafka: KafkaConfig, stages: &StagesConfig) -> Result<String> {
    let plans = plans(&kafka, stages)?;
    let verdicts = TopicAdmin::connect(kafka).await?.verify(&plans).await?;
    let missing = verdicts.iter().filter(|verdict| verdict.found.is_none());
    let missing: Vec<&str> = missing.map(|it| it.planned.topic.as_str()).collect();
    if !missing.is_empty() {
        return Err(missing_topic(missing.join(", ")));
    }
    // What this user may not see is no fault.
    let differ = verdicts
        .iter()
        .filter(|verdict| verdict.differences.iter().any(|it| it.is.is_some()));
    let differ: Vec<&str> = differ.map(|it| it.planned.topic.as_str()).collect();
    Ok(if differ.is_empty() {
        "are there and as planned".to_owned()
    } else {
        format!(
            "are there, but not as planned: {}. `heartbeat topics verify` tells how they differ",
            differ.join(", ")
        )
    })
}
