#![doc = include_str!("../README.md")]

#[cfg(test)]
extern crate self as heartbeat_bluesky;

mod config;
mod connection;
mod dial;
mod error;
mod filter;
mod id;
mod intake;
mod place;
mod settings;
mod source;
mod stream;
#[cfg(test)]
mod tests;
mod wire;
mod words;

pub use config::BlueskyConfig;
pub use filter::{Found, MessageKind, PostFilter};
pub use source::BlueskySource;
