//! Points a second into InfluxDB: the store beside the client that it is built on, Python's client, and curl.
//!
//! `cargo xtask bench influx` sets all of it up. Every engine writes the same points to a bucket of its own on one server on
//! this machine, which shares the processors with it:
//!
//! - heartbeat: [`InfluxStore`](heartbeat_influx::InfluxStore) with its defaults, 20,000 points a call;
//! - influxdb2: the crate's own `write`, 5,000 points a call;
//! - Python: influxdb-client in its batching mode, 5,000 points a batch;
//! - curl: bodies of 5,000 lines that were made and compressed before, four at a time: what the server can take.
#![allow(clippy::print_stdout, reason = "the table is what it is for")]

mod engine;

use std::error::Error;

use crate::engine::{Engine, World};

/// Turns of each engine; the middle one counts.
const TURNS: usize = 5;

fn main() -> Result<(), Box<dyn Error>> {
    let world = World::set_up()?;
    let engines = [
        Engine::Heartbeat,
        Engine::Influxdb2,
        Engine::Python,
        Engine::Curl,
    ];
    let mut rates: [Vec<f64>; 4] = Default::default();
    for turn in 0..TURNS {
        for (engine, rates) in engines.iter().zip(&mut rates) {
            rates.push(engine.run(&world, turn)?);
        }
    }
    let rates = rates.map(|mut rates| {
        rates.sort_by(f64::total_cmp);
        rates[TURNS / 2]
    });
    let [_, influxdb2, python, curl] = rates;
    println!("| engine | points/s | share of curl | times influxdb2 | times Python |");
    println!("|---|---|---|---|---|");
    for (engine, rate) in engines.iter().zip(rates) {
        println!(
            "| {} | {rate:.0} | {:.2} | {:.1} | {:.1} |",
            engine.name(),
            rate / curl,
            rate / influxdb2,
            rate / python
        );
    }
    Ok(())
}
