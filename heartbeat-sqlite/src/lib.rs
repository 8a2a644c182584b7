#![doc = include_str!("../README.md")]

mod bus;
mod config;
mod database;
mod error;
mod format;
mod group;
mod headers;
mod log;
mod retention;
mod schemas;
mod store;
mod subscription;
mod worker;

pub use bus::SqliteBus;
pub use config::{SqliteConfig, SqliteStoreConfig, Synchronous};
pub use store::SqliteStore;
