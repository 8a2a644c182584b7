//! What every [`Source`] promises.

use std::time::Duration;

use async_trait::async_trait;
use tokio::time::timeout;

use super::random;
use crate::record::{Keyed, Tweet};
use crate::source::{Position, Source};

/// Makes the source under test: one stream of at least 20 posts that ends.
#[async_trait]
pub trait SourceHarness: Sync {
    /// The source, not yet resumed; each time the same.
    async fn open(&self) -> Box<dyn Source>;

    /// Whether it can be resumed at the positions it gives.
    fn resumable(&self) -> bool;
}

/// Every promise, one after the other.
pub async fn all(harness: &dyn SourceHarness) {
    macro_rules! run {
        ($($promise:ident),* $(,)?) => {$(
            println!("source: {}", stringify!($promise));
            $promise(harness).await;
        )*};
    }
    run!(
        the_same_source_gives_the_same_posts,
        every_post_is_whole,
        batches_keep_to_their_limit,
        it_stays_ended,
        a_position_is_behind_its_posts,
        going_back_gives_the_same_again,
        a_dropped_read_loses_nothing,
    );
}

/// Everything the source gives from `from` on, and the position behind each batch.
async fn read(
    source: &mut dyn Source,
    from: Option<Position>,
    max: usize,
) -> (Vec<Keyed<Tweet>>, Vec<(usize, Option<Position>)>) {
    source.resume(from).await.unwrap();
    let (mut tweets, mut positions) = (Vec::new(), Vec::new());
    while let Some(batch) = source.next_batch(max).await.unwrap() {
        tweets.extend(batch.tweets);
        positions.push((tweets.len(), batch.position));
    }
    (tweets, positions)
}

/// Read twice, in batches of any size, it gives the same posts in the same order under the same name.
pub async fn the_same_source_gives_the_same_posts(harness: &dyn SourceHarness) {
    let mut source = harness.open().await;
    let name = source.name().to_owned();
    assert!(!name.is_empty());
    let (first, _) = read(source.as_mut(), None, 1000).await;
    assert!(
        first.len() >= 20,
        "{} posts are too few to test with",
        first.len()
    );
    for max in [1, 3, 7] {
        let mut source = harness.open().await;
        assert_eq!(source.name(), name);
        assert_eq!(read(source.as_mut(), None, max).await.0, first, "by {max}");
    }
}

/// Every post has a task; a post of one task comes once.
pub async fn every_post_is_whole(harness: &dyn SourceHarness) {
    let (tweets, _) = read(harness.open().await.as_mut(), None, 100).await;
    let mut keys: Vec<_> = tweets
        .iter()
        .map(|tweet| (tweet.id, &tweet.value.task))
        .collect();
    assert!(keys.iter().all(|(_, task)| !task.is_empty()));
    keys.sort();
    keys.dedup();
    assert_eq!(keys.len(), tweets.len(), "posts came twice");
}

/// A batch holds no more posts than asked.
pub async fn batches_keep_to_their_limit(harness: &dyn SourceHarness) {
    for max in [1, 5] {
        let mut source = harness.open().await;
        source.resume(None).await.unwrap();
        while let Some(batch) = source.next_batch(max).await.unwrap() {
            assert!(batch.tweets.len() <= max, "{} of {max}", batch.tweets.len());
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

/// Resumed at any position it gave, another process reads exactly the posts behind it.
pub async fn a_position_is_behind_its_posts(harness: &dyn SourceHarness) {
    let (all, positions) = read(harness.open().await.as_mut(), None, 3).await;
    for (read_before, position) in positions {
        assert_eq!(position.is_some(), harness.resumable());
        let Some(position) = position else { continue };
        let (rest, _) = read(harness.open().await.as_mut(), Some(position), 4).await;
        assert_eq!(rest, all[read_before..]);
    }
}

/// A source that is under way goes back when another process has moved it.
pub async fn going_back_gives_the_same_again(harness: &dyn SourceHarness) {
    if !harness.resumable() {
        return;
    }
    let mut source = harness.open().await;
    let (all, positions) = read(source.as_mut(), None, 3).await;
    let (read_before, position) = positions[1].clone();
    assert_eq!(
        read(source.as_mut(), position, 5).await.0,
        all[read_before..]
    );
    assert_eq!(read(source.as_mut(), None, 5).await.0, all);
}

/// A read that is given up half-way takes nothing with it.
pub async fn a_dropped_read_loses_nothing(harness: &dyn SourceHarness) {
    let (all, _) = read(harness.open().await.as_mut(), None, 1000).await;
    let mut source = harness.open().await;
    source.resume(None).await.unwrap();
    let mut seen = Vec::new();
    loop {
        let short = Duration::from_micros(random() % 2000);
        match timeout(short, source.next_batch(2)).await {
            Err(_) => {}
            Ok(Ok(Some(batch))) => seen.extend(batch.tweets),
            Ok(Ok(None)) => break,
            Ok(Err(error)) => panic!("{error:?}"),
        }
    }
    assert_eq!(seen, all);
}
