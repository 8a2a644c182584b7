//! `heartbeat eval`

mod labelled;
mod metrics;
mod report;

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Args;
use heartbeat_core::{Analyzer, Error, Result};
use indicatif::{ProgressBar, ProgressStyle};

use crate::cli::args::AnalyzerArgs;
use crate::cli::context::Context;
use crate::cli::eval::labelled::LabelledReader;
use crate::cli::eval::metrics::Confusion;
use crate::cli::eval::report::Report;
use crate::cli::lines::{Line, open, read_ahead};
use crate::cli::out::Out;
use crate::cli::score::score_each;

/// So many bad rows are told one by one.
const BAD_ROWS_TOLD: u64 = 5;

/// Measure how well the analyzer agrees with people
///
/// Reads texts that people have judged, and tells accuracy, macro recall, macro F1, each class's
/// precision, recall and F1, the confusion matrix and the speed of scoring.
///
/// A row is an object, {"text": "…", "label": "positive"} or {"text": "…", "valence": 2.1}, or columns
/// parted by tabs: text and truth, or id, truth and text, as VADER's ground truth has them, or any that
/// a header names `text` and `label` or `valence`. A label is negative, neutral or positive; a number is
/// a valence, whose sign tells the class. A row that is none of that is told and left out.
///
/// VADER decides its label by its compound score: positive from 0.05 on, negative from -0.05 down,
/// neutral between. A model's label is that of the greatest share. A class that never occurs is left out
/// of the macro means.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  heartbeat eval tweets.tsv
  heartbeat eval tweets.tsv --analyzer roberta:small           a transformer, in a build that has it
  heartbeat eval tweets.jsonl.gz --min-macro-recall 0.7     a gate for CI: exit status 1 below it")]
pub(crate) struct EvalArgs {
    /// The labelled texts, JSONL or TSV (`.gz` too), or `-` for the standard input
    file: PathBuf,
    /// A valence up to this, above or below 0, is neutral
    #[arg(long, value_name = "VALENCE", default_value_t = 0.5, value_parser = not_negative)]
    neutral_within: f64,
    /// End with exit status 1 when the macro recall is below this, 0 to 1
    #[arg(long, value_name = "RECALL", value_parser = share)]
    min_macro_recall: Option<f64>,
    /// Write one JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    analyzer: AnalyzerArgs,
}

pub(crate) async fn run(args: &EvalArgs, context: &Context) -> Result<ExitCode> {
    let analyzer = context.analyzer(&args.analyzer).await?;
    let name = args.file.display().to_string();
    let (bar, mut batches) = if name == "-" {
        (
            ProgressBar::hidden(),
            read_ahead("standard input", io::stdin()),
        )
    } else {
        let (file, size) = open(&args.file)?;
        let bar = context
            .progress
            .add(ProgressBar::new(size).with_style(style()));
        let batches = read_ahead(&name, bar.wrap_read(file));
        (bar, batches)
    };
    let mut evaluation = Evaluation {
        analyzer: analyzer.as_ref(),
        reader: LabelledReader::new(args.neutral_within),
        confusion: Confusion::default(),
        bad_rows: 0,
        scoring: Duration::ZERO,
    };
    while let Some(batch) = batches.recv().await {
        evaluation.add(batch?).await?;
    }
    bar.finish_and_clear();

    let Evaluation {
        confusion,
        bad_rows,
        scoring,
        ..
    } = evaluation;
    let report = Report::new(&confusion, bad_rows, scoring).ok_or_else(|| {
        Error::invalid("there is no labelled text")
            .with("file", &name)
            .with("bad rows", bad_rows)
            .hint("`heartbeat eval --help` tells how rows are written.")
    })?;
    let mut out = Out::new();
    if args.json {
        out.json(&report)?;
    } else {
        out.line(&report)?;
    }
    out.flush()?;
    match args.min_macro_recall {
        Some(least) if report.macro_recall < least => {
            let recall = report.macro_recall;
            Err(Error::invalid(format!(
                "the macro recall is {recall:.4}, below the {least} that --min-macro-recall asks for"
            )))
        }
        _ => Ok(ExitCode::SUCCESS),
    }
}

fn style() -> ProgressStyle {
    ProgressStyle::with_template("{bar:40} {percent:>3} %  {eta} left")
        .expect("the template above is well-formed")
}

struct Evaluation<'a> {
    analyzer: &'a dyn Analyzer,
    reader: LabelledReader,
    confusion: Confusion,
    bad_rows: u64,
    /// How long scoring took.
    scoring: Duration,
}

impl Evaluation<'_> {
    async fn add(&mut self, lines: Vec<Line>) -> Result<()> {
        let mut rows = Vec::with_capacity(lines.len());
        for Line { number, text } in lines {
            // What a line that is no text is told as names it already.
            let row = text.and_then(|text| {
                let row = self.reader.read(&text);
                row.map_err(|error| error.with("line", number))
            });
            match row {
                Ok(Some(row)) => rows.push((number, row)),
                Ok(None) => {}
                Err(error) => self.leave_out(&error),
            }
        }
        let texts: Vec<&str> = rows.iter().map(|(_, row)| row.text.as_str()).collect();
        let begun = Instant::now();
        let scores = score_each(self.analyzer, &texts).await?;
        self.scoring += begun.elapsed();
        for ((number, row), scores) in rows.iter().zip(scores) {
            match scores {
                Ok(scores) => self.confusion.add(row.truth, scores.label),
                Err(error) => self.leave_out(&error.with("line", number)),
            }
        }
        Ok(())
    }

    fn leave_out(&mut self, error: &Error) {
        self.bad_rows += 1;
        if self.bad_rows <= BAD_ROWS_TOLD {
            tracing::warn!(error = error.report(), "A row is left out.");
        } else if self.bad_rows == BAD_ROWS_TOLD + 1 {
            tracing::warn!("More rows are left out: the report tells how many.");
        }
    }
}

fn not_negative(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(number) if (0.0..=f64::MAX).contains(&number) => Ok(number),
        _ => Err("a number from 0 on".to_owned()),
    }
}

fn share(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(number) if (0.0..=1.0).contains(&number) => Ok(number),
        _ => Err("a number from 0 to 1".to_owned()),
    }
}
