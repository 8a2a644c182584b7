//! VADER here and in Python, on the same texts in the same run.
//!
//! Reads the real tweets from the file that `HEARTBEAT_TWEETS` names and runs the Python that
//! `HEARTBEAT_PYTHON` names, which has the package vaderSentiment: `cargo xtask bench vader` sets both.
#![allow(clippy::print_stdout, reason = "the table is what it is for")]

use std::env;
use std::error::Error;
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::time::Instant;

use heartbeat_benches::runtime;
use heartbeat_core::Analyzer;
use heartbeat_vader::VaderAnalyzer;

/// How often each has its turn, and how often it goes through the tweets in a turn. Ratios are taken turn
/// by turn, as the machine's speed changes.
const TURNS: usize = 15;
const PASSES: usize = 5;

/// Reads the texts once, then answers each line of its input with the seconds of one pass.
const PYTHON: &str = r"
import json, sys, time
from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer
texts = [json.loads(line)['text'] for line in open(sys.argv[1], encoding='utf-8')]
analyzer = SentimentIntensityAnalyzer()
for _ in sys.stdin:
    start = time.perf_counter()
    for text in texts:
        analyzer.polarity_scores(text)
    print(time.perf_counter() - start, flush=True)
";

fn main() -> Result<(), Box<dyn Error>> {
    let missing = |name| format!("{name} is not set: run `cargo xtask bench vader`");
    let tweets = env::var("HEARTBEAT_TWEETS").map_err(|_| missing("HEARTBEAT_TWEETS"))?;
    let python = env::var("HEARTBEAT_PYTHON").map_err(|_| missing("HEARTBEAT_PYTHON"))?;
    let texts = heartbeat_benches::texts(&tweets)?;
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();

    let mut rival = Command::new(python)
        .args(["-c", PYTHON, &tweets])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut ask = rival.stdin.take().ok_or("Python has no input")?;
    let mut answers = BufReader::new(rival.stdout.take().ok_or("Python has no output")?).lines();
    let mut python_pass = || -> Result<f64, Box<dyn Error>> {
        writeln!(ask)?;
        Ok(answers.next().ok_or("Python has ended")??.parse()?)
    };

    let runtime = runtime();
    let vader = VaderAnalyzer::new();
    let mut rates = [const { Vec::new() }; 3];
    python_pass()?;
    for _ in 0..TURNS {
        rates[0].push(texts.len() as f64 / python_pass()?);

        let started = Instant::now();
        for _ in 0..PASSES {
            for text in &texts {
                std::hint::black_box(vader.score(text));
            }
        }
        rates[1].push((PASSES * texts.len()) as f64 / started.elapsed().as_secs_f64());

        let started = Instant::now();
        for _ in 0..PASSES {
            std::hint::black_box(runtime.block_on(vader.analyze(&texts))?);
        }
        rates[2].push((PASSES * texts.len()) as f64 / started.elapsed().as_secs_f64());
    }
    drop(ask);
    rival.wait()?;

    let ratio = |rates: &[f64], python: &[f64]| {
        median(
            rates
                .iter()
                .zip(python)
                .map(|(rate, python)| rate / python)
                .collect(),
        )
    };
    let [one_ratio, all_ratio] = [ratio(&rates[1], &rates[0]), ratio(&rates[2], &rates[0])];
    let [python, one, all] = rates.map(median);
    println!(
        "{} tweets, medians of {TURNS} alternating turns",
        texts.len()
    );
    println!("| VADER | tweets/s | times Python |");
    println!("|---|---|---|");
    println!("| Python, vaderSentiment 3.3.2 | {python:.0} | 1.0 |");
    println!("| heartbeat-vader, one core | {one:.0} | {one_ratio:.1} |");
    println!("| heartbeat-vader, batches on all cores | {all:.0} | {all_ratio:.1} |");
    Ok(())
}

fn median(mut rates: Vec<f64>) -> f64 {
    rates.sort_by(f64::total_cmp);
    rates[rates.len() / 2]
}
