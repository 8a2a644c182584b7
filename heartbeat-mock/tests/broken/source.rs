//! Sins of a source.

use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use heartbeat_core::conformance::source::{PROMISES, SourceHarness};
use heartbeat_core::{Error, Position, Rejected, Result, Source, SourceBatch};
use heartbeat_mock::{FakeConfig, FakeSource};
use tokio::task::yield_now;

sins! {
    HasANewNameEachTime => the_same_source_gives_the_same_posts;
    ReversesBatches => the_same_source_gives_the_same_posts;
    /// What is no post is lost when no post came with it.
    ForgetsLoneRejects => the_same_source_gives_the_same_posts;
    NamesNoTask => every_post_is_whole;
    GivesPostsTwice => every_post_is_whole;
    CountsLinesFromZero => every_post_is_whole;
    BlamesItself => every_post_is_whole;
    ExceedsMax => batches_keep_to_their_limit;
    GivesEmptyBatches => batches_keep_to_their_limit;
    BeginsAgainAtItsEnd => it_stays_ended;
    HasNoPosition => a_position_is_behind_its_posts;
    StandsTooEarly => a_position_is_behind_its_posts;
    StandsTooLate => a_position_is_behind_its_posts;
    CountsLinesFromItsPosition => a_position_is_behind_its_posts;
    ResumesOnce => going_back_gives_the_same_again;
    GuessesPositions => another_sources_position_is_refused;
    LosesDroppedReads => a_dropped_read_loses_nothing;
    BeginsAgainWhenDropped => a_dropped_read_loses_nothing;
}

#[tokio::test(start_paused = true)]
async fn sins_of_a_source_are_found() {
    crate::assert_found(SINS, PROMISES, |sin, promise| async move {
        promise(&Harness(sin)).await;
    })
    .await;
}

struct Harness(Option<Sin>);

#[async_trait]
impl SourceHarness for Harness {
    async fn open(&self) -> Box<dyn Source> {
        static OPENED: AtomicU64 = AtomicU64::new(0);
        let opened = OPENED.fetch_add(1, Ordering::Relaxed);
        let config = FakeConfig {
            seed: Some(1),
            count: Some(60),
            rate: 2000.0,
            ..FakeConfig::default()
        };
        let inner = FakeSource::new(config).expect("a source");
        Box::new(BrokenSource {
            name: match self.0 {
                Some(Sin::HasANewNameEachTime) => format!("fake-{opened}"),
                _ => "fake".to_owned(),
            },
            inner,
            sin: self.0,
            next: 0,
            calls: 0,
            resumed: false,
            reading: false,
        })
    }

    fn resumable(&self) -> bool {
        true
    }
}

/// A [`FakeSource`] with one sin, of whose posts every fifth comes as none.
#[derive(Debug)]
struct BrokenSource {
    name: String,
    inner: FakeSource,
    sin: Option<Sin>,
    /// The number of the next post.
    next: u64,
    calls: u64,
    resumed: bool,
    /// Whether a read has begun and not come to its end.
    reading: bool,
}

impl BrokenSource {
    fn has(&self, sin: Sin) -> bool {
        self.sin == Some(sin)
    }

    /// Rejects every fifth post.
    fn reject(&self, batch: &mut SourceBatch) {
        for (number, tweet) in (self.next..).zip(std::mem::take(&mut batch.tweets)) {
            if number % 5 != 4 {
                batch.tweets.push(tweet);
                continue;
            }
            batch.rejected.push(Rejected {
                raw: Bytes::from(tweet.value.content),
                line: number + u64::from(!self.has(Sin::CountsLinesFromZero)) - self.skew(),
                error: match self.sin {
                    Some(Sin::BlamesItself) => Error::internal("a bug"),
                    _ => Error::invalid("no post"),
                },
            });
        }
    }

    /// By how much lines are counted wrong.
    fn skew(&self) -> u64 {
        match self.sin {
            // The first of them is number 0.
            Some(Sin::CountsLinesFromZero) => 4,
            Some(Sin::CountsLinesFromItsPosition) if self.resumed => 1,
            _ => 0,
        }
    }
}

#[async_trait]
impl Source for BrokenSource {
    fn name(&self) -> &str {
        &self.name
    }

    async fn resume(&mut self, from: Option<Position>) -> Result<()> {
        if self.has(Sin::ResumesOnce) && self.calls > 0 {
            return Ok(());
        }
        let next = from.as_ref().and_then(|from| from.0.parse().ok());
        self.resumed = from.is_some();
        match self.inner.resume(from).await {
            Err(_) if self.has(Sin::GuessesPositions) => self.inner.resume(None).await?,
            done => done?,
        }
        self.next = next.unwrap_or(0);
        Ok(())
    }

    async fn next_batch(&mut self, mut max: usize) -> Result<Option<SourceBatch>> {
        self.calls += 1;
        if self.has(Sin::BeginsAgainWhenDropped) && self.reading {
            self.resume(None).await?;
        }
        if self.has(Sin::GivesEmptyBatches) && self.calls.is_multiple_of(2) {
            return Ok(Some(SourceBatch::default()));
        }
        if self.has(Sin::ExceedsMax) {
            max += 1;
        }
        self.reading = true;
        let batch = self.inner.next_batch(max).await?;
        if self.has(Sin::LosesDroppedReads) {
            yield_now().await;
        }
        self.reading = false;
        let Some(mut batch) = batch else {
            if self.has(Sin::BeginsAgainAtItsEnd) {
                self.resume(None).await?;
            }
            return Ok(None);
        };
        let count = batch.tweets.len() as u64;
        self.reject(&mut batch);
        self.next += count;
        match self.sin {
            Some(Sin::ReversesBatches) => batch.tweets.reverse(),
            Some(Sin::ForgetsLoneRejects) if batch.tweets.is_empty() => batch.rejected.clear(),
            Some(Sin::NamesNoTask) => {
                for tweet in &mut batch.tweets {
                    tweet.value.task.clear();
                }
            }
            Some(Sin::GivesPostsTwice) => batch.tweets.extend(batch.tweets.clone()),
            Some(Sin::HasNoPosition) => batch.position = None,
            Some(Sin::StandsTooEarly) => {
                batch.position = Some(Position((self.next - count).to_string()));
            }
            Some(Sin::StandsTooLate) => {
                batch.position = Some(Position((self.next + 1).to_string()));
            }
            _ => {}
        }
        Ok(Some(batch))
    }
}
