//! `heartbeat ingest`, `heartbeat analyze` and `heartbeat transfer`: one stage a process.

use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;
use heartbeat_core::{Idle, Result, Stage};

use crate::cli::args::{AnalyzerArgs, BusArgs, SourceArgs, StageArgs, StoreArgs};
use crate::cli::context::{Context, lasting_bus, lasting_store};
use crate::cli::flow::Flow;
use crate::cli::mood::{Mood, Watched};
use crate::cli::signals::stop_token;
use crate::cli::work::{self, Work};

/// As many empty polls in a row are the end of the work, unless told otherwise.
const ANALYZE_POLLS: u32 = 3;
/// More than for the stage before, which may have messages in flight.
const TRANSFER_POLLS: u32 = 10;

/// Run the first stage: publish a source's posts on the bus
///
/// It goes on where the last run stopped, and ends with the source. Several may read one file: each
/// post is published once.
#[derive(Debug, Args)]
#[command(after_help = "\
The three stages, each in a process of its own:
  heartbeat ingest --source jsonl:tweets.jsonl --task RU-UKR
  heartbeat analyze --until-idle
  heartbeat transfer --until-idle")]
pub(crate) struct IngestArgs {
    #[command(flatten)]
    source: SourceArgs,
    /// Read the source from its beginning, even if an earlier run has read it
    #[arg(long, help_heading = "Source")]
    from_start: bool,
    #[command(flatten)]
    bus: BusArgs,
    #[command(flatten)]
    stages: StageArgs,
    /// End with the source, as this stage does anyway
    #[arg(long, help_heading = "End")]
    until_idle: bool,
    /// Write what was done as one JSON object
    #[arg(long, help_heading = "End")]
    json: bool,
}

/// Run the second stage: score the tweets on the bus
///
/// Several at once share the work; when one dies the others take its part over.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  heartbeat analyze                    until Ctrl-C or SIGTERM
  heartbeat analyze --until-idle       until all tweets are scored and three polls brought none")]
pub(crate) struct AnalyzeArgs {
    #[command(flatten)]
    bus: BusArgs,
    #[command(flatten)]
    analyzer: AnalyzerArgs,
    #[command(flatten)]
    stages: StageArgs,
    #[command(flatten)]
    end: EndArgs,
}

/// Run the third stage: store the sentiments on the bus
///
/// Several at once share the work; when one dies the others take its part over.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  heartbeat transfer                   until Ctrl-C or SIGTERM
  heartbeat transfer --until-idle      until all is stored and ten polls brought nothing")]
pub(crate) struct TransferArgs {
    #[command(flatten)]
    bus: BusArgs,
    #[command(flatten)]
    store: StoreArgs,
    #[command(flatten)]
    stages: StageArgs,
    #[command(flatten)]
    end: EndArgs,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "End")]
struct EndArgs {
    /// End when nothing is left to do and some polls in a row brought nothing
    #[arg(long)]
    until_idle: bool,
    /// How many polls: 3 for analyze, 10 for transfer unless set; implies --until-idle
    #[arg(long, value_name = "POLLS", value_parser = clap::value_parser!(u32).range(1..))]
    idle_polls: Option<u32>,
    /// Write what was done as one JSON object
    #[arg(long)]
    json: bool,
}

impl EndArgs {
    fn idle(&self, polls: u32) -> Idle {
        match self.idle_polls {
            Some(polls) => Idle::AfterEmptyPolls(polls),
            None if self.until_idle => Idle::AfterEmptyPolls(polls),
            None => Idle::Never,
        }
    }
}

pub(crate) async fn ingest(args: &IngestArgs, context: &Context) -> Result<ExitCode> {
    let mut config = context.config()?;
    args.source.apply(&mut config)?;
    args.bus.apply(&mut config)?;
    args.stages.apply(&mut config);
    let mut options = config.options(Stage::Ingest)?;
    options.from_start = args.from_start;

    let stop = stop_token()?;
    let bus = work::open_bus(lasting_bus(config.bus()?)?, &config.stages, &stop);
    let Some(bus) = bus.await? else {
        return Ok(ExitCode::SUCCESS);
    };
    let source = work::open_source(config.source()?, &config.stages, &stop);
    let Some((source, file)) = source.await? else {
        return Ok(ExitCode::SUCCESS);
    };
    let mut flow = Flow::new(bus, stop);
    flow.ingest(source, options);
    let work = Work {
        flow,
        mood: None,
        file,
    };
    work.see_through(context, args.json).await
}

pub(crate) async fn analyze(args: &AnalyzeArgs, context: &Context) -> Result<ExitCode> {
    let mut config = context.config()?;
    args.bus.apply(&mut config)?;
    args.analyzer.apply(&mut config)?;
    args.stages.apply(&mut config);
    let mut options = config.options(Stage::Analyze)?;
    options.idle = args.end.idle(ANALYZE_POLLS);

    let stop = stop_token()?;
    let bus = work::open_bus(lasting_bus(config.bus()?)?, &config.stages, &stop);
    let Some(bus) = bus.await? else {
        return Ok(ExitCode::SUCCESS);
    };
    let (analyzer, _) = tokio::select! {
        opened = context.open_analyzer(config.analyzer()?) => opened?,
        // A model that is fetched can take its time.
        () = stop.cancelled() => return Ok(ExitCode::SUCCESS),
    };
    let mood = Mood::new();
    let mut flow = Flow::new(bus, stop);
    flow.analyze(Arc::new(Watched::new(analyzer, mood.clone())), options);
    let work = Work {
        flow,
        mood: Some(mood),
        file: None,
    };
    work.see_through(context, args.end.json).await
}

pub(crate) async fn transfer(args: &TransferArgs, context: &Context) -> Result<ExitCode> {
    let mut config = context.config()?;
    args.bus.apply(&mut config)?;
    args.store.apply(&mut config)?;
    args.stages.apply(&mut config);
    let mut options = config.options(Stage::Transfer)?;
    options.idle = args.end.idle(TRANSFER_POLLS);

    let stop = stop_token()?;
    let bus = work::open_bus(lasting_bus(config.bus()?)?, &config.stages, &stop);
    let Some(bus) = bus.await? else {
        return Ok(ExitCode::SUCCESS);
    };
    let store = work::open_store(lasting_store(config.store()?)?, &config.stages, &stop);
    let Some(store) = store.await? else {
        return Ok(ExitCode::SUCCESS);
    };
    let mut flow = Flow::new(bus, stop);
    flow.transfer(store, options);
    let work = Work {
        flow,
        mood: None,
        file: None,
    };
    work.see_through(context, args.end.json).await
}
