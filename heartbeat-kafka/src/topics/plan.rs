//! What a topic is to be, what it is, and how the two differ.

use std::fmt;
use std::num::NonZeroU16;
use std::time::Duration;

use heartbeat_core::Topic;
use serde::Serialize;

use crate::config::TopicsConfig;

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
    pub fn of_topics(
        config: &TopicsConfig,
        topics: &heartbeat_core::Topics,
    ) -> heartbeat_core::Result<Vec<Self>> {
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
    pub fn of_positions(config: &TopicsConfig) -> heartbeat_core::Result<Self> {
        Ok(Self {
            partitions: NonZeroU16::MIN,
            cleanup: Cleanup::Compact,
            ..Self::new(config, &Topic::new(&config.positions)?)
        })
    }

    /// With what is left open decided for a cluster of so many brokers.
    pub(super) fn replicas(&self, brokers: usize) -> (u16, u16) {
        let brokers = u16::try_from(brokers).unwrap_or(u16::MAX).max(1);
        let replication = self.replication.map_or(brokers.min(3), NonZeroU16::get);
        let all_but_one = replication.saturating_sub(1).max(1);
        let insync = self
            .min_insync_replicas
            .map_or(all_but_one, NonZeroU16::get);
        (replication, insync)
    }

    /// The topic's settings, as Kafka names them.
    pub(super) fn settings(&self, brokers: usize) -> Vec<(&'static str, String)> {
        let (_, insync) = self.replicas(brokers);
        let mut settings = vec![("min.insync.replicas", insync.to_string())];
        match self.cleanup {
            Cleanup::Delete(retention) => {
                settings.push(("cleanup.policy", "delete".to_owned()));
                settings.push(("retention.ms", retention.as_millis().to_string()));
            }
            Cleanup::Compact => {
                settings.push(("cleanup.policy", "compact".to_owned()));
                // One record for each batch of a source: without these, a day of them is read at each start.
                settings.push(("segment.ms", "600000".to_owned()));
                settings.push(("segment.bytes", "1048576".to_owned()));
                settings.push(("min.cleanable.dirty.ratio", "0.1".to_owned()));
            }
        }
        settings
    }

    /// How a topic that is there differs from this.
    pub(super) fn differences(&self, state: &TopicState, brokers: usize) -> Vec<Difference> {
        let mut differences = Vec::new();
        let mut differs = |what: &'static str, is: String, wanted: String| {
            differences.push(Difference { what, is, wanted });
        };
        let partitions = usize::from(self.partitions.get());
        if state.partitions != partitions {
            differs(
                "partitions",
                state.partitions.to_string(),
                partitions.to_string(),
            );
        }
        let (replication, insync) = self.replicas(brokers);
        // More than asked for harms nobody.
        if state.replication < usize::from(replication) {
            differs(
                "replication",
                state.replication.to_string(),
                replication.to_string(),
            );
        }
        let number = |text: &Option<String>| text.as_deref().and_then(|it| it.parse::<i64>().ok());
        let text = |text: &Option<String>| text.clone().unwrap_or_else(|| "unknown".to_owned());
        if number(&state.min_insync_replicas) != Some(insync.into()) {
            differs(
                "min.insync.replicas",
                text(&state.min_insync_replicas),
                insync.to_string(),
            );
        }
        let policy = match self.cleanup {
            Cleanup::Delete(_) => "delete",
            Cleanup::Compact => "compact",
        };
        if state.cleanup_policy.as_deref() != Some(policy) {
            differs(
                "cleanup.policy",
                text(&state.cleanup_policy),
                policy.to_owned(),
            );
        }
        if let Cleanup::Delete(retention) = self.cleanup {
            let wanted = i64::try_from(retention.as_millis()).unwrap_or(i64::MAX);
            // -1: for ever.
            let kept = number(&state.retention_ms).filter(|kept| *kept == -1 || *kept >= wanted);
            if kept.is_none() {
                differs(
                    "retention.ms",
                    text(&state.retention_ms),
                    wanted.to_string(),
                );
            }
        }
        differences
    }
}

/// What a topic is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TopicState {
    /// Its name.
    pub topic: String,
    /// How many partitions it has.
    pub partitions: usize,
    /// How many brokers hold each message: the fewest of any partition.
    pub replication: usize,
    /// Its `min.insync.replicas`; `None` when this user may not know.
    pub min_insync_replicas: Option<String>,
    /// Its `cleanup.policy`.
    pub cleanup_policy: Option<String>,
    /// Its `retention.ms`; -1 is for ever.
    pub retention_ms: Option<String>,
}

/// One way in which a topic is not as planned.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// Which property.
    pub what: &'static str,
    /// What it is.
    pub is: String,
    /// What it should be.
    pub wanted: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { what, is, wanted } = self;
        write!(f, "{what} is {is}, not {wanted}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan() -> TopicPlan {
        TopicPlan::new(&TopicsConfig::default(), &Topic::new("ingest").unwrap())
    }

    fn as_planned() -> TopicState {
        TopicState {
            topic: "ingest".to_owned(),
            partitions: 6,
            replication: 3,
            min_insync_replicas: Some("2".to_owned()),
            cleanup_policy: Some("delete".to_owned()),
            retention_ms: Some("604800000".to_owned()),
        }
    }

    #[test]
    fn three_brokers_hold_a_message_or_as_many_as_there_are() {
        assert_eq!(plan().replicas(5), (3, 2));
        assert_eq!(plan().replicas(2), (2, 1));
        assert_eq!(plan().replicas(1), (1, 1));
    }

    #[test]
    fn each_difference_is_told() {
        assert_eq!(plan().differences(&as_planned(), 3), []);
        let longer = TopicState {
            retention_ms: Some("-1".to_owned()),
            replication: 4,
            ..as_planned()
        };
        assert_eq!(plan().differences(&longer, 3), []);
        let wrong = TopicState {
            partitions: 1,
            replication: 1,
            min_insync_replicas: None,
            cleanup_policy: Some("compact".to_owned()),
            retention_ms: Some("1000".to_owned()),
            ..as_planned()
        };
        let told: Vec<_> = plan()
            .differences(&wrong, 3)
            .iter()
            .map(|it| it.what)
            .collect();
        assert_eq!(
            told,
            [
                "partitions",
                "replication",
                "min.insync.replicas",
                "cleanup.policy",
                "retention.ms"
            ]
        );
    }
}
