//! [`KafkaBus`].

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use heartbeat_core::{Bus, Output, PartitionLag, Position, Progress, Result, Subscription, Topic};
use tokio::sync::OnceCell;

use crate::config::KafkaConfig;
use crate::progress::SourcePublisher;
use crate::reader::{Reader, lag};
use crate::shared::{Shared, lock};
use crate::subscription::KafkaSubscription;
use crate::transactions::{Transactions, was_fenced};
use crate::worker::Worker;

/// Messages behind a group are counted one by one up to so many.
const COUNTED: u64 = 1000;

/// So many groups' and sources' clients are kept for the next call.
const KEPT: usize = 16;

/// A bus on Kafka: Avro in Confluent's framing, a schema registry, transactions.
#[derive(Debug)]
pub struct KafkaBus {
    shared: Arc<Shared>,
    publisher: OnceCell<Worker<Transactions>>,
    sources: Mutex<HashMap<String, Worker<SourcePublisher>>>,
    readers: Mutex<HashMap<String, Worker<Reader>>>,
}

impl KafkaBus {
    /// Connects to the brokers and the schema registry.
    ///
    /// # Errors
    /// [`ErrorKind::Misconfigured`](heartbeat_core::ErrorKind::Misconfigured) when a setting cannot work, or
    /// brokers or registry refuse the credentials or the certificates;
    /// [`ErrorKind::Unavailable`](heartbeat_core::ErrorKind::Unavailable) when they do not answer within
    /// [`KafkaConfig::request_timeout`].
    pub async fn open(config: KafkaConfig) -> Result<Self> {
        let shared = Shared::connect(config).await?;
        shared.registry.check().await?;
        Ok(Self {
            shared: Arc::new(shared),
            publisher: OnceCell::new(),
            sources: Mutex::default(),
            readers: Mutex::default(),
        })
    }

    async fn publisher(&self) -> Result<&Worker<Transactions>> {
        let shared = &self.shared;
        self.publisher
            .get_or_try_init(async || {
                let id = shared.transactional_id("publish");
                let transactions = shared.transactions("publish", id, 1);
                Worker::start(move || transactions)
            })
            .await
    }

    fn source(&self, source: &str) -> Result<Worker<SourcePublisher>> {
        kept(&self.sources, source, || {
            // The same in every process that moves this position, so that the last one to begin is the only one.
            let id = format!("heartbeat.source.{}.{source}", self.shared.positions);
            let transactions = self.shared.transactions(source, id, 1);
            let (shared, source) = (self.shared.clone(), source.to_owned());
            Worker::start(move || SourcePublisher::new(shared, source, transactions))
        })
    }

    fn reader(&self, group: &str) -> Result<Worker<Reader>> {
        kept(&self.readers, group, || {
            let reader = self.shared.reader(group)?;
            Worker::start(move || reader)
        })
    }
}

/// The worker of that name, made when there is none.
fn kept<T: 'static>(
    workers: &Mutex<HashMap<String, Worker<T>>>,
    name: &str,
    make: impl FnOnce() -> Result<Worker<T>>,
) -> Result<Worker<T>> {
    let mut workers = lock(workers);
    if let Some(worker) = workers.get(name) {
        return Ok(worker.clone());
    }
    if workers.len() >= KEPT {
        workers.clear();
    }
    let worker = make()?;
    workers.insert(name.to_owned(), worker.clone());
    Ok(worker)
}

#[async_trait]
impl Bus for KafkaBus {
    async fn publish(&self, outputs: &[Output], progress: Option<Progress>) -> Result<()> {
        let records = self.shared.records(outputs).await?;
        if let Some(progress) = progress {
            // That of the positions must be there, too.
            self.shared.require(&self.shared.positions).await?;
            let source = self.source(&progress.source)?;
            return source
                .run(move |source| source.publish(records, &progress))
                .await;
        }
        if records.is_empty() {
            return Ok(());
        }
        self.publisher()
            .await?
            .run(move |transactions| {
                let published = transactions.publish(&records, None);
                if published.as_ref().is_err_and(was_fenced) {
                    transactions.rename();
                }
                published
            })
            .await
    }

    async fn position(&self, source: &str) -> Result<Option<Position>> {
        self.shared.require(&self.shared.positions).await?;
        self.source(source)?.run(SourcePublisher::position).await
    }

    async fn subscribe(&self, topic: &Topic, group: &str) -> Result<Box<dyn Subscription>> {
        let subscription =
            KafkaSubscription::join(self.shared.clone(), topic.clone(), group.to_owned()).await?;
        Ok(Box::new(subscription))
    }

    async fn lag(&self, topic: &Topic, group: &str) -> Result<Vec<PartitionLag>> {
        let counted = async {
            let name = topic.clone();
            let written = self
                .shared
                .control
                .run(move |control| control.ends(&name))
                .await?;
            if written.is_empty() {
                return Ok(BTreeMap::new());
            }
            let name = topic.clone();
            let reader = self.reader(group)?;
            reader
                .run(move |reader| lag(reader, &name, &written, COUNTED))
                .await
                .map_err(|error| error.with("group", group))
        };
        let counted = counted.await.map_err(|error| {
            // It may go on asking a broker that is dead: the next call takes a new one.
            lock(&self.readers).remove(group);
            self.shared.health.explain(error)
        })?;
        let of_partition = |(partition, messages)| PartitionLag {
            partition,
            messages,
        };
        Ok(counted.into_iter().map(of_partition).collect())
    }

    async fn close(&self) -> Result<()> {
        if let Some(publisher) = self.publisher.get() {
            publisher.close().await;
        }
        let sources: Vec<_> = lock(&self.sources).drain().collect();
        for (_, source) in sources {
            source.close().await;
        }
        let readers: Vec<_> = lock(&self.readers).drain().collect();
        for (_, reader) in readers {
            reader.close().await;
        }
        self.shared.control.close().await;
        Ok(())
    }
}
