//! Reading posts of X: a line, beside serde_json into a value of any shape and Python's json on the same lines in the same run; and
//! all that the source does, from the network to a batch.
//!
//! Makes the lines of the real tweets in the file that `HEARTBEAT_TWEETS` names and runs the Python that `HEARTBEAT_PYTHON`
//! names: `cargo xtask bench posts` sets both.
#![allow(clippy::print_stdout, reason = "the table is what it is for")]

mod server;

use std::error::Error;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Instant;
use std::{env, fs, hint, thread};

use heartbeat_core::{PostParser, Source};
use heartbeat_twitter::{TwitterConfig, TwitterSource};
use serde_json::{Value, json};

/// How often each has its turn. Ratios are taken turn by turn, as the machine's speed changes.
const TURNS: usize = 15;
const PASSES: usize = 10;

/// As many posts a second X sends at most.
const MOST: f64 = 250.0;

/// Reads the lines once, then answers each line of its input with the seconds of one pass.
const PYTHON: &str = r"
import json, sys, time
lines = open(sys.argv[1], 'rb').read().splitlines()
for _ in sys.stdin:
    start = time.perf_counter()
    for line in lines:
        json.loads(line)
    print(time.perf_counter() - start, flush=True)
";

type Done<T> = Result<T, Box<dyn Error>>;

fn main() -> Done<()> {
    let missing = |name| format!("{name} is not set: run `cargo xtask bench posts`");
    let tweets = env::var("HEARTBEAT_TWEETS").map_err(|_| missing("HEARTBEAT_TWEETS"))?;
    let python = env::var("HEARTBEAT_PYTHON").map_err(|_| missing("HEARTBEAT_PYTHON"))?;
    let texts = heartbeat_benches::texts(&tweets)?;
    let lines: Vec<String> = (1..).zip(&texts).map(|(id, text)| line(id, text)).collect();
    let dir = tempfile::tempdir()?;
    let file = dir.path().join("lines.jsonl");
    fs::write(&file, lines.concat())?;

    let mut python = Python::start(&python, &file.display().to_string())?;
    let parser = PostParser::default();
    let mut rates = [const { Vec::new() }; 3];
    python.pass()?;
    for _ in 0..TURNS {
        rates[0].push(lines.len() as f64 / python.pass()?);
        rates[1].push(rate(&lines, |line| {
            drop(hint::black_box(serde_json::from_str::<Value>(line)));
        }));
        rates[2].push(rate(&lines, |line| {
            drop(hint::black_box(parser.post(line.as_bytes())));
        }));
    }
    let ratio = |rates: &[f64], rivals: &[f64]| {
        median(
            rates
                .iter()
                .zip(rivals)
                .map(|(rate, rival)| rate / rival)
                .collect(),
        )
    };
    let (of_python, of_value) = (ratio(&rates[2], &rates[0]), ratio(&rates[2], &rates[1]));
    let value_of_python = ratio(&rates[1], &rates[0]);
    let [python, value, ours] = rates.map(median);
    println!(
        "{} lines of {} bytes in the middle, one core, medians of {TURNS} alternating turns",
        lines.len(),
        middle(&lines)
    );
    println!("| reading a line | lines/s | times Python | times serde_json |");
    println!("|---|---|---|---|");
    println!("| Python, json.loads | {python:.0} | 1.0 | |");
    println!("| serde_json, into a value | {value:.0} | {value_of_python:.1} | 1.0 |");
    println!("| heartbeat, into a post | {ours:.0} | {of_python:.1} | {of_value:.1} |");
    println!(
        "{MOST} a second take {:.3} % of a core.",
        100.0 * MOST / ours
    );

    let seconds = source(lines, dir.path())?;
    println!(
        "The whole source takes {:.1} µs of a core for each post: at {MOST} a second {:.2} %.",
        seconds * 1e6,
        100.0 * MOST * seconds
    );
    Ok(())
}

/// The line of a post, as X sends it.
fn line(id: i64, text: &str) -> String {
    // Of 2022, so that it has as many digits as one of today.
    let id = (1_523_542_345_123_456_000 + id).to_string();
    let data = json!({
        "created_at": "2022-05-09T05:17:42.000Z", "edit_history_tweet_ids": [id], "id": id, "text": text,
    });
    let rules = json!([{"id": "1523542345123456789", "tag": "RU-UKR"}]);
    format!("{}\r\n", json!({"data": data, "matching_rules": rules}))
}

fn rate(lines: &[String], mut read: impl FnMut(&str)) -> f64 {
    let started = Instant::now();
    for _ in 0..PASSES {
        lines.iter().for_each(|line| read(line));
    }
    (PASSES * lines.len()) as f64 / started.elapsed().as_secs_f64()
}

/// The seconds of processor that the source's thread takes for a post, in the middle of some turns.
fn source(lines: Vec<String>, dir: &std::path::Path) -> Done<f64> {
    let posts = lines.len();
    let address = server::start(lines)?;
    let token = dir.join("token");
    fs::write(&token, "any")?;
    let mut config = TwitterConfig::default();
    config.base_url = format!("http://{address}");
    config.token_file = Some(token);
    let mut turns = Vec::new();
    for _ in 0..TURNS {
        let config = config.clone();
        let turn = thread::spawn(move || -> Result<f64, String> {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build();
            let runtime = runtime.map_err(|error| error.to_string())?;
            runtime.block_on(async {
                let mut source = TwitterSource::open(config)
                    .await
                    .map_err(|error| error.report())?;
                let before = cpu_seconds().map_err(|error| error.to_string())?;
                source.resume(None).await.map_err(|error| error.report())?;
                let mut read = 0;
                while read < posts {
                    let batch = source
                        .next_batch(1000)
                        .await
                        .map_err(|error| error.report())?;
                    read += batch.map_or(posts, |batch| batch.tweets.len());
                }
                let after = cpu_seconds().map_err(|error| error.to_string())?;
                Ok((after - before) / posts as f64)
            })
        });
        turns.push(turn.join().map_err(|_| "the source panicked")??);
    }
    Ok(median(turns))
}

/// What this thread has had of a processor: `se.sum_exec_runtime`, in milliseconds with a fraction.
fn cpu_seconds() -> Done<f64> {
    let text = fs::read_to_string("/proc/thread-self/schedstat")?;
    let nanos: f64 = text.split(' ').next().ok_or("no time")?.parse()?;
    Ok(nanos / 1e9)
}

fn middle(lines: &[String]) -> usize {
    let mut lengths: Vec<usize> = lines.iter().map(String::len).collect();
    lengths.sort_unstable();
    lengths[lengths.len() / 2]
}

fn median(mut rates: Vec<f64>) -> f64 {
    rates.sort_by(f64::total_cmp);
    rates[rates.len() / 2]
}

struct Python {
    child: Child,
    ask: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Python {
    fn start(python: &str, file: &str) -> Done<Self> {
        let mut child = Command::new(python)
            .args(["-c", PYTHON, file])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let ask = child.stdin.take().ok_or("Python has no input")?;
        let answers = BufReader::new(child.stdout.take().ok_or("Python has no output")?);
        Ok(Self {
            child,
            ask,
            answers,
        })
    }

    fn pass(&mut self) -> Done<f64> {
        writeln!(self.ask)?;
        let mut answer = String::new();
        self.answers.read_line(&mut answer)?;
        Ok(answer.trim().parse()?)
    }
}

impl Drop for Python {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
