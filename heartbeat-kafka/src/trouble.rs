//! What a client complains about, to its member.

use heartbeat_core::{Error, ErrorKind};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use crate::error::{code, explain};

/// Why the member cannot go on.
#[derive(Debug, Clone)]
pub(crate) enum Trouble {
    /// A person must act.
    Told(Error),
    /// The topic is said to be missing, perhaps only by a broker that has not heard of it.
    Missing,
    /// The client is of no use any more.
    Broken(Error),
}

impl Trouble {
    /// What an error means for the member; nothing when librdkafka goes on by itself.
    pub(crate) fn of(error: KafkaError) -> Option<Self> {
        if matches!(error, KafkaError::MessageConsumptionFatal(_)) {
            return Some(Self::Broken(explain(error)));
        }
        match code(&error) {
            Some(RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::UnknownTopic) => {
                Some(Self::Missing)
            }
            _ => {
                let error = explain(error);
                (error.kind() == ErrorKind::Misconfigured).then_some(Self::Told(error))
            }
        }
    }
}
