//! How long single texts take while others come: at times of their own, twice as far apart as they could be.

use std::sync::Arc;
use std::time::{Duration, Instant};

use heartbeat_core::Analyzer;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use tokio::task::JoinSet;

use crate::memory::unit;
use crate::ours::Ours;
use crate::protocol::Result;

/// How often each text comes at half load.
const TIMES: usize = 4;

/// The rate at which texts that come one by one, all at once, are scored.
pub(crate) fn stream(ours: &Ours, texts: &[String]) -> Result<f64> {
    let started = Instant::now();
    let gone = ours
        .runtime
        .block_on(arrive(ours, texts, |_| Duration::ZERO))?;
    Ok(gone.len() as f64 / started.elapsed().as_secs_f64())
}

/// Prints the latency at half that rate.
pub(crate) fn at_half_load(ours: &Ours, texts: &[String]) -> Result<()> {
    stream(ours, texts)?;
    let rate = stream(ours, texts)? / 2.0;
    let mut random = ChaCha8Rng::seed_from_u64(1);
    let mut at = 0.0;
    let mut times: Vec<f64> = (0..TIMES * texts.len())
        .map(|_| {
            at -= (1.0 - unit(&mut random)).ln() / rate;
            at
        })
        .collect();
    let texts: Vec<String> = texts.iter().cycle().take(times.len()).cloned().collect();
    let moment = |n: usize| Duration::from_secs_f64(times[n]);
    times = ours.runtime.block_on(arrive(ours, &texts, moment))?;
    times.sort_by(f64::total_cmp);
    let at = |share: f64| 1e3 * times[(share * (times.len() - 1) as f64) as usize];
    println!();
    println!("| single texts, fp32 | texts/s | p50, ms | p99, ms |");
    println!("|---|---|---|---|");
    println!(
        "| at half load | {rate:.1} | {:.1} | {:.1} |",
        at(0.5),
        at(0.99)
    );
    Ok(())
}

/// Each text by itself at its moment, whatever became of those before it; the seconds that each took.
async fn arrive(
    ours: &Ours,
    texts: &[String],
    moment: impl Fn(usize) -> Duration,
) -> Result<Vec<f64>> {
    let started = tokio::time::Instant::now();
    let mut calls = JoinSet::new();
    for (n, text) in texts.iter().enumerate() {
        let due = started + moment(n);
        let (analyzer, text) = (Arc::clone(&ours.analyzer), text.clone());
        calls.spawn(async move {
            tokio::time::sleep_until(due).await;
            analyzer
                .analyze(&[&text])
                .await
                .map(|_| due.elapsed().as_secs_f64())
        });
    }
    let mut seconds = Vec::new();
    while let Some(call) = calls.join_next().await {
        seconds.push(call??);
    }
    Ok(seconds)
}
