//! Real services on loopback for tests and benches: Kafka brokers, a schema registry and InfluxDB, each a process that a test
//! may kill and start again. All calls block, none needs a runtime, and what was started ends when it is dropped, or when the
//! process that started it ends, however it does.
//!
//! `cargo xtask test` fetches the services and tells where they are; it also starts one of each that all tests of a run share
//! ([`shared_brokers`], [`shared_registry`], [`shared_influx`]). A test that kills, or needs three brokers or passwords,
//! starts its own:
//!
//! ```no_run
//! use testbed::{Kafka, KafkaOptions, Registry};
//!
//! # fn main() -> anyhow::Result<()> {
//! let mut kafka = Kafka::start(&KafkaOptions {
//!     brokers: 3,
//!     ..KafkaOptions::default()
//! })?;
//! let registry = Registry::start(Some(&kafka.bootstrap()))?;
//! println!("{} {}", kafka.bootstrap(), registry.url());
//! kafka.kill(1)?;
//! kafka.restart(1)?;
//! # Ok(())
//! # }
//! ```

mod http;
mod influx;
mod installation;
mod kafka;
mod ports;
mod process;
mod registry;

pub use influx::{INFLUX_ORG, INFLUX_TOKEN, Influx};
pub use installation::{
    Installation, SHARED_BROKERS, SHARED_INFLUX, SHARED_REGISTRY, shared_brokers, shared_influx,
    shared_registry,
};
#[cfg(feature = "secured")]
pub use kafka::{Certificates, GUEST, Identity, USER, User};
pub use kafka::{Kafka, KafkaOptions, Listener, Security};
pub use registry::Registry;
