//! The broker and the registry that all tests of a run share.

use std::{process::Command, thread};

use anyhow::{Context, Result};
use testbed::{Installation, Kafka, KafkaOptions, Registry};

use crate::shell::step;

/// Both run until this is dropped.
#[derive(Debug)]
pub(crate) struct Shared {
    broker: Kafka,
    registry: Registry,
}

impl Shared {
    /// Starts both at once, and returns when both are ready.
    ///
    /// # Errors
    /// One of them does not start; the message has the end of its log.
    pub(crate) fn start(installation: &Installation) -> Result<Self> {
        step("starting a Kafka broker and a schema registry");
        thread::scope(|scope| {
            let broker = scope.spawn(|| Kafka::start_from(installation, &KafkaOptions::default()));
            let registry = Registry::start_from(installation, None);
            let broker = broker
                .join()
                .ok()
                .context("the broker's starter panicked")?;
            Ok(Self {
                broker: broker?,
                registry: registry?,
            })
        })
    }

    /// Tells a command their addresses.
    pub(crate) fn tell(&self, command: &mut Command) {
        command
            .env(testbed::SHARED_BROKERS, self.broker.bootstrap())
            .env(testbed::SHARED_REGISTRY, self.registry.url());
    }
}
