//! `heartbeat score`

use std::io::{self, IsTerminal, Read, Write};
use std::path::Path;
use std::process::ExitCode;

use clap::Args;
use heartbeat_core::{Analyzer, ErrorKind, Label, Result, Scores};
use serde::Serialize;

use crate::cli::args::AnalyzerArgs;
use crate::cli::context::Context;
use crate::cli::escape::printable;
use crate::cli::lines::{open, read_ahead};
use crate::cli::out::Out;

/// Tell the mood of texts: a line in, a line out
///
/// A line of the answer has the label, the shares negative, neutral and positive, which sum to 1, and
/// the text. VADER decides the label by its compound score: positive from 0.05 on, negative from -0.05
/// down, neutral between. A model's label is that of the greatest share.
///
/// A line that is not UTF-8, or is longer than 1 MiB, is told on the standard error by its number; the
/// others are scored, and the exit status is 1.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  heartbeat score \"What a lovely day\"
  heartbeat score \"What a lovely day\" --analyzer roberta:small     by a transformer, in a build that has it
  heartbeat score tweets.txt.gz --json
  tail -f chat.log | heartbeat score")]
pub(crate) struct ScoreArgs {
    /// A file of lines (`.gz` too), `-` for the standard input, or else the text itself [default: -, when
    /// something is piped in]
    #[arg(value_name = "TEXT | FILE | -")]
    input: Option<String>,
    /// Write JSON lines: {"text","neg","neu","pos","label"}
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    analyzer: AnalyzerArgs,
}

#[derive(Serialize)]
struct JsonScores<'a> {
    text: &'a str,
    neg: f32,
    neu: f32,
    pos: f32,
    label: Label,
}

pub(crate) async fn run(args: &ScoreArgs, context: &Context) -> Result<ExitCode> {
    if args.input.is_none() && io::stdin().is_terminal() {
        let _ = writeln!(anstream::stderr(), "{NOTHING}");
        return Ok(ExitCode::from(super::BAD_USAGE));
    }
    let analyzer = context.analyzer(&args.analyzer).await?;
    let mut scorer = Scorer {
        analyzer: analyzer.as_ref(),
        json: args.json,
        out: Out::new(),
        all_good: true,
    };
    match args.input.as_deref() {
        None | Some("-") => scorer.lines("standard input", io::stdin()).await?,
        Some(input) => {
            let path = Path::new(input);
            if path.exists() && !path.is_dir() {
                scorer.lines(input, open(path)?.0).await?;
            } else {
                scorer.texts(&[input]).await?;
            }
        }
    }
    Ok(if scorer.all_good {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

const NOTHING: &str = "\
Nothing to score. Give a text, a file, or pipe lines in:
  heartbeat score \"What a lovely day\"
`heartbeat score --help` tells more.";

struct Scorer<'a> {
    analyzer: &'a dyn Analyzer,
    json: bool,
    out: Out,
    all_good: bool,
}

impl Scorer<'_> {
    async fn lines(&mut self, name: &str, input: impl Read + Send + 'static) -> Result<()> {
        let mut batches = read_ahead(name, input);
        while let Some(batch) = batches.recv().await {
            let mut texts = Vec::new();
            for line in batch? {
                match line.text {
                    Ok(text) => texts.push(text),
                    Err(error) => {
                        self.all_good = false;
                        super::report(&error);
                    }
                }
            }
            let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
            self.texts(&texts).await?;
        }
        Ok(())
    }

    /// Scores texts and hands the answers on.
    async fn texts(&mut self, texts: &[&str]) -> Result<()> {
        let scores = score_each(self.analyzer, texts).await?;
        for (text, scores) in texts.iter().zip(scores) {
            match scores {
                Ok(scores) if self.json => self.out.json(&JsonScores {
                    text,
                    neg: scores.neg,
                    neu: scores.neu,
                    pos: scores.pos,
                    label: scores.label,
                })?,
                Ok(Scores {
                    neg,
                    neu,
                    pos,
                    label,
                }) => self.out.line(format_args!(
                    "{label:<8}  neg {neg:.3}  neu {neu:.3}  pos {pos:.3}  {}",
                    printable(text)
                ))?,
                Err(error) => {
                    self.all_good = false;
                    super::report(&error);
                }
            }
        }
        self.out.flush()
    }
}

/// Scores texts, each one by itself when the analyzer refuses one of them.
pub(super) async fn score_each(
    analyzer: &dyn Analyzer,
    texts: &[&str],
) -> Result<Vec<Result<Scores>>> {
    match analyzer.analyze(texts).await {
        Ok(scores) => Ok(scores.into_iter().map(Ok).collect()),
        Err(error) if error.kind() == ErrorKind::Invalid => {
            let mut each = Vec::with_capacity(texts.len());
            for text in texts {
                match analyzer.analyze(&[text]).await {
                    Ok(scores) => each.extend(scores.into_iter().map(Ok)),
                    Err(error) if error.kind() == ErrorKind::Invalid => each.push(Err(error)),
                    Err(error) => return Err(error),
                }
            }
            Ok(each)
        }
        Err(error) => Err(error),
    }
}
