//! The promises of a bus, on librdkafka's own mock of a broker: those that it can keep.
#![expect(clippy::unwrap_used, reason = "a test may stop where it stands")]

mod double;

use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::thread;
use std::time::Duration;

use async_trait::async_trait;
use heartbeat_core::conformance::bus;
use heartbeat_core::{Bus, Topic};
use heartbeat_kafka::{KafkaBus, KafkaConfig, RegistryConfig};
use rdkafka::mocking::MockCluster;
use tokio::task::JoinSet;
use wiremock::MockServer;

struct Mock {
    brokers: String,
    topics: Sender<NewTopic>,
    registry: MockServer,
}

/// A topic that is to be made, and who waits for it.
struct NewTopic {
    name: String,
    partitions: i32,
    made: Sender<()>,
}

impl Mock {
    async fn new() -> Self {
        let (topics, orders) = channel::<NewTopic>();
        let (tell, brokers) = channel();
        // It stays on the thread that made it, and lives for as long as anybody may want a topic.
        thread::spawn(move || {
            let cluster = MockCluster::new(1).unwrap();
            tell.send(cluster.bootstrap_servers()).unwrap();
            for topic in orders {
                cluster
                    .create_topic(&topic.name, topic.partitions, 1)
                    .unwrap();
                topic.made.send(()).unwrap();
            }
        });
        let mock = Self {
            brokers: brokers.recv().unwrap(),
            topics,
            registry: double::start().await,
        };
        mock.make("heartbeat-positions", 1);
        mock
    }

    fn make(&self, topic: &str, partitions: i32) {
        let (made, wait) = channel();
        let topic = NewTopic {
            name: topic.to_owned(),
            partitions,
            made,
        };
        self.topics.send(topic).unwrap();
        wait.recv().unwrap();
    }
}

#[async_trait]
impl bus::BusHarness for Mock {
    async fn open(&self) -> Arc<dyn Bus> {
        let config = KafkaConfig {
            brokers: self.brokers.clone(),
            registry: RegistryConfig {
                url: self.registry.uri(),
                ..RegistryConfig::default()
            },
            // Longer than the mock lets a group's first member wait.
            session_timeout: Duration::from_secs(6),
            ..KafkaConfig::default()
        };
        Arc::new(KafkaBus::open(config).await.unwrap())
    }

    async fn create_topic(&self, topic: &Topic, partitions: i32) {
        for topic in [topic, &topic.dead_letters()] {
            self.make(topic.as_str(), partitions);
        }
    }

    fn takeover(&self) -> Duration {
        Duration::from_secs(8)
    }
}

/// The mock does not keep offsets that are committed in a transaction.
const BEYOND: [&str; 7] = [
    "lag_counts_what_is_not_committed",
    "checkpoints_cover_their_messages",
    "what_is_committed_is_not_read_again",
    "a_commit_publishes_with_the_advance",
    "a_commit_is_all_or_nothing",
    "a_commit_of_what_was_lost_publishes_nothing",
    "members_come_and_go_and_nothing_is_doubled",
];

#[tokio::test(flavor = "multi_thread")]
async fn bus_keeps_its_promises() {
    let mock = Arc::new(Mock::new().await);
    // All at once, as most of the time goes into waiting: the mock lets a group's first member wait for 3 s.
    let mut kept = JoinSet::new();
    for (name, promise) in bus::PROMISES
        .iter()
        .filter(|(name, _)| !BEYOND.contains(name))
    {
        let mock = mock.clone();
        kept.spawn(async move {
            promise(mock.as_ref()).await;
            println!("bus: {name}");
        });
    }
    while let Some(done) = kept.join_next().await {
        done.unwrap();
    }
}
