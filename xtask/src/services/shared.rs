//! The broker, the registry and the database that all tests of a run share.

use std::{process::Command, thread};

use anyhow::{Context, Result};
use testbed::{Influx, Installation, Kafka, KafkaOptions, Registry};

use crate::shell::step;

/// All run until this is dropped.
#[derive(Debug)]
pub(crate) struct Shared {
    broker: Kafka,
    registry: Registry,
    influx: Influx,
}

impl Shared {
    /// Starts all at once, and returns when they are ready.
    ///
    /// # Errors
    /// One of them does not start; the message has the end of its log.
    pub(crate) fn start(installation: &Installation) -> Result<Self> {
        step("starting a Kafka broker, a schema registry and InfluxDB");
        thread::scope(|scope| {
            let broker = scope.spawn(|| Kafka::start_from(installation, &KafkaOptions::default()));
            let influx = Influx::start_from(installation);
            let registry = Registry::start_from(installation, None);
            let broker = broker
                .join()
                .ok()
                .context("the broker's starter panicked")?;
            Ok(Self {
                broker: broker?,
                registry: registry?,
                influx: influx?,
            })
        })
    }

    /// Tells a command their addresses.
    pub(crate) fn tell(&self, command: &mut Command) {
        command
            .env(testbed::SHARED_BROKERS, self.broker.bootstrap())
            .env(testbed::SHARED_REGISTRY, self.registry.url())
            .env(testbed::SHARED_INFLUX, self.influx.url());
    }
}
