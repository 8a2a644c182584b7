//! `analyze` over Kafka beside the same loop on librdkafka's C API and in Python: messages a second.
//!
//! `cargo xtask bench kafka` sets all of it up. Every engine reads the same tweets from a topic and writes a sentiment
//! for each to another, so many to a transaction:
//!
//! - heartbeat: `analyze` with an analyzer that takes no time, exactly once;
//! - librdkafka: its C API, no decoding, no encoding, no transactions: what it writes is what it read;
//! - Python: confluent-kafka with its own Avro serializers, the same transactions as heartbeat's.
//!
//! `rates` is that alone, `rates SIZE` with so many messages to a transaction; `memory` is what the program takes for a
//! million messages.
#![allow(clippy::print_stdout, reason = "the table is what it is for")]

mod engine;
mod memory;
mod world;

use std::error::Error;

use crate::engine::{Engine, Task};
use crate::world::{TWEETS, World};

/// Messages to a transaction.
const SIZES: [usize; 3] = [100, 1_000, 10_000];

/// Turns of each engine; the middle one counts.
const TURNS: usize = 5;

fn main() -> Result<(), Box<dyn Error>> {
    // Cargo adds `--bench`.
    let mut words = std::env::args().skip(1).filter(|word| word != "--bench");
    match words.next().as_deref() {
        None => rates(&SIZES).and_then(|()| memory::run()),
        Some("rates") => match words.next() {
            None => rates(&SIZES),
            Some(size) => rates(&[size.parse()?]),
        },
        Some("memory") => memory::run(),
        Some(other) => Err(format!("unknown: {other}. There are `rates` and `memory`").into()),
    }
}

fn rates(sizes: &[usize]) -> Result<(), Box<dyn Error>> {
    let world = World::set_up(TWEETS)?;
    println!(
        "| messages a transaction | engine | messages/s | times Python | share of librdkafka |"
    );
    println!("|---|---|---|---|---|");
    for &size in sizes {
        let engines = [Engine::Heartbeat, Engine::Librdkafka, Engine::Python];
        let mut rates: [Vec<f64>; 3] = Default::default();
        for turn in 0..TURNS {
            for (engine, rates) in engines.iter().zip(&mut rates) {
                let messages = engine.messages(size);
                let task = Task {
                    size,
                    messages,
                    name: format!("{}-{size}-{turn}", engine.name()),
                };
                let seconds = engine.run(&world, &task)?;
                rates.push(messages as f64 / seconds);
            }
        }
        let [ours, librdkafka, python] = rates.map(median);
        for (engine, rate) in engines.iter().zip([ours, librdkafka, python]) {
            println!(
                "| {size} | {} | {rate:.0} | {:.1} | {:.2} |",
                engine.name(),
                rate / python,
                rate / librdkafka
            );
        }
    }
    Ok(())
}

fn median(mut rates: Vec<f64>) -> f64 {
    rates.sort_by(f64::total_cmp);
    rates.get(rates.len() / 2).copied().unwrap_or_default()
}
