//! `heartbeat run`

use std::num::NonZeroUsize;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;
use heartbeat::config::{BusConfig, Config};
use heartbeat_core::{Idle, Result};

use crate::cli::args::PipelineArgs;
use crate::cli::context::Context;
use crate::cli::flow::Flow;
use crate::cli::mood::{Mood, Watched};
use crate::cli::signals::stop_token;
use crate::cli::work::{self, Work};

/// Run the whole pipeline in this process: read, score and store
///
/// It goes on where the last run stopped. Ctrl-C or SIGTERM finishes what is in flight; a second one
/// ends at once.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  heartbeat run                                          fake posts into heartbeat.db
  heartbeat run --source jsonl:tweets.jsonl.gz --task RU-UKR --until-idle
  heartbeat run --source bluesky --task CATS --words 'cat,cats,kitten*'
  heartbeat run --source jsonl:last-night.jsonl.gz --speed 60
  heartbeat run --source fake --seed 7 --count 500 --rate 0 --until-idle --json
  tail -F posts.jsonl | heartbeat run --source jsonl:- --store sqlite:moods.db

A line of input is a post as X's filtered stream gives it,
  {\"data\":{\"id\":\"20\",\"text\":\"…\",\"created_at\":\"2006-03-21T20:50:14Z\"},\"matching_rules\":[{\"tag\":\"TASK\"}]}
or a flat one,
  {\"id\":\"20\",\"text\":\"…\",\"created_at\":\"2006-03-21T20:50:14Z\",\"task\":\"TASK\"}
A line that is none becomes a dead letter: see `heartbeat dead-letters`.")]
pub(crate) struct RunArgs {
    #[command(flatten)]
    pipeline: PipelineArgs,
    /// Read the source from its beginning, even if an earlier run has read it
    #[arg(long, help_heading = "Source")]
    from_start: bool,
    /// End when the source has ended and all of it is stored
    #[arg(long, help_heading = "End")]
    until_idle: bool,
    /// Write what was done as one JSON object
    #[arg(long, help_heading = "End")]
    json: bool,
}

/// The most messages that a topic in memory holds, unless the config says otherwise: nobody can come
/// later to read what all have read. More than any store likes to be handed at once.
const MEMORY: NonZeroUsize = const { NonZeroUsize::new(50_000).unwrap() };

/// Runs the command.
pub(crate) async fn run(args: &RunArgs, context: &Context) -> Result<ExitCode> {
    let config = args.config(context)?;
    let [mut ingest, mut analyze, mut transfer] = work::options(&config)?;
    ingest.from_start = args.from_start;

    let stop = stop_token()?;
    let source = work::open_source(config.source()?, &config.stages, &stop);
    let Some((source, file)) = source.await? else {
        return Ok(ExitCode::SUCCESS);
    };
    let bus = work::open_bus(config.bus()?, &config.stages, &stop);
    let Some(bus) = bus.await? else {
        return Ok(ExitCode::SUCCESS);
    };
    let (analyzer, _) = tokio::select! {
        opened = context.open_analyzer(config.analyzer()?) => opened?,
        // A model that is fetched can take its time.
        () = stop.cancelled() => return Ok(ExitCode::SUCCESS),
    };
    let store = work::open_store(config.store()?, &config.stages, &stop);
    let Some(store) = store.await? else {
        return Ok(ExitCode::SUCCESS);
    };
    let mood = Mood::new();
    let analyzer = Arc::new(Watched::new(analyzer, mood.clone()));

    let mut flow = Flow::new(bus, stop);
    let ingested = flow.ingest(source, ingest);
    if args.until_idle {
        analyze.idle = Idle::WhenDrained(ingested);
    }
    let analyzed = flow.analyze(analyzer, analyze);
    if args.until_idle {
        transfer.idle = Idle::WhenDrained(analyzed);
    }
    flow.transfer(store, transfer);
    Work {
        flow,
        mood: Some(mood),
        file,
    }
    .see_through(context, args.json)
    .await
}

impl RunArgs {
    /// The config with the flags over it.
    fn config(&self, context: &Context) -> Result<Config> {
        let mut config = context.config()?;
        self.pipeline.apply(&mut config)?;
        if let Some(BusConfig::Memory(memory)) = &mut config.bus {
            memory.capacity.get_or_insert(MEMORY);
        }
        Ok(config)
    }
}
