//! Reading a topic of dead letters.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use backon::{BackoffBuilder, ExponentialBuilder};
use heartbeat_core::{Batch, Bus, Error, Max, Message, Result, Subscription, Topic};
use tracing::warn;

/// The group whose offsets tell which dead letters are done with.
pub(super) const GROUP: &str = "heartbeat-dead-letters";

const MAX: Max = Max {
    messages: 500,
    bytes: 4 << 20,
};

/// How long one poll waits.
const WAIT: Duration = Duration::from_millis(200);

/// How long to wait for dead letters that another member of the group holds: longer than a killed one
/// keeps them.
const PATIENCE: Duration = Duration::from_secs(15);

/// For each partition the offset behind its last dead letter.
pub(super) type Ends = BTreeMap<i32, i64>;

/// Shows `each` the dead letters there are now, until it breaks off. The group passes none of them.
pub(super) async fn scan(
    bus: &dyn Bus,
    topic: &Topic,
    mut each: impl FnMut(&Message) -> Result<ControlFlow<()>>,
) -> Result<Ends> {
    let mut ends = Ends::new();
    let lag = patiently("read the lag", async || bus.lag(topic, GROUP).await).await?;
    let mut unseen: BTreeMap<i32, i64> = lag
        .iter()
        .filter(|partition| partition.messages > 0)
        .map(|lag| (lag.partition, lag.messages.try_into().unwrap_or(i64::MAX)))
        .collect();
    // Nothing to read, and perhaps no such topic.
    if unseen.is_empty() {
        return Ok(ends);
    }
    let mut reader = Reader::open(bus, topic).await?;
    let result = async {
        while !unseen.is_empty() {
            let batch = reader.next().await?;
            for message in &batch.messages {
                if each(message)?.is_break() {
                    return Ok(());
                }
            }
            for (partition, span) in batch.checkpoint.spans {
                ends.insert(partition, span.end);
                if let Some(left) = unseen.get_mut(&partition) {
                    *left -= span.end - span.start;
                    if *left <= 0 {
                        unseen.remove(&partition);
                    }
                }
            }
        }
        Ok(())
    }
    .await;
    reader.close().await;
    result.map(|()| ends)
}

/// A member of the group that expects something to read.
pub(super) struct Reader<'a> {
    topic: &'a Topic,
    subscription: Box<dyn Subscription>,
}

impl<'a> Reader<'a> {
    pub(super) async fn open(bus: &dyn Bus, topic: &'a Topic) -> Result<Self> {
        let subscription =
            patiently("subscribe", async || bus.subscribe(topic, GROUP).await).await?;
        Ok(Self {
            topic,
            subscription,
        })
    }

    /// The next batch, which is not empty.
    pub(super) async fn next(&mut self) -> Result<Batch> {
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            let batch = patiently("poll", async || self.subscription.poll(MAX, WAIT).await).await?;
            if !batch.is_empty() {
                return Ok(batch);
            }
        }
        Err(
            Error::unavailable("some of the dead letters are with another reader")
                .with("topic", self.topic)
                .with("group", GROUP)
                .hint("Wait until the other `heartbeat dead-letters` has ended."),
        )
    }

    pub(super) fn subscription(&mut self) -> &mut dyn Subscription {
        self.subscription.as_mut()
    }

    /// Leaves the group. A failure costs the next reader a wait, no more.
    pub(super) async fn close(self) {
        if let Err(error) = self.subscription.close().await {
            warn!(error = error.report(), "Could not leave the group.");
        }
    }
}

/// Tries a few times, as somebody waits for the answer.
pub(super) async fn patiently<T>(
    what: &str,
    mut operation: impl AsyncFnMut() -> Result<T>,
) -> Result<T> {
    let mut waits = ExponentialBuilder::default()
        .with_jitter()
        .with_min_delay(Duration::from_millis(200))
        .with_max_times(5)
        .build();
    loop {
        let error = match operation().await {
            Err(error) if error.is_retryable() => error,
            done => return done,
        };
        let Some(wait) = waits.next() else {
            return Err(error);
        };
        let wait = wait.max(error.wait_before_retry().unwrap_or_default());
        warn!(what, error = error.report(), ?wait, "Trying again.");
        tokio::time::sleep(wait).await;
    }
}
