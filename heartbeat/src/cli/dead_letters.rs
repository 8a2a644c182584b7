//! `heartbeat dead-letters`

mod letter;
mod read;
mod replay;
mod view;

use std::collections::{BTreeSet, HashSet};
use std::io::Write;
use std::ops::ControlFlow;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use heartbeat::config::{Config, SourceConfig};
use heartbeat_core::{Error, PostParser, Result, Stage, Topic};

use crate::cli::args::BusArgs;
use crate::cli::context::Context;
use crate::cli::dead_letters::letter::Place;
use crate::cli::dead_letters::read::{open, scan};
use crate::cli::dead_letters::replay::{Fate, Replay, Selection, Tally};
use crate::cli::dead_letters::view::{JsonLetter, full, head, row};
use crate::cli::escape::printable;
use crate::cli::out::{Out, is_terminal};

/// See and replay what could not be read, scored or stored
///
/// Beside each topic lies one of dead letters, `ingest.dead` and `sentiment.dead`: the messages that a
/// stage gave up, with what went wrong. `list` tells the id of each, which is the place where it lies:
/// topic, partition and offset. What was replayed is not listed again.
#[derive(Debug, Args)]
pub(crate) struct DeadLettersArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    List(ListArgs),
    Show(ShowArgs),
    Replay(ReplayArgs),
}

/// Where the dead letters are.
#[derive(Debug, Args)]
struct PlaceArgs {
    /// Only the dead letters of this topic, `ingest` or `ingest.dead` [default: both topics]
    #[arg(long)]
    topic: Option<String>,
    #[command(flatten)]
    bus: BusArgs,
}

/// List dead letters: a line each
#[derive(Debug, Args)]
struct ListArgs {
    /// Write JSON lines, with everything that is known of each
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    place: PlaceArgs,
}

/// Show everything about one dead letter
#[derive(Debug, Args)]
struct ShowArgs {
    /// Its id, such as `ingest.dead/0/17`
    id: Place,
    /// Write a JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    bus: BusArgs,
}

/// Send dead letters on their way again, once the cause is mended
///
/// A message is published on its topic again. A line of the source that was no post is read again, and
/// published when it is one now; give --task when that was what it lacked. What still fails is a dead
/// letter again, and the exit status is 1.
///
/// A topic can only be passed in order, so dead letters that were not selected are put behind the
/// others, each under a new id. Whatever happens meanwhile, none is lost or replayed twice.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  heartbeat dead-letters replay --all --dry-run
  heartbeat dead-letters replay --stage ingest --task RU-UKR
  heartbeat dead-letters replay --id ingest.dead/0/17 --id ingest.dead/3/2")]
struct ReplayArgs {
    #[command(flatten)]
    selection: SelectionArgs,
    /// The subject of posts that do not name theirs [default: that of the config's source]
    #[arg(long, env = "HEARTBEAT_TASK")]
    task: Option<String>,
    /// Only tell what would be done
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    place: PlaceArgs,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct SelectionArgs {
    /// All of them
    #[arg(long)]
    all: bool,
    /// Those that this stage gave up: `ingest`, `analyze` or `transfer`
    #[arg(long)]
    stage: Option<Stage>,
    /// This one; may be given several times
    #[arg(long, value_name = "ID")]
    id: Vec<Place>,
}

pub(crate) async fn run(args: &DeadLettersArgs, context: &Context) -> Result<ExitCode> {
    match &args.command {
        Command::List(list) => list.run(context).await,
        Command::Show(show) => show.run(context).await,
        Command::Replay(replay) => replay.run(context).await,
    }
}

impl PlaceArgs {
    /// The topics of dead letters.
    fn topics(&self, config: &Config) -> Result<Vec<Topic>> {
        if let Some(name) = &self.topic {
            let topic = Topic::new(name)?;
            let is_dead = name.ends_with(".dead");
            return Ok(vec![if is_dead { topic } else { topic.dead_letters() }]);
        }
        let topics = config.stages.topics()?;
        Ok(vec![
            topics.ingest.dead_letters(),
            topics.sentiment.dead_letters(),
        ])
    }
}

impl ListArgs {
    async fn run(&self, context: &Context) -> Result<ExitCode> {
        let topics = self.place.topics(&context.config()?)?;
        let bus = open(context.bus(&self.place.bus)?, &topics).await?;
        let mut out = Out::new();
        let width = is_terminal()
            .then(terminal_size::terminal_size)
            .flatten()
            .map(|(width, _)| usize::from(width.0));
        let mut listed = 0;
        for topic in &topics {
            scan(bus.as_ref(), topic, |message| {
                if self.json {
                    out.json(&JsonLetter::new(message))?;
                } else {
                    if listed == 0 {
                        out.line(head())?;
                    }
                    out.line(row(message, width))?;
                }
                listed += 1;
                Ok(ControlFlow::Continue(()))
            })
            .await?;
        }
        out.flush()?;
        if listed == 0 {
            let _ = writeln!(anstream::stderr(), "No dead letters.");
        }
        bus.close().await?;
        Ok(ExitCode::SUCCESS)
    }
}

impl ShowArgs {
    async fn run(&self, context: &Context) -> Result<ExitCode> {
        let topics = std::slice::from_ref(&self.id.topic);
        let bus = open(context.bus(&self.bus)?, topics).await?;
        let mut found = None;
        scan(bus.as_ref(), &self.id.topic, |message| {
            if Place::of(message) != self.id {
                return Ok(ControlFlow::Continue(()));
            }
            found = Some(message.clone());
            Ok(ControlFlow::Break(()))
        })
        .await?;
        bus.close().await?;
        let message = found.ok_or_else(|| no_such(&self.id))?;
        let mut out = Out::new();
        if self.json {
            out.json(&JsonLetter::new(&message))?;
        } else {
            out.line(full(&message).trim_end())?;
        }
        out.flush()?;
        Ok(ExitCode::SUCCESS)
    }
}

impl ReplayArgs {
    async fn run(&self, context: &Context) -> Result<ExitCode> {
        let config = context.config()?;
        let mut topics = self.place.topics(&config)?;
        let configured = match config.source {
            Some(SourceConfig::Jsonl(jsonl)) => jsonl.task,
            _ => None,
        };
        let parser = PostParser::new(self.task.clone().or(configured))?;
        let selection = self.selection.get();
        if let Selection::Places(places) = &selection {
            let named: BTreeSet<_> = places.iter().map(|place| place.topic.clone()).collect();
            topics = named.into_iter().collect();
        }
        let replay = Replay { selection, parser };
        let bus = open(context.bus(&self.place.bus)?, &topics).await?;

        // First a look at all of them, so that nothing is begun that cannot be done.
        let mut out = Out::new();
        let mut planned = Tally::default();
        let mut ends = Vec::new();
        let mut missing: HashSet<Place> = self.selection.id.iter().cloned().collect();
        for topic in &topics {
            let end = scan(bus.as_ref(), topic, |message| {
                let place = Place::of(message);
                missing.remove(&place);
                let fate = replay.fate(message.clone());
                planned.count(&fate);
                if self.dry_run {
                    match fate {
                        Fate::Replayed(_) => {
                            out.line(format_args!("{place}  would be replayed"))?;
                        }
                        Fate::Kept(_) => {}
                        Fate::Failed(_, error) => {
                            let error = error.report();
                            let error = printable(&error);
                            out.line(format_args!("{place}  would fail again: {error}"))?;
                        }
                    }
                }
                Ok(ControlFlow::Continue(()))
            })
            .await?;
            ends.push((topic, end));
        }
        if let Some(place) = missing.iter().min() {
            return Err(no_such(place));
        }
        if self.dry_run {
            bus.close().await?;
            out.line(format_args!("Would replay {planned}."))?;
            out.flush()?;
            return Ok(ExitCode::SUCCESS);
        }

        let mut done = Tally::default();
        // When all would stay as they are, there is no need to move them.
        if planned.replayed + planned.failed > 0 {
            for (topic, end) in ends {
                done += replay.run(bus.as_ref(), topic, end).await?;
            }
        } else {
            done = planned;
        }
        bus.close().await?;
        out.line(format_args!("Replayed {done}."))?;
        out.flush()?;
        Ok(match done.failed {
            0 => ExitCode::SUCCESS,
            _ => ExitCode::FAILURE,
        })
    }
}

impl SelectionArgs {
    fn get(&self) -> Selection {
        match self.stage {
            Some(stage) => Selection::Stage(stage),
            None if self.all => Selection::All,
            None => Selection::Places(self.id.iter().cloned().collect()),
        }
    }
}

fn no_such(place: &Place) -> Error {
    Error::invalid("no such dead letter")
        .with("id", place)
        .hint("`heartbeat dead-letters list` tells those there are; a replay gives those that stay new ids.")
}
