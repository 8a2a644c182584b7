#![doc = include_str!("../README.md")]

mod assignment;
mod bus;
mod client;
mod config;
mod error;
mod fetched;
mod health;
mod list;
mod member;
mod partition;
mod positions;
mod progress;
mod reader;
mod records;
mod registry;
mod settings;
mod shared;
mod statistics;
mod subscription;
mod topics;
mod transactions;
mod trouble;
mod worker;

pub use bus::KafkaBus;
pub use config::{KafkaConfig, Sasl, TopicsConfig};
pub use error::missing_topic;
pub use registry::RegistryConfig;
pub use topics::{Cleanup, Difference, TopicAdmin, TopicPlan, TopicState, Verdict};
