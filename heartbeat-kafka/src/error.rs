//! librdkafka's errors in heartbeat's words.

use std::fmt;

use heartbeat_core::{Error, ErrorKind};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

/// What to run when a topic is not there.
const CREATE_TOPICS: &str = "Run `heartbeat topics create`, or let who runs the brokers create it.";

/// What is said of a topic that must be there and is not, or of several.
pub fn missing_topic(topic: impl fmt::Display) -> Error {
    Error::misconfigured("the topic is missing")
        .with("topic", topic)
        .hint(CREATE_TOPICS)
}

/// What happened and what to do about it, case by case.
pub(crate) fn explain(error: KafkaError) -> Error {
    let Some(code) = code(&error) else {
        return without_code(error);
    };
    let (kind, message, hint) = meaning(code);
    let mut explained = Error::new(kind, message);
    // These say the same with more words.
    if !matches!(
        (&error, code),
        (
            KafkaError::MetadataFetch(_),
            RDKafkaErrorCode::BrokerTransportFailure | RDKafkaErrorCode::OperationTimedOut
        )
    ) {
        explained = explained.caused_by(error);
    }
    if hint.is_empty() {
        explained
    } else {
        explained.hint(hint)
    }
}

/// The broker's or the library's code of an error, when it has one.
pub(crate) fn code(error: &KafkaError) -> Option<RDKafkaErrorCode> {
    match error {
        KafkaError::AdminOp(code) => Some(*code),
        error => error.rdkafka_error_code(),
    }
}

/// Whether the code says that this producer's transactional id is another's now.
pub(crate) fn is_fenced(code: RDKafkaErrorCode) -> bool {
    use RDKafkaErrorCode::{Fenced, InvalidProducerEpoch, ProducerFenced};
    matches!(code, Fenced | ProducerFenced | InvalidProducerEpoch)
}

fn without_code(error: KafkaError) -> Error {
    match error {
        KafkaError::ClientConfig(_, reason, name, _) => {
            // Without the value, which may be a secret.
            Error::misconfigured("librdkafka does not take a setting")
                .with("property", name)
                .with("reason", reason)
                .hint("Correct it in the bus's table of the config.")
        }
        KafkaError::ClientCreation(reason) => Error::misconfigured("cannot start a Kafka client")
            .with("reason", reason)
            .hint(
                "Look at `[bus.properties]` and, if it is about `ssl.ca.location`, at `ca_file`.",
            ),
        error => Error::unavailable("Kafka did not do it").caused_by(error),
    }
}

/// What a code means for whoever called: kind, message and advice.
fn meaning(code: RDKafkaErrorCode) -> (ErrorKind, &'static str, &'static str) {
    use ErrorKind::{Invalid, Misconfigured, Rebalanced, Unavailable};
    use RDKafkaErrorCode as Code;
    match code {
        Code::Authentication
        | Code::SaslAuthenticationFailed
        | Code::UnsupportedSASLMechanism
        | Code::IllegalSASLState => (
            Misconfigured,
            "the broker refuses the credentials",
            "Check `username` and `sasl` in the bus's table, and the password in HEARTBEAT_KAFKA_PASSWORD or `password_file`.",
        ),
        Code::SSL => (
            Misconfigured,
            "no TLS connection to the broker",
            "Check `ca_file`, or set `tls = false` for a broker without TLS.",
        ),
        Code::TopicAuthorizationFailed => (
            Misconfigured,
            "this user may not use the topic",
            "Let who runs the brokers allow it: read, write and describe.",
        ),
        Code::GroupAuthorizationFailed => (
            Misconfigured,
            "this user may not use the consumer group",
            "Let who runs the brokers allow it, or choose another `--group`.",
        ),
        Code::TransactionalIdAuthorizationFailed => (
            Misconfigured,
            "this user may not use the transactional id",
            "Let who runs the brokers allow those that begin with `heartbeat.`.",
        ),
        Code::ClusterAuthorizationFailed => (
            Misconfigured,
            "this user may not do that on the cluster",
            "Let who runs the brokers allow it.",
        ),
        Code::UnknownTopic | Code::UnknownTopicOrPartition => {
            (Misconfigured, "there is no such topic", CREATE_TOPICS)
        }
        Code::InvalidTopic => (
            Misconfigured,
            "the brokers do not take the topic's name",
            "",
        ),
        Code::InvalidSessionTimeout => (
            Misconfigured,
            "the brokers do not take the session timeout",
            "Set `session_timeout` between their group.min.session.timeout.ms and group.max.session.timeout.ms.",
        ),
        Code::InvalidTransactionTimeout => (
            Misconfigured,
            "the brokers do not take the transaction timeout",
            "Set `transaction_timeout` to at most their transaction.max.timeout.ms.",
        ),
        Code::InvalidReplicationFactor => (
            Misconfigured,
            "there are fewer brokers than replicas asked for",
            "Set `replication` in `[bus.topics]` to at most the number of brokers.",
        ),
        Code::InvalidPartitions
        | Code::InvalidConfig
        | Code::InvalidRequest
        | Code::PolicyViolation => (
            Misconfigured,
            "the brokers refuse the setting",
            "Correct `[bus.topics]`.",
        ),
        Code::UnsupportedVersion | Code::UnsupportedFeature | Code::UnsupportedForMessageFormat => {
            (
                Misconfigured,
                "the brokers are too old for this",
                "Heartbeat needs Kafka 2.5 or later.",
            )
        }
        Code::InconsistentGroupProtocol => (
            Misconfigured,
            "the group's other members share partitions out in another way",
            "Let all of them run the same version of heartbeat, or choose another `--group`.",
        ),
        Code::MessageSizeTooLarge | Code::MessageBatchTooLarge | Code::InvalidMessageSize => {
            (Invalid, "the message is larger than Kafka takes", "")
        }
        Code::IllegalGeneration
        | Code::UnknownMemberId
        | Code::FencedInstanceId
        | Code::FencedMemberEpoch
        | Code::StaleMemberEpoch
        | Code::AssignmentLost => (
            Rebalanced,
            "the batch is void: its partitions went to another member",
            "",
        ),
        code if is_fenced(code) => (
            Unavailable,
            "another process took over this one's transactions",
            "",
        ),
        Code::AllBrokersDown | Code::BrokerTransportFailure | Code::Resolve => {
            (Unavailable, "no broker can be reached", "")
        }
        Code::OperationTimedOut
        | Code::RequestTimedOut
        | Code::MessageTimedOut
        | Code::TimedOutQueue => (Unavailable, "Kafka did not answer in time", ""),
        // What the library says of a partition whose broker has died, until another one leads it.
        Code::UnknownPartition => (Unavailable, "no broker leads the partition", ""),
        Code::NotEnoughReplicas | Code::NotEnoughReplicasAfterAppend => (
            Unavailable,
            "too few replicas are in sync",
            "If this goes on, look for brokers that are down.",
        ),
        _ => (Unavailable, "Kafka did not do it", ""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_code_has_its_kind() {
        use ErrorKind::{Invalid, Misconfigured, Rebalanced, Unavailable};
        use RDKafkaErrorCode as Code;
        for (code, kind) in [
            (Code::Authentication, Misconfigured),
            (Code::SaslAuthenticationFailed, Misconfigured),
            (Code::SSL, Misconfigured),
            (Code::TopicAuthorizationFailed, Misconfigured),
            (Code::GroupAuthorizationFailed, Misconfigured),
            (Code::TransactionalIdAuthorizationFailed, Misconfigured),
            (Code::ClusterAuthorizationFailed, Misconfigured),
            (Code::UnknownTopicOrPartition, Misconfigured),
            (Code::UnknownTopic, Misconfigured),
            (Code::InvalidTransactionTimeout, Misconfigured),
            (Code::InvalidReplicationFactor, Misconfigured),
            (Code::UnsupportedVersion, Misconfigured),
            (Code::MessageSizeTooLarge, Invalid),
            (Code::IllegalGeneration, Rebalanced),
            (Code::UnknownMemberId, Rebalanced),
            (Code::Fenced, Unavailable),
            (Code::ProducerFenced, Unavailable),
            (Code::BrokerTransportFailure, Unavailable),
            (Code::OperationTimedOut, Unavailable),
            (Code::CoordinatorNotAvailable, Unavailable),
            (Code::NotEnoughReplicas, Unavailable),
            (Code::UnknownPartition, Unavailable),
        ] {
            assert_eq!(explain(KafkaError::AdminOp(code)).kind(), kind);
            let error = explain(KafkaError::Global(code));
            assert_eq!(error.kind(), kind, "{code:?}: {error:?}");
            if kind == Misconfigured {
                assert!(error.advice().is_some(), "what can a person do? {error:?}");
            }
        }
    }
}
