//! A million fake tweets through `heartbeat run` on SQLite: how fast, and how much memory at its peak.
//!
//! Runs the program that `HEARTBEAT_PROGRAM` names: `cargo xtask bench pipeline` builds it. Linux only, which tells
//! a process's peak of memory while it runs.
#![allow(clippy::print_stdout, reason = "the table is what it is for")]

use std::error::Error;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use std::{env, thread};

use heartbeat_benches::memory_kib;

/// A tenth first: memory is flat when the whole takes no more.
const COUNTS: [u32; 2] = [100_000, 1_000_000];

fn main() -> Result<(), Box<dyn Error>> {
    let program = env::var("HEARTBEAT_PROGRAM")
        .map_err(|_| "HEARTBEAT_PROGRAM is not set: run `cargo xtask bench pipeline`")?;
    println!("| fake tweets, scored by VADER, SQLite | seconds | tweets/s | peak memory |");
    println!("|---|---|---|---|");
    for count in COUNTS {
        let folder = tempfile::tempdir()?;
        let started = Instant::now();
        let mut run = Command::new(&program)
            .args(["run", "--source", "fake", "--seed", "1", "--rate", "0"])
            .args(["--count", &count.to_string(), "--until-idle", "--quiet"])
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()?;
        let mut peak = 0;
        let status = loop {
            if let Some(status) = run.try_wait()? {
                break status;
            }
            peak = memory_kib(run.id(), "VmHWM:").unwrap_or(peak);
            thread::sleep(Duration::from_millis(10));
        };
        let seconds = started.elapsed().as_secs_f64();
        if !status.success() {
            return Err(format!("{program} failed: {status}").into());
        }
        println!(
            "| {count} | {seconds:.1} | {:.0} | {:.0} MiB |",
            f64::from(count) / seconds,
            f64::from(peak) / 1024.0
        );
    }
    Ok(())
}
