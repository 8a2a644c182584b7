//! heartbeat-torch against its rivals, and by itself: `cargo xtask bench inference` sets up all it needs.
//!
//! | given | what it does |
//! |---|---|
//! | nothing | `rivals`, `repeats` and `speed` |
//! | `rivals [--only LABEL] [--json FILE]` | the same texts through all engines in turn, or through those labelled so |
//! | `repeats` | tweets of which half are retweets |
//! | `speed` | by itself: batches, a stream, latency at half load, the tokenizer |
//! | `memory [MODEL [COUNT]]` | memory while so many texts of random lengths go through; of 100,000 and `small` |
#![allow(missing_docs, reason = "criterion's macros make undocumented items")]
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "tables and progress are what it is for"
)]

mod contest;
mod entry;
mod fixtures;
mod latency;
mod memory;
mod numbers;
mod ours;
mod processor;
mod protocol;
mod repeats;
mod rival;
mod speed;
mod table;
mod work;

use std::env;
use std::fs;

use crate::fixtures::Fixtures;
use crate::protocol::Result;

fn main() -> Result<()> {
    // Cargo adds `--bench`.
    let words: Vec<String> = env::args()
        .skip(1)
        .filter(|word| word != "--bench")
        .collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words[..] {
        ["serve", model, precision] => return ours::serve(model, precision),
        ["memory"] => return memory::run("small", 100_000),
        ["memory", model] => return memory::run(model, 100_000),
        ["memory", model, count] => return memory::run(model, count.parse()?),
        _ => {}
    }
    let fixtures = Fixtures::from_env()?;
    match words[..] {
        [] => {
            rivals(&fixtures, &[])?;
            repeats::run(&fixtures)?;
            speed::run(&fixtures)
        }
        ["rivals", ref flags @ ..] => rivals(&fixtures, flags),
        ["repeats"] => repeats::run(&fixtures),
        // Criterion's own: a filter, and flags.
        [filter, ..] if filter.starts_with("speed") => speed::run(&fixtures),
        _ => Err(
            "unknown: give nothing, rivals [--only LABEL] [--json FILE], repeats, speed or memory [MODEL [COUNT]]"
                .into(),
        ),
    }
}

fn rivals(fixtures: &Fixtures, flags: &[&str]) -> Result<()> {
    let (mut only, mut json) = ("", None);
    for flag in flags.chunks(2) {
        match *flag {
            ["--only", label] => only = label,
            ["--json", file] => json = Some(file),
            _ => return Err("rivals takes --only LABEL and --json FILE".into()),
        }
    }
    let report = contest::run(fixtures, only)?;
    report.print();
    if let Some(file) = json {
        fs::write(file, serde_json::to_vec_pretty(&report)?)?;
    }
    Ok(())
}
