//! A broker, a registry and a topic full of tweets.

use std::error::Error;
use std::sync::Arc;

use heartbeat_benches::{runtime, tweet};
use heartbeat_core::{Bus, Output, Topic};
use heartbeat_kafka::{KafkaBus, KafkaConfig, RegistryConfig, TopicAdmin, TopicPlan, TopicsConfig};
use testbed::{Kafka, KafkaOptions, Registry};
use tokio::runtime::Runtime;

/// How many tweets the topic of the rates holds.
pub(crate) const TWEETS: usize = 400_000;

/// What all engines share.
pub(crate) struct World {
    pub(crate) runtime: Runtime,
    pub(crate) brokers: String,
    pub(crate) registry: String,
    pub(crate) tweets: Topic,
    _services: (Kafka, Registry),
}

impl World {
    /// Starts the services and fills the topic with so many tweets.
    pub(crate) fn set_up(tweets: usize) -> Result<Self, Box<dyn Error>> {
        let kafka = Kafka::start(&KafkaOptions {
            optimised: true,
            ..KafkaOptions::default()
        })?;
        let registry = Registry::start(None)?;
        let world = Self {
            runtime: runtime(),
            brokers: kafka.bootstrap(),
            registry: registry.url(),
            tweets: Topic::new("tweets")?,
            _services: (kafka, registry),
        };
        world.topic(&world.tweets)?;
        let bus = world.bus()?;
        world.runtime.block_on(async {
            for first in (0..tweets).step_by(10_000) {
                let outputs: Result<Vec<_>, _> = (first..first + 10_000)
                    .map(|id| {
                        Ok::<_, heartbeat_core::Error>(Output {
                            topic: world.tweets.clone(),
                            envelope: tweet(id as i64).to_envelope()?,
                        })
                    })
                    .collect();
                bus.publish(&outputs?, None).await?;
            }
            bus.close().await
        })?;
        Ok(world)
    }

    pub(crate) fn config(&self) -> KafkaConfig {
        KafkaConfig {
            brokers: self.brokers.clone(),
            registry: RegistryConfig {
                url: self.registry.clone(),
                ..RegistryConfig::default()
            },
            ..KafkaConfig::default()
        }
    }

    pub(crate) fn bus(&self) -> Result<Arc<KafkaBus>, Box<dyn Error>> {
        Ok(Arc::new(
            self.runtime.block_on(KafkaBus::open(self.config()))?,
        ))
    }

    /// Makes a topic and that of its dead letters.
    pub(crate) fn topic(&self, topic: &Topic) -> Result<(), Box<dyn Error>> {
        let config = TopicsConfig {
            partitions: 4.try_into()?,
            ..TopicsConfig::default()
        };
        let plans = [topic, &topic.dead_letters()].map(|topic| TopicPlan::new(&config, topic));
        self.runtime.block_on(async {
            TopicAdmin::connect(self.config())
                .await?
                .create(&plans)
                .await
        })?;
        Ok(())
    }
}
