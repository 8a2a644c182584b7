#![doc = include_str!("../README.md")]

#[cfg(test)]
extern crate self as heartbeat_twitter;

mod backoff;
mod client;
mod config;
mod error;
mod intake;
mod message;
mod meter;
mod rules;
mod settings;
mod source;
mod stream;
#[cfg(test)]
mod tests;

pub use config::{BudgetConfig, TwitterConfig};
pub use rules::{Change, Rule, RuleAdmin, Verdict};
pub use source::TwitterSource;
