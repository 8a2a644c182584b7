//! Memory while texts of random lengths go through. Linux only, which tells how much a process has.

use std::env;
use std::process;

use heartbeat_benches::memory_kib;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use crate::ours::Ours;
use crate::protocol::Result;

/// Texts of a call.
const CALL: usize = 500;
/// Words of the longest text: more than a model takes.
const LONGEST: f64 = 600.0;

pub(crate) fn run(model: &str, count: usize) -> Result<()> {
    let tweets = heartbeat_benches::texts(&env::var("HEARTBEAT_TWEETS")?)?;
    let words: Vec<&str> = tweets
        .iter()
        .flat_map(|text| text.split_whitespace())
        .collect();
    let mut random = ChaCha8Rng::seed_from_u64(1);
    let ours = Ours::open(model, "fp32")?;
    println!("| texts of random lengths, {model}, fp32 | MB | MB at the peak |");
    println!("|---|---|---|");
    let mut sizes = Vec::new();
    for scored in (CALL..=count).step_by(CALL) {
        let texts: Vec<String> = (0..CALL).map(|_| text(&mut random, &words)).collect();
        ours.score(&texts.iter().map(String::as_str).collect::<Vec<_>>())?;
        if scored % count.div_ceil(10).next_multiple_of(CALL) == 0 {
            let size = of(process::id(), "VmRSS:")?;
            println!(
                "| {scored} | {size:.0} | {:.0} |",
                of(process::id(), "VmHWM:")?
            );
            sizes.push(size);
        }
    }
    let most = sizes.iter().copied().fold(f64::MIN, f64::max);
    let least = sizes.iter().copied().fold(f64::MAX, f64::min);
    let middle = (most + least) / 2.0;
    println!(
        "{:.0} MB ± {:.1} %",
        middle,
        100.0 * (most - middle) / middle
    );
    Ok(())
}

/// Some of the words; short texts are as likely as long ones at every scale.
fn text(random: &mut ChaCha8Rng, words: &[&str]) -> String {
    let length = LONGEST.powf(unit(random)) as usize;
    let word = |_| words[(unit(random) * words.len() as f64) as usize];
    (0..length).map(word).collect::<Vec<_>>().join(" ")
}

/// From 0 to 1, without 1.
pub(crate) fn unit(random: &mut ChaCha8Rng) -> f64 {
    f64::from(random.next_u32()) / (f64::from(u32::MAX) + 1.0)
}

/// What the system tells of a process's memory under that key, in MB.
pub(crate) fn of(pid: u32, key: &str) -> Result<f64> {
    let kib = memory_kib(pid, key).ok_or_else(|| format!("no {key} in its status"))?;
    Ok(f64::from(kib) * 1024.0 / 1e6)
}
