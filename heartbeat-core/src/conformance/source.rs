//! What every [`Source`] promises.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::time::timeout;

use super::{any_of, given_up, random};
use crate::error::ErrorKind;
use crate::record::{Keyed, Tweet};
use crate::source::{Position, Source, SourceBatch};

/// Makes the source under test: one stream of at least 20 posts that ends.
#[async_trait]
pub trait SourceHarness: Sync {
    /// The source, not yet resumed; each time the same.
    async fn open(&self) -> Box<dyn Source>;

    /// Whether it can be resumed at the positions it gives.
    fn resumable(&self) -> bool;
}

promises! {
    for<'a> (harness: &'a dyn SourceHarness);
    the_same_source_gives_the_same_posts,
    every_post_is_whole,
    batches_keep_to_their_limit,
    it_stays_ended,
    a_position_is_behind_its_posts,
    going_back_gives_the_same_again,
    another_sources_position_is_refused,
    a_dropped_read_loses_nothing,
}

/// Every promise, one after the other.
pub async fn all(harness: &dyn SourceHarness) {
    for (name, promise) in PROMISES {
        println!("source: {name}");
        promise(harness).await;
    }
}

/// What a source gave.
#[derive(Debug, Default, PartialEq)]
struct Given {
    tweets: Vec<Keyed<Tweet>>,
    /// What was no post: its place and what it was.
    rejected: Vec<(u64, Bytes)>,
}

impl Given {
    fn add(&mut self, batch: SourceBatch) {
        self.tweets.extend(batch.tweets);
        let rejected = batch.rejected.into_iter();
        self.rejected.extend(rejected.map(|it| (it.line, it.raw)));
    }

    fn len(&self) -> usize {
        self.tweets.len() + self.rejected.len()
    }
}

/// Everything the source gives from `from` on.
async fn read(source: &mut dyn Source, from: Option<Position>, max: usize) -> Given {
    source.resume(from).await.unwrap();
    let mut given = Given::default();
    while let Some(batch) = source.next_batch(max).await.unwrap() {
        given.add(batch);
    }
    given
}

async fn read_all(harness: &dyn SourceHarness) -> Given {
    read(harness.open().await.as_mut(), None, 1000).await
}

/// Read twice, in batches of any size, it gives the same posts in the same order under the same name.
pub async fn the_same_source_gives_the_same_posts(harness: &dyn SourceHarness) {
    let mut source = harness.open().await;
    let name = source.name().to_owned();
    assert!(!name.is_empty());
    let first = read(source.as_mut(), None, 1000).await;
    let posts = first.tweets.len();
    assert!(posts >= 20, "{posts} posts are too few to test with");
    for max in [1, 3, 7] {
        let mut source = harness.open().await;
        assert_eq!(source.name(), name);
        assert_eq!(read(source.as_mut(), None, max).await, first, "by {max}");
    }
}

/// Every post has a task; a post of one task comes once. What is no post comes once, in order, and is told why.
pub async fn every_post_is_whole(harness: &dyn SourceHarness) {
    let mut source = harness.open().await;
    source.resume(None).await.unwrap();
    let (mut keys, mut lines) = (Vec::new(), Vec::new());
    while let Some(batch) = source.next_batch(100).await.unwrap() {
        keys.extend(batch.tweets.into_iter().map(|it| (it.id, it.value.task)));
        for rejected in batch.rejected {
            let error = rejected.error;
            assert_eq!(error.kind(), ErrorKind::Invalid, "{error:?}");
            lines.push(rejected.line);
        }
    }
    assert!(keys.iter().all(|(_, task)| !task.is_empty()));
    let posts = keys.len();
    keys.sort();
    keys.dedup();
    assert_eq!(keys.len(), posts, "posts came twice");
    assert!(lines.is_sorted_by(|a, b| a < b), "{lines:?}");
    assert!(lines.iter().all(|line| *line >= 1));
}

/// A batch holds no more posts than asked, and something.
pub async fn batches_keep_to_their_limit(harness: &dyn SourceHarness) {
    for max in [1, 5] {
        let mut source = harness.open().await;
        source.resume(None).await.unwrap();
        while let Some(batch) = source.next_batch(max).await.unwrap() {
            assert!(batch.tweets.len() <= max, "{} of {max}", batch.tweets.len());
            assert!(batch.tweets.len() + batch.rejected.len() > 0, "it is empty");
        }
    }
}

/// Behind the end there is nothing, however often one asks.
pub async fn it_stays_ended(harness: &dyn SourceHarness) {
    let mut source = harness.open().await;
    read(source.as_mut(), None, 100).await;
    for _ in 0..3 {
        assert!(source.next_batch(100).await.unwrap().is_none());
    }
}

/// Resumed at any position it gave, another process reads exactly what is behind it.
pub async fn a_position_is_behind_its_posts(harness: &dyn SourceHarness) {
    let all = read_all(harness).await;
    let mut source = harness.open().await;
    source.resume(None).await.unwrap();
    let mut before = Given::default();
    while let Some(batch) = source.next_batch(3).await.unwrap() {
        let position = batch.position.clone();
        before.add(batch);
        assert_eq!(position.is_some(), harness.resumable());
        if position.is_some() {
            let rest = read(harness.open().await.as_mut(), position, 4).await;
            assert_eq!(rest.tweets, all.tweets[before.tweets.len()..]);
            assert_eq!(rest.rejected, all.rejected[before.rejected.len()..]);
        }
    }
}

/// A source that is under way, or at its end, goes back when another process has moved it.
pub async fn going_back_gives_the_same_again(harness: &dyn SourceHarness) {
    if !harness.resumable() {
        return;
    }
    let all = read_all(harness).await;
    let mut source = harness.open().await;
    source.resume(None).await.unwrap();
    let first = source.next_batch(3).await.unwrap().unwrap();
    source.next_batch(3).await.unwrap().unwrap();
    let position = first.position.clone();
    let mut again = Given::default();
    again.add(first);
    let rest = read(source.as_mut(), position, 5).await;
    again.tweets.extend(rest.tweets);
    again.rejected.extend(rest.rejected);
    assert_eq!(again, all);
    assert_eq!(read(source.as_mut(), None, 5).await, all);
}

/// A position that was not made of this source is an error, not a guess.
pub async fn another_sources_position_is_refused(harness: &dyn SourceHarness) {
    if !harness.resumable() {
        return;
    }
    let foreign = Position("no position of this source".to_owned());
    let error = harness
        .open()
        .await
        .resume(Some(foreign))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Misconfigured, "{error:?}");
}

/// A read that is given up half-way takes nothing with it.
pub async fn a_dropped_read_loses_nothing(harness: &dyn SourceHarness) {
    let all = read_all(harness).await;
    let mut source = harness.open().await;
    source.resume(None).await.unwrap();
    let mut seen = Given::default();
    for attempt in 0.. {
        // Longer and longer, so that it comes to an end wherever the time goes.
        let short = Duration::from_micros(random() % (2000 + 100 * attempt));
        let read = given_up(source.next_batch(2), any_of(2 + attempt / 8));
        match timeout(short, read).await {
            Err(_) | Ok(None) => {}
            Ok(Some(Ok(Some(batch)))) => seen.add(batch),
            Ok(Some(Ok(None))) => break,
            Ok(Some(Err(error))) => panic!("{error:?}"),
        }
        assert!(seen.len() <= all.len(), "posts come twice");
    }
    assert_eq!(seen, all);
}
