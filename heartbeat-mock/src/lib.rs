#![doc = include_str!("../README.md")]

mod analyzers;
mod bus;
mod fake;
mod faults;
mod lock;
mod narrator;
mod python;
mod store;

pub use analyzers::{FailingAnalyzer, FreeAnalyzer, SlowAnalyzer, TableAnalyzer};
pub use bus::{MemoryBus, MemoryConfig};
pub use fake::{FakeConfig, FakeSource, Ids};
pub use faults::{Call, Faults};
pub use narrator::Narrator;
pub use python::format_point;
pub use store::MemoryStore;
