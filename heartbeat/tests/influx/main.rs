//! The program with InfluxDB, on the one that `cargo xtask test` starts, and on others of its own.

#[path = "../common/mod.rs"]
mod common;
#[path = "../common/tweets.rs"]
mod lines;

mod errors;
mod outage;
mod setup;
mod tweets;
mod world;
