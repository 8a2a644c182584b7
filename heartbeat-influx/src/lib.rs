#![doc = include_str!("../README.md")]

mod admin;
mod batch;
mod client;
mod config;
mod dashboard;
mod error;
mod place;
mod query;
mod read;
mod refusals;
mod rows;
mod settings;
mod store;
mod taken;
mod tally;

pub use admin::{BucketState, DashboardState, InfluxAdmin};
pub use config::InfluxConfig;
pub use store::InfluxStore;
