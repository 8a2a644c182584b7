//! `heartbeat record`

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use flate2::Compression;
use flate2::write::GzEncoder;
use heartbeat_core::{Error, Result, SourceBatch, recorded};
use serde::Serialize;
use tokio::time::{Instant, sleep_until};
use tracing::info;

use crate::cli::args::{SourceArgs, duration};
use crate::cli::context::Context;
use crate::cli::out::Out;
use crate::cli::signals::stop_token;
use crate::cli::work;

/// Record a live source: each message as it comes, and when
///
/// The file can be read again as often as you like, at the speed at which it came or another, and with
/// another model: `heartbeat run --source jsonl:FILE --speed 1`. Twice the same recording gives the same
/// moods. Ctrl-C or SIGTERM ends it.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  heartbeat record --source twitter last-night.jsonl.gz --for 8h
  heartbeat run --source jsonl:last-night.jsonl.gz --speed 60 --store sqlite:again.db

A line is a post with the message itself beside it,
  {\"arrived_at\":\"…\",\"id\":\"20\",\"text\":\"…\",\"created_at\":1142974214,\"matching_rules\":[{\"tag\":\"TASK\"}],\"raw\":{…}}
or a message that is no post, which becomes a dead letter again.")]
pub(crate) struct RecordArgs {
    /// Where to: a file of lines, compressed when its name ends in `.gz`
    file: PathBuf,
    /// Go on at the end of a file that is there
    #[arg(long)]
    append: bool,
    /// End after so many messages
    #[arg(long, value_name = "MESSAGES", help_heading = "End")]
    messages: Option<u64>,
    /// End after so long
    #[arg(long = "for", value_name = "DURATION", value_parser = duration, help_heading = "End")]
    time: Option<Duration>,
    /// Write what was done as one JSON object
    #[arg(long, help_heading = "End")]
    json: bool,
    #[command(flatten)]
    source: SourceArgs,
}

/// How often what was recorded is made safe, and told.
const EVERY: Duration = Duration::from_secs(10);

/// So many messages are taken at once.
const BATCH: usize = 1000;

/// What was recorded.
#[derive(Debug, Default, Serialize)]
struct Done {
    messages: u64,
    tweets: u64,
    /// Messages that are no posts.
    rejected: u64,
}

pub(crate) async fn run(args: &RecordArgs, context: &Context) -> Result<ExitCode> {
    let mut config = context.config()?;
    args.source.apply(&mut config)?;
    let mut source = config.source()?;
    if !source.keep_raw() {
        return Err(Error::misconfigured("only a live source can be recorded")
            .with("source", source)
            .hint("Choose `--source bluesky` or `--source twitter`."));
    }
    let mut recording = Recording::create(&args.file, args.append)?;

    let stop = stop_token()?;
    let source = work::open_source(source, &config.stages, &stop).await?;
    let Some((mut source, _)) = source else {
        return Ok(ExitCode::SUCCESS);
    };
    source.resume(None).await?;
    let end = args.time.and_then(|time| Instant::now().checked_add(time));
    let mut ticks = tokio::time::interval(EVERY);
    let mut done = Done::default();
    loop {
        let left = args
            .messages
            .map_or(BATCH as u64, |most| most - done.messages);
        let batch = tokio::select! {
            biased;
            () = stop.cancelled() => break,
            () = async { sleep_until(end.unwrap_or_else(Instant::now)).await }, if end.is_some() => break,
            _ = ticks.tick() => {
                recording.flush()?;
                info!(tweets = done.tweets, "Recorded {} messages so far.", done.messages);
                continue;
            }
            batch = source.next_batch(left.min(BATCH as u64) as usize) => batch?,
        };
        let Some(batch) = batch else { break };
        recording.write(&batch, &mut done)?;
        if args.messages.is_some_and(|most| done.messages >= most) {
            break;
        }
    }
    recording.finish()?;
    let mut out = Out::new();
    let Done {
        messages,
        tweets,
        rejected,
    } = &done;
    match args.json {
        true => out.json(&done)?,
        false => out.line(format_args!(
            "recorded {messages} messages: {tweets} tweets, {rejected} no posts, into {}",
            args.file.display()
        ))?,
    }
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}

/// The file.
struct Recording<'a> {
    path: &'a Path,
    to: To,
}

enum To {
    Plain(BufWriter<File>),
    Gzip(Box<GzEncoder<BufWriter<File>>>),
}

impl<'a> Recording<'a> {
    fn create(path: &'a Path, append: bool) -> Result<Self> {
        let mut options = OpenOptions::new();
        match append {
            true => options.append(true).create(true),
            false => options.write(true).create_new(true),
        };
        let file = options.open(path).map_err(|error| {
            let hint = match error.kind() {
                io::ErrorKind::AlreadyExists => {
                    "Name another file, or go on at its end with `--append`."
                }
                _ => "Name a file in a folder that is there and may be written to.",
            };
            unwritten(path, error).hint(hint)
        })?;
        let file = BufWriter::new(file);
        let is_gzip = path.extension().is_some_and(|extension| extension == "gz");
        let to = match is_gzip {
            // What is appended is a piece of its own, as gzip allows.
            true => To::Gzip(Box::new(GzEncoder::new(file, Compression::default()))),
            false => To::Plain(file),
        };
        Ok(Self { path, to })
    }

    fn write(&mut self, batch: &SourceBatch, done: &mut Done) -> Result<()> {
        let mut tweets = batch.tweets.as_slice();
        for raw in &batch.raw {
            // A source that counts wrong must not end the recording.
            let (its, rest) = tweets.split_at(raw.tweets.min(tweets.len()));
            tweets = rest;
            let mut line = recorded(raw.arrived, &raw.bytes, its);
            line.push(b'\n');
            self.to()
                .write_all(&line)
                .map_err(|error| unwritten(self.path, error))?;
            done.messages += 1;
            done.tweets += its.len() as u64;
            done.rejected += u64::from(its.is_empty());
        }
        Ok(())
    }

    fn to(&mut self) -> &mut dyn Write {
        match &mut self.to {
            To::Plain(file) => file,
            To::Gzip(gzip) => gzip,
        }
    }

    fn flush(&mut self) -> Result<()> {
        self.to()
            .flush()
            .map_err(|error| unwritten(self.path, error))
    }

    fn finish(self) -> Result<()> {
        let finished = match self.to {
            To::Plain(mut file) => file.flush(),
            To::Gzip(gzip) => gzip.finish().and_then(|mut file| file.flush()),
        };
        finished.map_err(|error| unwritten(self.path, error))
    }
}

fn unwritten(path: &Path, error: io::Error) -> Error {
    Error::misconfigured("cannot write the recording")
        .with("path", path.display())
        .caused_by(error)
}
