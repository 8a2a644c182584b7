//! What a topic is to be.

use std::num::NonZeroU16;
use std::time::Duration;

use heartbeat_core::{Error, Result, Topic, Topics};

use crate::config::TopicsConfig;
use crate::topics::TopicState;

/// What a topic is to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicPlan {
    /// Its name.
    pub topic: Topic,
    /// How many partitions it has.
    pub partitions: NonZeroU16,
    /// How many brokers hold each message. `None`: three, or as many as there are.
    pub replication: Option<NonZeroU16>,
    /// How many of them must have a message before it counts as written. `None`: all but one, and at least one.
    pub min_insync_replicas: Option<NonZeroU16>,
    /// Which of its messages are kept.
    pub cleanup: Cleanup,
}

/// Which messages of a topic are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cleanup {
    /// Those that are not older than this (`cleanup.policy=delete`).
    Delete(Duration),
    /// The last one of each key (`cleanup.policy=compact`).
    Compact,
}

impl TopicPlan {
    /// The topics that heartbeat needs for these two: each with one of dead letters beside it, and that of the sources'
    /// positions.
    ///
    /// # Errors
    /// [`ErrorKind::Misconfigured`](heartbeat_core::ErrorKind::Misconfigured) when the name of the last cannot be one.
    pub fn of_topics(config: &TopicsConfig, topics: &Topics) -> Result<Vec<Self>> {
        let mut plans = Vec::new();
        for topic in [&topics.ingest, &topics.sentiment] {
            plans.push(Self::new(config, topic));
            // One, so that they lie in the order in which they came.
            plans.push(Self {
                partitions: NonZeroU16::MIN,
                ..Self::new(config, &topic.dead_letters())
            });
        }
        plans.push(Self::of_positions(config)?);
        Ok(plans)
    }

    /// A topic as the config has them.
    #[must_use]
    pub fn new(config: &TopicsConfig, topic: &Topic) -> Self {
        Self {
            topic: topic.clone(),
            partitions: config.partitions,
            replication: config.replication,
            min_insync_replicas: config.min_insync_replicas,
            cleanup: Cleanup::Delete(config.retention),
        }
    }

    /// The topic of the sources' positions.
    ///
    /// # Errors
    /// [`ErrorKind::Misconfigured`](heartbeat_core::ErrorKind::Misconfigured) when its name cannot be one.
    pub fn of_positions(config: &TopicsConfig) -> Result<Self> {
        Ok(Self {
            partitions: NonZeroU16::MIN,
            cleanup: Cleanup::Compact,
            ..Self::new(config, &Topic::new(&config.positions)?)
        })
    }

    /// What it comes to on a cluster of so many brokers.
    pub(super) fn on(&self, brokers: usize) -> TopicState {
        let brokers = u16::try_from(brokers).unwrap_or(u16::MAX).max(1);
        let replication = self.replication.map_or(brokers.min(3), NonZeroU16::get);
        let all_but_one = replication.saturating_sub(1).max(1);
        let insync = self.min_insync_replicas;
        let (policy, retention) = match self.cleanup {
            Cleanup::Delete(retention) => {
                let millis = i64::try_from(retention.as_millis()).unwrap_or(i64::MAX);
                ("delete", Some(millis))
            }
            Cleanup::Compact => ("compact", None),
        };
        TopicState {
            topic: self.topic.to_string(),
            partitions: self.partitions.get().into(),
            replication: replication.into(),
            min_insync_replicas: Some(insync.map_or(all_but_one, NonZeroU16::get).into()),
            cleanup_policy: Some(policy.to_owned()),
            retention_ms: retention,
        }
    }

    /// Whether it can work: the brokers take a topic, too, that nobody could write to.
    pub(super) fn check(&self, planned: &TopicState) -> Result<()> {
        let insync = planned.min_insync_replicas.unwrap_or(0);
        if insync > planned.replication {
            return Err(Error::misconfigured(
                "more replicas are to be in sync than there are to be",
            )
            .with("topic", &self.topic)
            .with("min_insync_replicas", insync)
            .with("replication", planned.replication)
            .hint("Let `min_insync_replicas` be at most `replication`."));
        }
        if planned.retention_ms == Some(0) {
            return Err(Error::misconfigured("messages are to be kept for no time")
                .with("topic", &self.topic)
                .hint("Let `retention` be longer than the stages may stand still."));
        }
        Ok(())
    }

    /// The settings of the topic that is planned, as Kafka names them.
    pub(super) fn settings(&self, planned: &TopicState) -> Vec<(&'static str, String)> {
        let mut settings = Vec::new();
        let mut set = |name, value: String| settings.push((name, value));
        if let Some(insync) = planned.min_insync_replicas {
            set("min.insync.replicas", insync.to_string());
        }
        if let Some(policy) = &planned.cleanup_policy {
            set("cleanup.policy", policy.clone());
        }
        if let Some(retention) = planned.retention_ms {
            set("retention.ms", retention.to_string());
        }
        if self.cleanup == Cleanup::Compact {
            // One record for each batch of a source: without these, a day of them is read at each start.
            set("segment.ms", "600000".to_owned());
            set("segment.bytes", "1048576".to_owned());
            set("min.cleanable.dirty.ratio", "0.1".to_owned());
        }
        settings
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(config: &TopicsConfig) -> TopicPlan {
        TopicPlan::new(config, &Topic::new("ingest").unwrap())
    }

    #[test]
    fn three_brokers_hold_a_message_or_as_many_as_there_are() {
        for (brokers, replication, insync) in [(5, 3, 2), (2, 2, 1), (1, 1, 1)] {
            let planned = plan(&TopicsConfig::default()).on(brokers);
            assert_eq!(planned.replication, replication);
            assert_eq!(planned.min_insync_replicas, Some(insync));
        }
    }

    #[test]
    fn each_topic_has_one_of_dead_letters_and_the_last_holds_positions() {
        let plans = TopicPlan::of_topics(&TopicsConfig::default(), &Topics::default()).unwrap();
        let told: Vec<_> = plans
            .iter()
            .map(|plan| (plan.topic.as_str(), plan.partitions.get()))
            .collect();
        assert_eq!(
            told,
            [
                ("ingest", 6),
                ("ingest.dead", 1),
                ("sentiment", 6),
                ("sentiment.dead", 1),
                ("heartbeat-positions", 1)
            ]
        );
        assert_eq!(plans[4].cleanup, Cleanup::Compact);
    }

    #[test]
    fn a_topic_that_could_not_be_used_is_refused() {
        let greedy = TopicsConfig {
            min_insync_replicas: NonZeroU16::new(2),
            ..TopicsConfig::default()
        };
        let hasty = TopicsConfig {
            retention: Duration::ZERO,
            ..TopicsConfig::default()
        };
        for config in [greedy, hasty] {
            let plan = plan(&config);
            let error = plan.check(&plan.on(1)).unwrap_err();
            assert_eq!(error.kind(), heartbeat_core::ErrorKind::Misconfigured);
        }
        let plan = plan(&TopicsConfig::default());
        plan.check(&plan.on(1)).unwrap();
    }
}
