//! `heartbeat demo`

use std::io;
use std::num::NonZeroU16;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anstream::{AutoStream, ColorChoice};
use clap::Args;
use heartbeat_core::{Idle, Pages, Query, Result, Stage, StageOptions};
use heartbeat_mock::{
    FakeConfig, FakeSource, Ids, MemoryBus, MemoryConfig, MemoryStore, Narrator, format_point,
};

use crate::cli::args::AnalyzerArgs;
use crate::cli::context::Context;
use crate::cli::flow::Flow;
use crate::cli::out::Out;
use crate::cli::signals::stop_token;

/// Show the whole pipeline at work in memory, step by step
///
/// Fake posts on RU-UKR come in, are scored and stored, and every step is told: what is added to the
/// bus, what is got from it, what the store takes. Then comes what is stored: tweet id, task, time,
/// positive, neutral and negative share. The first consumer ends after 3 polls in a row that brought
/// nothing, the second after 10. Nothing is kept.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  heartbeat demo
  heartbeat demo --count 20 --seed 1")]
pub(crate) struct DemoArgs {
    /// Decides the posts
    #[arg(long, default_value_t = 7)]
    seed: u64,
    /// How many posts
    #[arg(long, default_value_t = 5)]
    count: u64,
    #[command(flatten)]
    analyzer: AnalyzerArgs,
}

const TASK: &str = "RU-UKR";

/// Posts a second: quick to look at, slow enough to see the stages take turns.
const RATE: f64 = 10.0;

/// Longer than from one post to the next.
const WAIT: Duration = Duration::from_millis(150);

pub(crate) async fn run(args: &DemoArgs, context: &Context) -> Result<ExitCode> {
    let analyzer = context.analyzer(&args.analyzer).await?;
    let source = FakeSource::new(FakeConfig {
        seed: Some(args.seed),
        count: Some(args.count),
        rate: RATE,
        tasks: vec![TASK.to_owned()],
        ids: Ids::Short,
    })?;
    let colours = AutoStream::choice(&io::stdout()) != ColorChoice::Never;
    let narrator = Narrator::new(io::stdout(), colours);
    let bus = MemoryBus::new(MemoryConfig {
        // So that everything comes in one order.
        partitions: NonZeroU16::MIN,
        ..MemoryConfig::default()
    });
    let store = MemoryStore::new();

    let mut flow = Flow::new(Arc::new(bus.narrated(narrator.clone())), stop_token()?);
    flow.ingest(Box::new(source), StageOptions::new(Stage::Ingest));
    flow.analyze(analyzer, options(Stage::Analyze, 3));
    let narrated = store.clone().narrated(narrator);
    flow.transfer(Arc::new(narrated), options(Stage::Transfer, 10));
    flow.finish().await?;

    let mut out = Out::new();
    let mut pages = Pages::new(&store, Query::default(), 1000);
    let mut index = 0;
    while let Some(points) = pages.next().await? {
        for point in &points {
            out.line(format_args!("{index}) {}", format_point(point)))?;
            index += 1;
        }
    }
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}

fn options(stage: Stage, polls: u32) -> StageOptions {
    let mut options = StageOptions::new(stage);
    options.wait = WAIT;
    options.idle = Idle::AfterEmptyPolls(polls);
    options
}
