//! What a bus and its subscriptions share.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use heartbeat_core::{Output, Result, Topic};
use rdkafka::config::FromClientConfigAndContext;
use rdkafka::consumer::BaseConsumer;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::metadata::MetadataPartition;
use rdkafka::producer::{Producer, ThreadedProducer};

use crate::client::{Deliveries, Told};
use crate::config::KafkaConfig;
use crate::error::{explain, missing_topic};
use crate::health::Health;
use crate::reader::Reader;
use crate::records::Records;
use crate::registry::Registry;
use crate::settings::Settings;
use crate::transactions::Transactions;
use crate::worker::Worker;

/// What a bus and its subscriptions share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) config: KafkaConfig,
    pub(crate) settings: Settings,
    pub(crate) health: Arc<Health>,
    pub(crate) registry: Registry,
    pub(crate) control: Worker<Control>,
    /// The topic of the sources' positions.
    pub(crate) positions: Topic,
    /// Topics that were there.
    known: Mutex<HashSet<Topic>>,
    slots: Arc<Mutex<HashMap<String, BTreeSet<usize>>>>,
    instance: String,
}

/// A client that asks about the cluster. Its calls block.
pub(crate) struct Control {
    client: ThreadedProducer<Deliveries>,
    patience: Duration,
}

impl Control {
    fn new(settings: &Settings, told: Told, patience: Duration) -> Result<Self> {
        let deliveries = Deliveries::new(told);
        let client = ThreadedProducer::from_config_and_context(&settings.control(), deliveries)
            .map_err(explain)?;
        Ok(Self { client, patience })
    }

    /// The partitions of a topic; none when it does not exist.
    fn partitions(&self, topic: &Topic) -> Result<Vec<i32>> {
        let told = self
            .client
            .client()
            .fetch_metadata(Some(topic.as_str()), self.patience);
        let told = told.map_err(explain)?;
        let Some(told) = told
            .topics()
            .iter()
            .find(|told| told.name() == topic.as_str())
        else {
            return Ok(Vec::new());
        };
        match told.error().map(RDKafkaErrorCode::from) {
            None => {
                let partitions = told.partitions().iter();
                let mut partitions: Vec<i32> = partitions.map(MetadataPartition::id).collect();
                partitions.sort_unstable();
                Ok(partitions)
            }
            Some(RDKafkaErrorCode::UnknownTopicOrPartition) => Ok(Vec::new()),
            Some(code) => Err(explain(KafkaError::MetadataFetch(code)).with("topic", topic)),
        }
    }

    /// The offset behind the last message of each partition, committed or not; none when there is no such topic.
    pub(crate) fn ends(&self, topic: &Topic) -> Result<BTreeMap<i32, i64>> {
        let partitions = self.partitions(topic)?.into_iter();
        partitions
            .map(|partition| Ok((partition, self.end(topic, partition)?)))
            .collect()
    }

    /// Whether the brokers answer.
    fn reach(&self) -> Result<()> {
        self.client
            .client()
            .fetch_metadata(None, self.patience)
            .map_err(explain)?;
        Ok(())
    }

    /// The offset behind the last message of a partition, committed or not.
    pub(crate) fn end(&self, topic: &Topic, partition: i32) -> Result<i64> {
        let ends = self
            .client
            .client()
            .fetch_watermarks(topic.as_str(), partition, self.patience);
        let (_, end) = ends.map_err(|error| {
            // The client may go on asking a broker that is dead: this tells it which one leads now.
            let _ = self.partitions(topic);
            explain(error).with("topic", topic)
        })?;
        Ok(end)
    }
}

impl Shared {
    /// Nothing is connected to yet.
    fn new(config: KafkaConfig) -> Result<Self> {
        config.check()?;
        let settings = Settings::new(&config)?;
        let health = Arc::<Health>::default();
        let told = Told {
            health: health.clone(),
            client: "control".into(),
        };
        let control = Control::new(&settings, told, config.request_timeout)?;
        let instance = config
            .instance
            .clone()
            .unwrap_or_else(|| format!("{:016x}", random()));
        Ok(Self {
            settings,
            health,
            registry: Registry::open(&config.registry)?,
            control: Worker::start(move || control)?,
            positions: Topic::new(&config.topics.positions)?,
            known: Mutex::default(),
            slots: Arc::default(),
            instance,
            config,
        })
    }

    /// Connects to the brokers. What they refuse is told at once, and not after the time a call may take.
    pub(crate) async fn connect(config: KafkaConfig) -> Result<Self> {
        let shared = Self::new(config)?;
        let connected = tokio::select! {
            reached = shared.control.run(|control| control.reach()) => {
                reached.map_err(|error| shared.health.explain(error))
            }
            refusal = shared.health.refusal() => Err(refusal),
        };
        connected.map_err(|error| error.with("brokers", &shared.config.brokers))?;
        Ok(shared)
    }

    pub(crate) fn told(&self, client: &str) -> Told {
        Told {
            health: self.health.clone(),
            client: client.into(),
        }
    }

    /// The partitions of a topic that must be there.
    ///
    /// # Errors
    /// [`ErrorKind::Misconfigured`](heartbeat_core::ErrorKind::Misconfigured) when it is not.
    pub(crate) async fn partitions(&self, topic: &Topic) -> Result<Vec<i32>> {
        let name = topic.clone();
        let found = self
            .control
            .run(move |control| control.partitions(&name))
            .await;
        let found = found.map_err(|error| self.health.explain(error))?;
        if found.is_empty() {
            return Err(missing_topic(topic));
        }
        lock(&self.known).insert(topic.clone());
        Ok(found)
    }

    /// Looks whether the topic is there, unless it was before.
    ///
    /// # Errors
    /// As [`partitions`](Self::partitions).
    pub(crate) async fn require(&self, topic: &Topic) -> Result<()> {
        let is_known = lock(&self.known).contains(topic);
        if !is_known {
            self.partitions(topic).await?;
        }
        Ok(())
    }

    /// What is to be published, as bytes; its topics are there.
    pub(crate) async fn records(&self, outputs: &[Output]) -> Result<Records> {
        let mut topics: Vec<&Topic> = Vec::new();
        for Output { topic, .. } in outputs {
            if !topics.contains(&topic) {
                topics.push(topic);
            }
        }
        for topic in topics {
            self.require(topic).await?;
        }
        Records::of(outputs, &self.registry).await
    }

    /// A transactional id of this process.
    pub(crate) fn transactional_id(&self, of: &str) -> String {
        format!("heartbeat.{of}.{}", self.instance)
    }

    /// Publishes in transactions, with so many producers that take turns.
    pub(crate) fn transactions(&self, client: &str, id: String, lanes: usize) -> Transactions {
        let timeout = self.config.transaction_timeout;
        Transactions::new(self.settings.clone(), self.told(client), id, lanes, timeout)
    }

    /// A consumer that looks at topics, and at what `group` has committed.
    pub(crate) fn reader(&self, group: &str) -> Result<Reader> {
        let config = self.settings.reader(group);
        let consumer = BaseConsumer::from_config_and_context(&config, self.told(group));
        Ok(Reader::new(
            consumer.map_err(explain)?,
            self.config.request_timeout,
        ))
    }

    /// The lowest number that no member of the group has in this process.
    pub(crate) fn slot(&self, group: &str) -> Slot {
        let mut slots = lock(&self.slots);
        let taken = slots.entry(group.to_owned()).or_default();
        let number = (0..)
            .find(|number| !taken.contains(number))
            .unwrap_or_default();
        taken.insert(number);
        Slot {
            number,
            group: group.to_owned(),
            slots: self.slots.clone(),
        }
    }
}

/// A number among a group's members in this process, free again when it is dropped. A restarted process takes
/// the same ones.
#[derive(Debug)]
pub(crate) struct Slot {
    pub(crate) number: usize,
    group: String,
    slots: Arc<Mutex<HashMap<String, BTreeSet<usize>>>>,
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut slots = lock(&self.slots);
        if let Some(taken) = slots.get_mut(&self.group) {
            taken.remove(&self.number);
            if taken.is_empty() {
                slots.remove(&self.group);
            }
        }
    }
}

/// A number that is another each time.
pub(crate) fn random() -> u64 {
    RandomState::new().hash_one(())
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
