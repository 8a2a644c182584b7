#![doc = include_str!("../README.md")]

mod analyzer;
mod architecture;
mod blocking;
mod checkpoint;
mod config;
mod error;
mod files;
mod hub;
mod origin;
mod roberta;
mod tokenizer;
mod worker;

pub use analyzer::{Loaded, RobertaAnalyzer};
pub use config::{Device, HubConfig, Precision, Progress, RobertaConfig};
pub use hub::fetch;
