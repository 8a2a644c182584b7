//! The program over real Kafka brokers and a real schema registry, which `cargo xtask test` starts: whatever is killed
//! and whenever, every tweet ends as one point.
//!
//! `cargo xtask test` also gives it the real tweets (`HEARTBEAT_TWEETS`), the Python that other programs are written in
//! (`HEARTBEAT_PYTHON`), and how many times to kill (`HEARTBEAT_KILLS`).
#![cfg(unix)]

mod bad_input;
mod brokers;
mod foreign;
mod kill;
mod process;
mod python;
mod registry;
mod scale;
#[path = "../common/tweets.rs"]
mod tweets;
mod world;
