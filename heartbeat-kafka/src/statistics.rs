//! librdkafka's statistics as metrics.

use metrics::{counter, gauge};
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::statistics::Statistics;

use crate::assignment::Assignment;

/// Counts what a client complained about.
pub(crate) fn count_error(client: &str, code: RDKafkaErrorCode) {
    counter!("heartbeat_kafka_errors_total", "client" => client.to_owned(), "code" => format!("{code:?}"))
        .increment(1);
}

/// Tells the gauges of a client:
///
/// | metric | what |
/// |---|---|
/// | `heartbeat_kafka_queued_messages` | messages waiting to be sent |
/// | `heartbeat_kafka_queued_bytes` | their bytes |
/// | `heartbeat_kafka_fetched_bytes` | bytes fetched ahead and not yet read, by topic and partition |
/// | `heartbeat_kafka_lag` | offsets between the committed one and the last, by topic and partition; transactions' own marks among them |
/// | `heartbeat_kafka_round_trip_seconds` | the mean of a broker's answers in the last seconds |
///
/// Each has the label `client`: what it is for, such as a group's name.
#[expect(
    clippy::cast_precision_loss,
    reason = "a gauge is a float; such counts are small"
)]
pub(crate) fn tell(client: &str, statistics: &Statistics) {
    let client = client.to_owned();
    gauge!("heartbeat_kafka_queued_messages", "client" => client.clone())
        .set(statistics.msg_cnt as f64);
    gauge!("heartbeat_kafka_queued_bytes", "client" => client.clone())
        .set(statistics.msg_size as f64);
    for broker in statistics
        .brokers
        .values()
        .filter(|broker| broker.nodeid >= 0)
    {
        if let Some(rtt) = broker.rtt.as_ref().filter(|rtt| rtt.cnt > 0) {
            gauge!("heartbeat_kafka_round_trip_seconds", "client" => client.clone(), "broker" => broker.nodeid.to_string())
                .set(rtt.avg as f64 / 1e6);
        }
    }
}

/// Tells how far a member's group is behind in its partitions.
#[expect(
    clippy::cast_precision_loss,
    reason = "a gauge is a float; such counts are small"
)]
pub(crate) fn tell_lag(client: &str, statistics: &Statistics, assignment: &Assignment) {
    for (topic, told) in &statistics.topics {
        for (number, told) in &told.partitions {
            // What librdkafka tells itself does not count what was committed in transactions.
            let Some(committed) = assignment.committed(*number) else {
                continue;
            };
            let labels = [
                ("client", client.to_owned()),
                ("topic", topic.clone()),
                ("partition", number.to_string()),
            ];
            gauge!("heartbeat_kafka_lag", &labels).set((told.ls_offset - committed).max(0) as f64);
            gauge!("heartbeat_kafka_fetched_bytes", &labels).set(told.fetchq_size as f64);
        }
    }
}
