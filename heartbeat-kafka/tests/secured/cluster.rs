//! The broker that all tests here share, and who comes to it.

use std::fs;
use std::num::NonZeroU16;
use std::path::Path;
use std::sync::LazyLock;
use std::time::Duration;

use heartbeat_core::{Keyed, Output, Topic, Tweet, TweetId};
use heartbeat_kafka::{KafkaConfig, RegistryConfig, Sasl, TopicAdmin, TopicPlan};
use tempfile::TempDir;
use testbed::{Kafka, KafkaOptions, Listener, Security, User};
use wiremock::MockServer;

use crate::double;

/// It dies with this process.
static KAFKA: LazyLock<Kafka> = LazyLock::new(|| {
    Kafka::start(&KafkaOptions {
        security: Security::Secured,
        ..KafkaOptions::default()
    })
    .unwrap()
});

pub(crate) fn kafka() -> &'static Kafka {
    &KAFKA
}

/// A registry and password files of a test's own.
pub(crate) struct Place {
    dir: TempDir,
    registry: MockServer,
}

impl Place {
    pub(crate) async fn new() -> Self {
        Self {
            dir: tempfile::tempdir().unwrap(),
            registry: double::start().await,
        }
    }

    /// Nobody, by this listener.
    pub(crate) fn by(&self, listener: Listener) -> KafkaConfig {
        let tls = matches!(
            listener,
            Listener::Ssl | Listener::SaslSsl | Listener::MutualSsl
        );
        KafkaConfig {
            tls: Some(tls),
            ca_file: tls.then(|| kafka().certificates().unwrap().ca.clone()),
            ..self.at(&kafka().bootstrap_of(listener).unwrap())
        }
    }

    /// Nobody, at brokers that need not be any.
    pub(crate) fn at(&self, brokers: &str) -> KafkaConfig {
        KafkaConfig {
            brokers: brokers.to_owned(),
            registry: RegistryConfig {
                url: self.registry.uri(),
                ..RegistryConfig::default()
            },
            session_timeout: Duration::from_secs(2),
            ..KafkaConfig::default()
        }
    }

    /// Somebody, by this listener.
    pub(crate) fn sign_in(&self, listener: Listener, sasl: Sasl, user: User) -> KafkaConfig {
        self.signed(self.by(listener), sasl, user)
    }

    pub(crate) fn signed(&self, config: KafkaConfig, sasl: Sasl, user: User) -> KafkaConfig {
        let file = self.dir.path().join(user.password);
        fs::write(&file, format!("{}\n", user.password)).unwrap();
        KafkaConfig {
            username: Some(user.name.to_owned()),
            sasl,
            password_file: Some(file),
            ..config
        }
    }

    /// Whoever has this certificate.
    pub(crate) fn with_certificate(&self, certificate: &Path, key: &Path) -> KafkaConfig {
        let mut config = self.by(Listener::MutualSsl);
        for (name, path) in [("certificate", certificate), ("key", key)] {
            let path = path.to_str().unwrap().to_owned();
            config
                .properties
                .insert(format!("ssl.{name}.location"), path);
        }
        config
    }

    /// Makes a topic of that name, by the listener that lets everybody.
    pub(crate) async fn topic(&self, name: &str) -> Topic {
        let config = self.by(Listener::Plaintext);
        let topic = Topic::new(name).unwrap();
        let plans = [
            TopicPlan {
                partitions: const { NonZeroU16::new(1).unwrap() },
                ..TopicPlan::new(&config.topics, &topic)
            },
            TopicPlan::of_positions(&config.topics).unwrap(),
        ];
        let admin = TopicAdmin::connect(config).await.unwrap();
        admin.create(&plans).await.unwrap();
        topic
    }
}

pub(crate) fn post(topic: &Topic, id: i64) -> Output {
    let value = Tweet {
        time: 1_652_073_462,
        content: "I love it".to_owned(),
        task: "a".to_owned(),
    };
    let id = TweetId(id);
    Output {
        topic: topic.clone(),
        envelope: Keyed { id, value }.to_envelope().unwrap(),
    }
}
