//! The command line.

mod args;
mod check;
mod completions;
mod context;
mod dead_letters;
mod demo;
mod done;
mod dump;
mod escape;
mod eval;
mod flow;
#[cfg(feature = "influx")]
mod influx;
mod lines;
mod log;
mod mood;
mod out;
mod record;
#[cfg(feature = "torch")]
mod roberta;
#[cfg(feature = "twitter")]
mod rules;
mod run;
mod score;
mod signals;
mod stage;
mod status;
#[cfg(feature = "kafka")]
mod topics;
mod work;

use std::io::Write;
use std::process::ExitCode;

use anstyle::{AnsiColor, Style};
use clap::{Parser, Subcommand};
use heartbeat_core::{Error, ErrorKind, Result};
use indicatif::MultiProgress;
use tracing::level_filters::LevelFilter;

use crate::cli::args::GlobalArgs;
use crate::cli::context::Context;

/// What is wrong with the command line, the config or the environment ends the program with this.
pub(crate) const BAD_USAGE: u8 = 2;

/// Measures the mood of a subject in a stream of posts.
#[derive(Debug, Parser)]
#[command(version, max_term_width = 100, after_help = AFTER_HELP)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    global: GlobalArgs,
}

const AFTER_HELP: &str = "\
Examples:
  heartbeat demo                                       what it does, in five posts
  heartbeat run                                        fake posts into heartbeat.db
  heartbeat run --source jsonl:tweets.jsonl --until-idle
  heartbeat dump --every 1m                            the mood by the minute
  heartbeat score \"What a lovely day\"

Settings come from the config file, over it from the environment (HEARTBEAT_BUS and the like), and
over that from flags.

Exit status: 0 done, 1 failed, 2 the command line, the config or the environment is wrong.";

#[derive(Debug, Subcommand)]
enum Command {
    Run(run::RunArgs),
    Ingest(stage::IngestArgs),
    Analyze(stage::AnalyzeArgs),
    Transfer(stage::TransferArgs),
    Demo(demo::DemoArgs),
    Score(score::ScoreArgs),
    Eval(eval::EvalArgs),
    Dump(dump::DumpArgs),
    DeadLetters(dead_letters::DeadLettersArgs),
    Record(record::RecordArgs),
    #[cfg(feature = "twitter")]
    Rules(rules::RulesCommand),
    #[cfg(feature = "kafka")]
    Topics(topics::TopicsArgs),
    #[cfg(feature = "influx")]
    Influx(influx::InfluxCommand),
    Check(check::CheckArgs),
    Completions(completions::CompletionsArgs),
}

impl Command {
    /// What the command tells in its log unless asked for more or less: those that work for long tell
    /// what they have done, the others give an answer.
    fn usual_level(&self) -> LevelFilter {
        match self {
            Self::Run(_)
            | Self::Ingest(_)
            | Self::Analyze(_)
            | Self::Transfer(_)
            | Self::Record(_) => LevelFilter::INFO,
            _ => LevelFilter::WARN,
        }
    }

    async fn run(self, context: &Context) -> Result<ExitCode> {
        match self {
            Self::Run(args) => run::run(&args, context).await,
            Self::Ingest(args) => stage::ingest(&args, context).await,
            Self::Analyze(args) => stage::analyze(&args, context).await,
            Self::Transfer(args) => stage::transfer(&args, context).await,
            Self::Demo(args) => demo::run(&args, context).await,
            Self::Score(args) => score::run(&args, context).await,
            Self::Eval(args) => eval::run(&args, context).await,
            Self::Dump(args) => dump::run(&args, context).await,
            Self::DeadLetters(args) => dead_letters::run(&args, context).await,
            Self::Record(args) => record::run(&args, context).await,
            #[cfg(feature = "twitter")]
            Self::Rules(args) => rules::run(&args, context).await,
            #[cfg(feature = "kafka")]
            Self::Topics(args) => topics::run(&args, context).await,
            #[cfg(feature = "influx")]
            Self::Influx(args) => influx::run(&args, context).await,
            Self::Check(args) => check::run(&args, context).await,
            Self::Completions(args) => completions::run(&args),
        }
    }
}

/// Runs the program.
pub(crate) fn main() -> ExitCode {
    let cli = Cli::parse();
    match start(cli) {
        Ok(code) => code,
        Err(error) if out::is_reader_gone(&error) => ExitCode::SUCCESS,
        Err(error) => {
            report(&error);
            match error.kind() {
                ErrorKind::Misconfigured => ExitCode::from(BAD_USAGE),
                _ => ExitCode::FAILURE,
            }
        }
    }
}

fn start(cli: Cli) -> Result<ExitCode> {
    let progress = MultiProgress::new();
    log::start(&cli.global, cli.command.usual_level(), progress.clone())?;
    let context = Context::new(&cli.global, progress);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Error::internal("cannot start the runtime").caused_by(error))?;
    let done = runtime.block_on(cli.command.run(&context));
    // A thread that waits for the standard input would hold the program up.
    runtime.shutdown_background();
    done
}

/// Tells the user what went wrong.
fn report(error: &Error) {
    const BAD: Style = AnsiColor::Red.on_default().bold();
    // When nobody listens there is nobody to tell.
    let _ = writeln!(
        anstream::stderr(),
        "heartbeat: {BAD}error{BAD:#}: {}",
        error.report()
    );
}
