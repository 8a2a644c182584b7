//! Lists of partitions, as librdkafka takes and gives them.

use std::collections::BTreeMap;

use heartbeat_core::{Result, Topic};
use rdkafka::{Offset, TopicPartitionList};

use crate::error::explain;

/// Partitions of a topic.
pub(crate) fn of(topic: &Topic, partitions: impl IntoIterator<Item = i32>) -> TopicPartitionList {
    let mut list = TopicPartitionList::new();
    for partition in partitions {
        list.add_partition(topic.as_str(), partition);
    }
    list
}

/// Partitions of a topic, each at an offset.
pub(crate) fn at(
    topic: &Topic,
    offsets: impl IntoIterator<Item = (i32, i64)>,
) -> Result<TopicPartitionList> {
    let mut list = TopicPartitionList::new();
    for (partition, offset) in offsets {
        list.add_partition_offset(topic.as_str(), partition, Offset::Offset(offset))
            .map_err(explain)?;
    }
    Ok(list)
}

/// The offsets of those partitions that have one.
///
/// # Errors
/// That of a partition.
pub(crate) fn offsets(list: &TopicPartitionList) -> Result<BTreeMap<i32, i64>> {
    let mut offsets = BTreeMap::new();
    for element in list.elements() {
        element.error().map_err(explain)?;
        if let Offset::Offset(offset) = element.offset() {
            offsets.insert(element.partition(), offset);
        }
    }
    Ok(offsets)
}
