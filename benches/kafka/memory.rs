//! Memory of `heartbeat analyze` while it works through a million messages.

use std::env;
use std::error::Error;
use std::fs;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use heartbeat_benches::memory_kib;
use heartbeat_core::{Bus, PartitionLag, Topic};

use crate::world::World;

const MESSAGES: usize = 1_000_000;

/// The table has a line for each of so many parts.
const PARTS: usize = 10;

/// Runs the program that `HEARTBEAT_PROGRAM` names and prints what it took.
pub(crate) fn run() -> Result<(), Box<dyn Error>> {
    let program = env::var("HEARTBEAT_PROGRAM")
        .map_err(|_| "HEARTBEAT_PROGRAM is not set: run `cargo xtask bench kafka`")?;
    let world = World::set_up(MESSAGES)?;
    let out = Topic::new("moods")?;
    world.topic(&out)?;
    let folder = tempfile::tempdir()?;
    let config = folder.path().join("heartbeat.toml");
    let text = format!(
        "[bus]\nkind = 'kafka'\nbrokers = '{}'\nregistry = '{}'\n\
         [stages]\ningest_topic = '{}'\nsentiment_topic = '{out}'\n",
        world.brokers, world.registry, world.tweets
    );
    fs::write(&config, text)?;
    let mut analyze = Command::new(&program)
        .args(["analyze", "--until-idle", "--quiet", "--config"])
        .arg(&config)
        .current_dir(folder.path())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()?;
    let bus = world.bus()?;
    println!("| messages analyzed | resident memory |");
    println!("|---|---|");
    let mut part = 1;
    let status = loop {
        if let Some(status) = analyze.try_wait()? {
            break status;
        }
        let lag = bus.lag(&world.tweets, "heartbeat-analyze");
        // What may pass, such as a coordinator that is not yet chosen, may pass.
        let Ok(lag) = world.runtime.block_on(lag) else {
            continue;
        };
        let behind: u64 = lag
            .iter()
            .map(|PartitionLag { messages, .. }| messages)
            .sum();
        let done = MESSAGES.saturating_sub(usize::try_from(behind)?);
        if done >= part * MESSAGES / PARTS
            && let Some(kib) = memory_kib(analyze.id(), "VmRSS:")
        {
            println!("| {done} | {:.0} MiB |", f64::from(kib) / 1024.0);
            part = done * PARTS / MESSAGES + 1;
        }
        thread::sleep(Duration::from_millis(50));
    };
    if !status.success() {
        return Err(format!("{program} failed: {status}").into());
    }
    Ok(())
}
