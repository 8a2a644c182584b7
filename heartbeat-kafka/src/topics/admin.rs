//! [`TopicAdmin`].

use std::sync::Arc;
use std::time::Duration;

use heartbeat_core::{Error, Result, Topic};
use rdkafka::admin::{
    AdminClient, AdminOptions, ConfigResource, NewTopic, ResourceSpecifier, TopicReplication,
};
use rdkafka::config::FromClientConfigAndContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::metadata::Metadata;
use tokio::runtime::Handle;

use crate::client::Told;
use crate::config::KafkaConfig;
use crate::error::explain;
use crate::shared::Shared;
use crate::topics::{Difference, TopicPlan, TopicState};
use crate::worker::Worker;

/// Lists, makes and checks topics. Needs the brokers alone, not the schema registry.
#[derive(Debug)]
pub struct TopicAdmin {
    shared: Arc<Shared>,
    admin: Worker<Admin>,
}

/// The client, on a thread of its own as it blocks when it is dropped.
struct Admin {
    client: AdminClient<Told>,
    patience: Duration,
}

impl TopicAdmin {
    /// Connects to the brokers.
    ///
    /// # Errors
    /// As [`KafkaBus::open`](crate::KafkaBus::open), as far as brokers go.
    pub async fn connect(config: KafkaConfig) -> Result<Self> {
        let shared = Arc::new(Shared::connect(config).await?);
        let client =
            AdminClient::from_config_and_context(&shared.settings.control(), shared.told("topics"));
        let admin = Admin {
            client: client.map_err(explain)?,
            patience: shared.config.request_timeout,
        };
        Ok(Self {
            shared,
            admin: Worker::start(move || admin)?,
        })
    }

    /// All topics that this user may see, in the order of their names; Kafka's own are left out.
    ///
    /// # Errors
    /// [`ErrorKind::Unavailable`](heartbeat_core::ErrorKind::Unavailable) when the brokers do not answer.
    pub async fn list(&self) -> Result<Vec<TopicState>> {
        self.run(|admin, runtime| Ok(admin.look(runtime)?.1)).await
    }

    /// Makes the topics that are not there yet, and tells which those were.
    ///
    /// # Errors
    /// [`ErrorKind::Misconfigured`](heartbeat_core::ErrorKind::Misconfigured) when the brokers refuse one: it is named.
    pub async fn create(&self, plans: &[TopicPlan]) -> Result<Vec<Topic>> {
        let plans = plans.to_vec();
        self.run(move |admin, runtime| admin.create(runtime, &plans))
            .await
    }

    /// How topics differ from their plans, in the order of these: `None` for one that is missing.
    ///
    /// # Errors
    /// As [`list`](Self::list).
    pub async fn verify(&self, plans: &[TopicPlan]) -> Result<Vec<Option<Vec<Difference>>>> {
        let plans = plans.to_vec();
        self.run(move |admin, runtime| {
            let (brokers, states) = admin.look(runtime)?;
            let verdict = |plan: &TopicPlan| {
                let state = states
                    .iter()
                    .find(|state| state.topic == plan.topic.as_str())?;
                Some(plan.differences(state, brokers))
            };
            Ok(plans.iter().map(verdict).collect())
        })
        .await
    }

    async fn run<R: Send + 'static>(
        &self,
        job: impl FnOnce(&mut Admin, &Handle) -> Result<R> + Send + 'static,
    ) -> Result<R> {
        let runtime = Handle::current();
        let done = self.admin.run(move |admin| job(admin, &runtime)).await;
        done.map_err(|error| self.shared.health.explain(error))
    }
}

impl Admin {
    fn options(&self) -> AdminOptions {
        AdminOptions::new()
            .request_timeout(Some(self.patience))
            .operation_timeout(Some(self.patience))
    }

    fn metadata(&self) -> Result<Metadata> {
        self.client
            .inner()
            .fetch_metadata(None, self.patience)
            .map_err(explain)
    }

    /// How many brokers there are, and all topics.
    fn look(&self, runtime: &Handle) -> Result<(usize, Vec<TopicState>)> {
        let metadata = self.metadata()?;
        let mut states: Vec<TopicState> = metadata
            .topics()
            .iter()
            .filter(|topic| topic.error().is_none() && !topic.name().starts_with("__"))
            .map(|topic| TopicState {
                topic: topic.name().to_owned(),
                partitions: topic.partitions().len(),
                replication: topic
                    .partitions()
                    .iter()
                    .map(|partition| partition.replicas().len())
                    .min()
                    .unwrap_or(0),
                min_insync_replicas: None,
                cleanup_policy: None,
                retention_ms: None,
            })
            .collect();
        states.sort_by(|a, b| a.topic.cmp(&b.topic));
        let names: Vec<String> = states.iter().map(|state| state.topic.clone()).collect();
        let asked: Vec<_> = names
            .iter()
            .map(|name| ResourceSpecifier::Topic(name))
            .collect();
        if !asked.is_empty() {
            let told = self.client.describe_configs(&asked, &self.options());
            let told = runtime.block_on(told).map_err(explain)?;
            for (state, settings) in states.iter_mut().zip(told) {
                // Who may not read settings may still see the rest.
                if let Ok(settings) = settings {
                    let value = |name| setting(&settings, name);
                    state.min_insync_replicas = value("min.insync.replicas");
                    state.cleanup_policy = value("cleanup.policy");
                    state.retention_ms = value("retention.ms");
                }
            }
        }
        Ok((metadata.brokers().len(), states))
    }

    fn create(&self, runtime: &Handle, plans: &[TopicPlan]) -> Result<Vec<Topic>> {
        let brokers = self.metadata()?.brokers().len();
        let settings: Vec<_> = plans.iter().map(|plan| plan.settings(brokers)).collect();
        let new = plans.iter().zip(&settings).map(|(plan, settings)| {
            let (replication, _) = plan.replicas(brokers);
            let topic = NewTopic::new(
                plan.topic.as_str(),
                plan.partitions.get().into(),
                TopicReplication::Fixed(replication.into()),
            );
            settings
                .iter()
                .fold(topic, |topic, (name, value)| topic.set(name, value))
        });
        let new: Vec<NewTopic<'_>> = new.collect();
        let told = self.client.create_topics(&new, &self.options());
        let told = runtime.block_on(told).map_err(explain)?;
        let mut created = Vec::new();
        for (plan, told) in plans.iter().zip(told) {
            match told {
                Ok(_) => created.push(plan.topic.clone()),
                Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
                Err((_, code)) => {
                    return Err(refused(code).with("topic", &plan.topic));
                }
            }
        }
        Ok(created)
    }
}

fn refused(code: RDKafkaErrorCode) -> Error {
    explain(KafkaError::AdminOp(code))
}

fn setting(settings: &ConfigResource, name: &str) -> Option<String> {
    settings.get(name)?.value.clone()
}
