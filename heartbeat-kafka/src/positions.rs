//! How far sources have come: a compacted topic of one partition, the source's name as key.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::time::Instant;

use heartbeat_core::{Error, Position, Result, Topic};
use rdkafka::message::Message;

use crate::reader::Reader;

/// The topic's one partition.
pub(crate) const PARTITION: i32 = 0;

/// How many records are looked at first, from the end; eight times as many the next time.
const WINDOW: i64 = 256;

/// Where `source` is. Sees everything that was committed before the call: `end` is the offset behind the last record,
/// committed or not, and transactions that are open before it are waited for.
pub(crate) fn read(
    reader: &Reader,
    topic: &Topic,
    source: &str,
    end: i64,
    until: Instant,
) -> Result<Option<Position>> {
    let (first, stable) = reader.stable_end(topic, PARTITION, end, until)?;
    if stable < end {
        return Err(
            Error::unavailable("a transaction on the sources' positions is still open")
                .with("topic", topic),
        );
    }
    let mut window = WINDOW;
    loop {
        let from = (end - window).max(first);
        let mut found = None;
        if from < end {
            reader.scan(topic, &BTreeMap::from([(PARTITION, from)]), |record| {
                if record.key() == Some(source.as_bytes()) {
                    found = Some(record.payload().map(<[u8]>::to_vec));
                }
                ControlFlow::Continue(())
            })?;
        }
        match found {
            // A tombstone: the position was taken away.
            Some(None) => return Ok(None),
            Some(Some(position)) => {
                let position = String::from_utf8(position).map_err(|_| {
                    Error::misconfigured("the source's position is no text")
                        .with("topic", topic)
                        .with("source", source)
                        .hint("Something else writes to this topic: choose another by `positions` in `[bus.topics]`.")
                })?;
                return Ok(Some(Position(position)));
            }
            None if from == first => return Ok(None),
            None => window *= 8,
        }
    }
}
