#![doc = include_str!("../README.md")]

mod analyzer;
mod scores;

pub use analyzer::VaderAnalyzer;
