//! [`FakeSource`]: posts made of random words.

mod mood;
mod tweets;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use heartbeat_core::{Error, Position, Result, Source, SourceBatch};
use serde::{Deserialize, Serialize};
use tokio::task::coop::consume_budget;
use tokio::time::{Instant, sleep_until};

use tweets::Tweets;

/// What a [`FakeSource`] makes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FakeConfig {
    /// Decides every post, which then begin on 9 May 2022: the same seed, the same posts. Unless set,
    /// each source is another, and begins now.
    pub seed: Option<u64>,
    /// How many posts there are: without end unless set.
    pub count: Option<u64>,
    /// Posts a second: 5 unless set; 0 for as fast as they are taken, with times as at 5 a second.
    /// At least 0.001, at most a million.
    pub rate: f64,
    /// The subjects the posts are on, at random: `RU-UKR` unless set.
    pub tasks: Vec<String>,
    /// What ids they have: such as X gives unless set.
    pub ids: Ids,
}

/// What ids posts have.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Ids {
    /// Such as X gives: they tell the time to the millisecond, and rise.
    #[default]
    Snowflake,
    /// Four digits in no order, for as long as those are enough; no two alike.
    Short,
}

const DEFAULT_RATE: f64 = 5.0;

/// 2022-05-09 05:17:42 UTC.
const SEEDED_START: i32 = 1_652_073_462;

impl Default for FakeConfig {
    fn default() -> Self {
        Self {
            seed: None,
            count: None,
            rate: DEFAULT_RATE,
            tasks: vec!["RU-UKR".to_owned()],
            ids: Ids::default(),
        }
    }
}

/// An endless stream of posts: 15 random words each, happier and sadder as time goes by.
///
/// Its position is the number of posts before it.
#[derive(Debug)]
pub struct FakeSource {
    name: String,
    tweets: Tweets,
    /// Posts a second; 0: no waiting.
    rate: f64,
    end: u64,
    /// The number of the next post.
    next: u64,
    /// When which post was due: since then the others are due by the rate.
    begun: Option<(Instant, u64)>,
}

impl FakeSource {
    /// A source at its beginning.
    ///
    /// # Errors
    /// [`ErrorKind::Misconfigured`](heartbeat_core::ErrorKind::Misconfigured) when the rate is out of
    /// range, or there is no task, or one without a name.
    pub fn new(config: FakeConfig) -> Result<Self> {
        let wrong = |message: &str| Err(Error::misconfigured(message).with("source", "fake"));
        if config.rate != 0.0 && !(0.001..=1e6).contains(&config.rate) {
            return wrong("the rate is 0 or from 0.001 to 1000000 posts a second");
        }
        if config.tasks.is_empty() || config.tasks.iter().any(String::is_empty) {
            return wrong("there is at least one task, and each has a name");
        }
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let (seed, start) = match config.seed {
            Some(seed) => (seed, SEEDED_START),
            None => (
                now.as_nanos() as u64,
                i32::try_from(now.as_secs()).unwrap_or(i32::MAX),
            ),
        };
        let pace = if config.rate == 0.0 {
            DEFAULT_RATE
        } else {
            config.rate
        };
        let tweets = Tweets::new(seed, start, pace, config.tasks, config.ids);
        Ok(Self {
            name: format!("fake:{seed}"),
            end: config.count.unwrap_or(u64::MAX).min(tweets.end()),
            tweets,
            rate: config.rate,
            next: 0,
            begun: None,
        })
    }

    /// Waits until the next post is due, and says how many are.
    async fn due(&mut self) -> u64 {
        if self.rate == 0.0 {
            return u64::MAX;
        }
        let next = self.next;
        let (begin, first) = *self.begun.get_or_insert_with(|| (Instant::now(), next));
        // Within the range of a duration: the posts end when their times leave that of an `i32`.
        let wait = Duration::from_secs_f64((next - first) as f64 / self.rate);
        sleep_until(begin + wait).await;
        let due = first + (begin.elapsed().as_secs_f64() * self.rate) as u64;
        (due + 1).saturating_sub(next).max(1)
    }
}

#[async_trait]
impl Source for FakeSource {
    fn name(&self) -> &str {
        &self.name
    }

    async fn resume(&mut self, from: Option<Position>) -> Result<()> {
        let next = match &from {
            None => 0,
            Some(Position(text)) => text.parse().map_err(|error| {
                Error::misconfigured("not a position of this source")
                    .with("source", &self.name)
                    .with("position", text)
                    .caused_by(error)
            })?,
        };
        self.next = next;
        self.begun = None;
        Ok(())
    }

    async fn next_batch(&mut self, max: usize) -> Result<Option<SourceBatch>> {
        consume_budget().await;
        if self.next >= self.end {
            return Ok(None);
        }
        let count = self
            .due()
            .await
            .min(self.end - self.next)
            .min(max.max(1) as u64);
        let indexes = self.next..self.next + count;
        self.next = indexes.end;
        Ok(Some(SourceBatch {
            tweets: indexes.map(|index| self.tweets.make(index)).collect(),
            position: Some(Position(self.next.to_string())),
            ..SourceBatch::default()
        }))
    }
}
