//! What a topic is, and how that differs from its plan.

use std::fmt;

use serde::Serialize;

/// What a topic is, or is to be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TopicState {
    /// Its name.
    pub topic: String,
    /// How many partitions it has.
    pub partitions: usize,
    /// How many brokers hold each message: the fewest of any partition.
    pub replication: usize,
    /// Its `min.insync.replicas`; `None` when this user may not see it.
    pub min_insync_replicas: Option<usize>,
    /// Its `cleanup.policy`; `None` when this user may not see it.
    pub cleanup_policy: Option<String>,
    /// Its `retention.ms`: -1 is for ever. `None` when this user may not see it, or where none is planned.
    pub retention_ms: Option<i64>,
}

impl TopicState {
    /// How this topic differs from what is `planned`. More partitions, more replicas and a longer retention than that
    /// harm nobody.
    pub(super) fn differences(&self, planned: &Self) -> Vec<Difference> {
        let mut differences = Vec::new();
        let mut differs = |what, is: Option<String>, wanted: String| {
            differences.push(Difference { what, is, wanted });
        };
        for (what, is, wanted) in [
            ("partitions", self.partitions, planned.partitions),
            ("replication", self.replication, planned.replication),
        ] {
            if is < wanted {
                differs(what, Some(is.to_string()), wanted.to_string());
            }
        }
        let insync = planned.min_insync_replicas;
        if let Some(wanted) = insync.filter(|_| self.min_insync_replicas != insync) {
            let is = self.min_insync_replicas.map(|is| is.to_string());
            differs("min.insync.replicas", is, wanted.to_string());
        }
        let policy = &planned.cleanup_policy;
        if let Some(wanted) = policy.as_ref().filter(|_| self.cleanup_policy != *policy) {
            differs(
                "cleanup.policy",
                self.cleanup_policy.clone(),
                wanted.clone(),
            );
        }
        if let Some(wanted) = planned.retention_ms {
            let long = |is: i64| is < 0 || is >= wanted;
            if !self.retention_ms.is_some_and(long) {
                let is = self.retention_ms.map(|is| is.to_string());
                differs("retention.ms", is, wanted.to_string());
            }
        }
        differences
    }
}

/// One way in which a topic is not as planned.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// Which property: `partitions`, `replication`, or a setting by Kafka's name.
    pub what: &'static str,
    /// What it is; `None` when this user may not see it.
    pub is: Option<String>,
    /// What it should be.
    pub wanted: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { what, is, wanted } = self;
        match is {
            Some(is) => write!(f, "{what} is {is}, not {wanted}"),
            None => write!(f, "{what} cannot be seen; it should be {wanted}"),
        }
    }
}

/// What was found of a topic that is planned.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Verdict {
    /// What it is to be on this cluster.
    pub planned: TopicState,
    /// What it is. `None`: it is missing.
    pub found: Option<TopicState>,
    /// How the two differ.
    pub differences: Vec<Difference>,
}

impl Verdict {
    pub(super) fn new(planned: TopicState, found: Option<TopicState>) -> Self {
        let differences = match &found {
            Some(found) => found.differences(&planned),
            None => Vec::new(),
        };
        Self {
            planned,
            found,
            differences,
        }
    }

    /// Whether the topic is there and as planned.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.found.is_some() && self.differences.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn planned() -> TopicState {
        TopicState {
            topic: "ingest".to_owned(),
            partitions: 6,
            replication: 3,
            min_insync_replicas: Some(2),
            cleanup_policy: Some("delete".to_owned()),
            retention_ms: Some(604_800_000),
        }
    }

    fn told(found: &TopicState) -> Vec<String> {
        let differences = found.differences(&planned()).into_iter();
        differences.map(|it| it.to_string()).collect()
    }

    #[test]
    fn each_difference_is_told() {
        let wrong = TopicState {
            partitions: 1,
            replication: 1,
            min_insync_replicas: None,
            cleanup_policy: Some("compact".to_owned()),
            retention_ms: Some(1000),
            ..planned()
        };
        assert_eq!(
            told(&wrong),
            [
                "partitions is 1, not 6",
                "replication is 1, not 3",
                "min.insync.replicas cannot be seen; it should be 2",
                "cleanup.policy is compact, not delete",
                "retention.ms is 1000, not 604800000"
            ]
        );
    }

    #[test]
    fn more_than_planned_is_as_good() {
        let more = TopicState {
            partitions: 12,
            replication: 4,
            retention_ms: Some(-1),
            ..planned()
        };
        assert!(told(&more).is_empty(), "{more:?}");
        let verdict = |found| Verdict::new(planned(), found);
        assert!(verdict(Some(more)).is_good());
        assert!(!verdict(None).is_good());
    }
}
