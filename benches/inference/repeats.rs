//! Tweets of which half are retweets: equal texts are scored once.

use std::env;

use crate::fixtures::Fixtures;
use crate::numbers::{median, median_ratio};
use crate::ours::Ours;
use crate::protocol::Result;

const TWEETS: usize = 1000;
const TURNS: usize = 9;

pub(crate) fn run(fixtures: &Fixtures) -> Result<()> {
    let tweets = env::var("HEARTBEAT_TWEETS")?;
    let mut texts = heartbeat_benches::texts(&tweets)?;
    texts.sort_unstable();
    texts.dedup();
    let mut distinct: Vec<&str> = (0..TWEETS)
        .map(|n| texts[n * texts.len() / TWEETS].as_str())
        .collect();
    // By length, so that every other one has half of the work. Each of these comes again after all others.
    distinct.sort_by_key(|text| text.len());
    let once = distinct.iter().step_by(2);
    let repeated: Vec<&str> = once.clone().chain(once).copied().collect();

    let model = fixtures
        .model
        .to_str()
        .ok_or("the model's path is not UTF-8")?;
    let ours = Ours::open(model, "fp32")?;
    ours.score(&distinct[..TWEETS / 10])?;
    let [mut all, mut half] = [Vec::new(), Vec::new()];
    for turn in 0..TURNS {
        let mut runs = [(&distinct, &mut all), (&repeated, &mut half)];
        // Who goes first changes, for a machine that becomes slower or faster.
        if turn % 2 == 1 {
            runs.reverse();
        }
        for (texts, seconds) in runs {
            seconds.push(ours.seconds(texts)?);
        }
    }
    println!();
    println!("| {TWEETS} tweets, fp32 | texts/s | ratio |");
    println!("|---|---|---|");
    println!(
        "| all different | {:.1} | 1.00 |",
        TWEETS as f64 / median(all.clone())
    );
    println!(
        "| half of them retweets | {:.1} | {:.2} |",
        TWEETS as f64 / median(half.clone()),
        median_ratio(&all, &half)
    );
    Ok(())
}
