//! [`TopicAdmin`].

use std::sync::Arc;
use std::time::Duration;

use heartbeat_core::{Error, Result, Topic};
use rdkafka::admin::{
    AdminClient, AdminOptions, ConfigResource, NewTopic, ResourceSpecifier, TopicReplication,
};
use rdkafka::config::FromClientConfigAndContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::metadata::{Metadata, MetadataTopic};
use tokio::runtime::Handle;

use crate::client::Told;
use crate::config::KafkaConfig;
use crate::error::explain;
use crate::shared::Shared;
use crate::topics::{TopicPlan, TopicState, Verdict};
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
        self.run(|admin, runtime| {
            let metadata = admin.metadata()?;
            admin.states(runtime, &metadata, |name| !name.starts_with("__"))
        })
        .await
    }

    /// Makes the topics that are not there yet, and tells which those were.
    ///
    /// # Errors
    /// [`ErrorKind::Misconfigured`](heartbeat_core::ErrorKind::Misconfigured) when one could not be used, or the
    /// brokers refuse it: it is named. Others may have been made.
    pub async fn create(&self, plans: &[TopicPlan]) -> Result<Vec<Topic>> {
        self.make(plans, false).await
    }

    /// As [`create`](Self::create), brokers' refusals included, but nothing is made.
    ///
    /// # Errors
    /// As [`create`](Self::create).
    pub async fn dry_run(&self, plans: &[TopicPlan]) -> Result<Vec<Topic>> {
        self.make(plans, true).await
    }

    /// What there is of the topics that are planned, in the order of the plans.
    ///
    /// # Errors
    /// As [`list`](Self::list), and [`ErrorKind::Misconfigured`](heartbeat_core::ErrorKind::Misconfigured) when this
    /// user may not see one of the topics.
    pub async fn verify(&self, plans: &[TopicPlan]) -> Result<Vec<Verdict>> {
        let plans = plans.to_vec();
        self.run(move |admin, runtime| {
            let metadata = admin.metadata()?;
            let brokers = metadata.brokers().len();
            let planned: Vec<_> = plans.iter().map(|plan| plan.on(brokers)).collect();
            let is_planned = |name: &str| planned.iter().any(|it| it.topic == name);
            let found = admin.states(runtime, &metadata, is_planned)?;
            let verdict = |planned: TopicState| {
                let found = found.iter().find(|it| it.topic == planned.topic);
                if found.is_none() {
                    admin.is_not_hidden(&planned.topic)?;
                }
                Ok(Verdict::new(planned, found.cloned()))
            };
            planned.into_iter().map(verdict).collect()
        })
        .await
    }

    async fn make(&self, plans: &[TopicPlan], dry: bool) -> Result<Vec<Topic>> {
        let plans = plans.to_vec();
        self.run(move |admin, runtime| admin.create(runtime, &plans, dry))
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

    /// Sees that a topic that was not told of is not there. Brokers do not tell of those that a user may not see, unless
    /// asked for by name.
    fn is_not_hidden(&self, topic: &str) -> Result<()> {
        let told = self
            .client
            .inner()
            .fetch_metadata(Some(topic), self.patience)
            .map_err(explain)?;
        let mut errors = told.topics().iter().filter_map(MetadataTopic::error);
        match errors.next().map(RDKafkaErrorCode::from) {
            Some(code @ RDKafkaErrorCode::TopicAuthorizationFailed) => {
                Err(explain(KafkaError::MetadataFetch(code)).with("topic", topic))
            }
            _ => Ok(()),
        }
    }

    /// The topics whose names are `wanted`, in the order of these.
    fn states(
        &self,
        runtime: &Handle,
        metadata: &Metadata,
        wanted: impl Fn(&str) -> bool,
    ) -> Result<Vec<TopicState>> {
        let mut states: Vec<TopicState> = metadata
            .topics()
            .iter()
            .filter(|topic| topic.error().is_none() && wanted(topic.name()))
            .map(state)
            .collect();
        states.sort_by(|a, b| a.topic.cmp(&b.topic));
        let names: Vec<String> = states.iter().map(|state| state.topic.clone()).collect();
        let asked: Vec<_> = names
            .iter()
            .map(|name| ResourceSpecifier::Topic(name))
            .collect();
        if asked.is_empty() {
            return Ok(states);
        }
        let told = self.client.describe_configs(&asked, &self.options());
        let told = runtime.block_on(told).map_err(explain)?;
        for (state, settings) in states.iter_mut().zip(told) {
            // Who may not read settings may still see the rest.
            if let Ok(settings) = settings {
                let value = |name| setting(&settings, name);
                state.min_insync_replicas =
                    value("min.insync.replicas").and_then(|it| it.parse().ok());
                state.cleanup_policy = value("cleanup.policy").map(str::to_owned);
                state.retention_ms = value("retention.ms").and_then(|it| it.parse().ok());
            }
        }
        Ok(states)
    }

    fn create(&self, runtime: &Handle, plans: &[TopicPlan], dry: bool) -> Result<Vec<Topic>> {
        let brokers = self.metadata()?.brokers().len();
        let mut planned = Vec::with_capacity(plans.len());
        for plan in plans {
            let state = plan.on(brokers);
            plan.check(&state)?;
            let settings = plan.settings(&state);
            planned.push((state, settings));
        }
        let count = |count: usize| i32::try_from(count).unwrap_or(i32::MAX);
        let new = planned.iter().map(|(state, settings)| {
            let topic = NewTopic::new(
                &state.topic,
                count(state.partitions),
                TopicReplication::Fixed(count(state.replication)),
            );
            settings
                .iter()
                .fold(topic, |topic, (name, value)| topic.set(name, value))
        });
        let new: Vec<NewTopic<'_>> = new.collect();
        let options = self.options().validate_only(dry);
        let told = self.client.create_topics(&new, &options);
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
    use RDKafkaErrorCode::{ClusterAuthorizationFailed, TopicAuthorizationFailed};
    let cause = KafkaError::AdminOp(code);
    match code {
        ClusterAuthorizationFailed | TopicAuthorizationFailed => {
            Error::misconfigured("this user may not create the topic")
                .caused_by(cause)
                .hint("Let who runs the brokers allow it (Create), or let them create it: `heartbeat topics verify` says then whether it is as planned.")
        }
        _ => explain(cause),
    }
}

fn state(topic: &MetadataTopic) -> TopicState {
    let partitions = topic.partitions();
    let replicas = partitions.iter().map(|it| it.replicas().len());
    TopicState {
        topic: topic.name().to_owned(),
        partitions: partitions.len(),
        replication: replicas.min().unwrap_or(0),
        min_insync_replicas: None,
        cleanup_policy: None,
        retention_ms: None,
    }
}

fn setting<'s>(settings: &'s ConfigResource, name: &str) -> Option<&'s str> {
    settings.get(name)?.value.as_deref()
}
