//! The promises of a bus, on real brokers and a real schema registry.
#![expect(clippy::unwrap_used, reason = "a test may stop where it stands")]

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use heartbeat_core::conformance::{bus, flow};
use heartbeat_core::{Bus, Payload, Topic};
use heartbeat_kafka::{KafkaBus, KafkaConfig, RegistryConfig, TopicAdmin, TopicPlan, TopicsConfig};
use heartbeat_mock::MemoryStore;
use testbed::{Kafka, KafkaOptions};
use tokio::sync::OnceCell;

struct Real {
    brokers: String,
    registry: String,
    admin: OnceCell<TopicAdmin>,
}

impl Real {
    fn config(&self) -> KafkaConfig {
        KafkaConfig {
            brokers: self.brokers.clone(),
            registry: RegistryConfig {
                url: self.registry.clone(),
                ..RegistryConfig::default()
            },
            session_timeout: Duration::from_secs(2),
            transaction_timeout: Duration::from_secs(4),
            handover: Duration::from_secs(1),
            ..KafkaConfig::default()
        }
    }
}

#[async_trait]
impl bus::BusHarness for Real {
    async fn open(&self) -> Arc<dyn Bus> {
        Arc::new(KafkaBus::open(self.config()).await.unwrap())
    }

    async fn create_topic(&self, topic: &Topic, partitions: i32) {
        let config = TopicsConfig {
            partitions: u16::try_from(partitions).unwrap().try_into().unwrap(),
            ..TopicsConfig::default()
        };
        let plans = [
            TopicPlan::new(&config, topic),
            TopicPlan::new(&config, &topic.dead_letters()),
            TopicPlan::of_positions(&config).unwrap(),
        ];
        let admin = self
            .admin
            .get_or_init(|| async { TopicAdmin::connect(self.config()).await.unwrap() });
        admin.await.create(&plans).await.unwrap();
    }

    fn takeover(&self) -> Duration {
        Duration::from_secs(6)
    }

    fn refused(&self) -> Option<Payload> {
        Some(Payload::Raw {
            bytes: vec![7; 2 << 20].into(),
            reason: String::new(),
        })
    }
}

impl Real {
    fn shared() -> Self {
        Self::on(testbed::shared_brokers().unwrap())
    }

    fn on(brokers: String) -> Self {
        Self {
            brokers,
            registry: testbed::shared_registry().unwrap(),
            admin: OnceCell::new(),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bus_keeps_its_promises() {
    bus::all(&Real::shared()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn stages_keep_theirs() {
    flow::all(&Real::shared(), Arc::new(MemoryStore::new())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn all_keep_theirs_on_three_brokers() {
    let options = KafkaOptions {
        brokers: 3,
        ..KafkaOptions::default()
    };
    let kafka = Kafka::start(&options).unwrap();
    let real = Real::on(kafka.bootstrap());
    bus::all(&real).await;
    flow::all(&real, Arc::new(MemoryStore::new())).await;
}
