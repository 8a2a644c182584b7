//! The fake source: what it gives, when, and that a seed decides it.

use std::collections::HashSet;
use std::time::Duration;

use heartbeat_core::{ErrorKind, Keyed, Position, Source, Tweet, TweetId};
use heartbeat_mock::{FakeConfig, FakeSource, Ids};
use tokio::time::{Instant, timeout};

fn seeded(count: u64) -> FakeConfig {
    FakeConfig {
        seed: Some(7),
        count: Some(count),
        rate: 0.0,
        ..FakeConfig::default()
    }
}

async fn all(source: &mut FakeSource, max: usize) -> Vec<Keyed<Tweet>> {
    let mut tweets = Vec::new();
    while let Some(batch) = source.next_batch(max).await.expect("a batch") {
        assert!((1..=max).contains(&batch.tweets.len()));
        tweets.extend(batch.tweets);
    }
    tweets
}

async fn tweets(config: FakeConfig) -> Vec<Keyed<Tweet>> {
    all(&mut FakeSource::new(config).expect("a source"), 100).await
}

/// The number of words of a tweet that are in the list.
fn count(tweet: &Tweet, words: &HashSet<&str>) -> i32 {
    let is_there = |word: &&str| words.contains(word);
    tweet.content.split(' ').filter(is_there).count() as i32
}

#[tokio::test]
async fn the_seed_decides_everything() {
    let first = tweets(seeded(500)).await;
    assert_eq!(first.len(), 500);
    assert_eq!(first, tweets(seeded(500)).await);
    let mut other = FakeSource::new(FakeConfig {
        seed: Some(8),
        ..seeded(500)
    })
    .expect("a source");
    assert_eq!(other.name(), "fake:8");
    assert_ne!(first, all(&mut other, 100).await);
}

/// Frozen: a seed gives the same posts in every release and on every machine.
#[tokio::test]
async fn seed_7_stays_what_it_is() {
    let tweets = tweets(seeded(1000)).await;
    for (index, id, time, content) in [
        (
            0,
            1_523_532_641_007_237_535,
            1_652_073_462,
            "tundra liquid better sweater swing police nation kidney olive ship weather lunch rinse \
             melt election",
        ),
        (
            999,
            1_523_533_479_157_659_377,
            1_652_073_661,
            "lousy caring over climb cashier gender pathetic threaten threaten doubt liar pyramid \
             leather encounter battle",
        ),
    ] {
        let expected = Keyed {
            id: TweetId(id),
            value: Tweet {
                time,
                content: content.to_owned(),
                task: "RU-UKR".to_owned(),
            },
        };
        assert_eq!(tweets[index], expected);
    }
}

#[tokio::test]
async fn a_source_resumed_gives_the_rest() {
    let whole = tweets(seeded(300)).await;
    for split in [0, 1, 123, 299, 300] {
        let mut source = FakeSource::new(seeded(300)).expect("a source");
        let from = (split > 0).then(|| Position(split.to_string()));
        source.resume(from).await.expect("a position");
        assert_eq!(all(&mut source, 7).await, whole[split..]);
    }
}

#[tokio::test]
async fn the_position_is_behind_what_was_given() {
    let mut source = FakeSource::new(seeded(10)).expect("a source");
    let batch = source.next_batch(4).await.expect("a batch").expect("more");
    assert_eq!(batch.tweets.len(), 4);
    assert_eq!(batch.position, Some(Position("4".to_owned())));
}

#[tokio::test]
async fn positions_and_settings_that_are_wrong_are_told() {
    let mut source = FakeSource::new(seeded(10)).expect("a source");
    for position in ["", "-1", "x", "99999999999999999999999"] {
        let error = source.resume(Some(Position(position.to_owned()))).await;
        assert_eq!(error.unwrap_err().kind(), ErrorKind::Misconfigured);
    }
    let rate = |rate| FakeConfig { rate, ..seeded(1) };
    let tasks = |tasks| FakeConfig { tasks, ..seeded(1) };
    for config in [
        rate(-1.0),
        rate(f64::NAN),
        rate(f64::INFINITY),
        rate(1e-9),
        tasks(vec![]),
        tasks(vec![String::new()]),
    ] {
        let error = FakeSource::new(config.clone()).expect_err(&format!("{config:?}"));
        assert_eq!(error.kind(), ErrorKind::Misconfigured);
    }
    assert!(serde_json::from_str::<FakeConfig>(r#"{"sed": 7}"#).is_err());
    let config: FakeConfig =
        serde_json::from_str(r#"{"seed": 7, "ids": "short"}"#).expect("fields");
    assert_eq!((config.ids, config.rate), (Ids::Short, 5.0));
}

#[tokio::test]
async fn tweets_are_fifteen_words_on_the_tasks_in_their_time() {
    let config = FakeConfig {
        rate: 0.0,
        tasks: vec!["A".to_owned(), "B".to_owned()],
        ..seeded(1000)
    };
    let tweets = tweets(config).await;
    for (index, Keyed { value, .. }) in (0..).zip(&tweets) {
        assert_eq!(value.content.split(' ').count(), 15);
        assert_eq!(value.time, 1_652_073_462 + index / 5);
    }
    for task in ["A", "B"] {
        let share = tweets.iter().filter(|it| it.value.task == task).count();
        assert!((400..600).contains(&share), "{share} on {task}");
    }
}

#[tokio::test]
async fn ids_are_distinct_and_such_as_they_should_be() {
    let long = tweets(seeded(20_000)).await;
    assert!(long.windows(2).all(|pair| pair[0].id < pair[1].id));
    for tweet in &long {
        let seconds = ((tweet.id.0 >> 22) + 1_288_834_974_657) / 1000;
        assert_eq!(seconds, i64::from(tweet.value.time));
    }

    let ids = Ids::Short;
    let short = tweets(FakeConfig {
        ids,
        ..seeded(20_000)
    })
    .await;
    assert!(
        short[..9000]
            .iter()
            .all(|it| (1000..=9999).contains(&it.id.0))
    );
    let distinct: HashSet<_> = short.iter().map(|it| it.id).collect();
    assert_eq!(distinct.len(), 20_000);
}

/// Means of 50 tweets: a picture of ten seconds each.
#[tokio::test]
async fn the_mood_moves() {
    let happy: HashSet<&str> = include_str!("../src/fake/positive.txt").lines().collect();
    let sad: HashSet<&str> = include_str!("../src/fake/negative.txt").lines().collect();
    let moods: Vec<f64> = tweets(seeded(3000))
        .await
        .chunks(50)
        .map(|tweets| {
            let balance = |it: &Keyed<Tweet>| count(&it.value, &happy) - count(&it.value, &sad);
            f64::from(tweets.iter().map(balance).sum::<i32>()) / 50.0
        })
        .collect();
    assert!(moods.iter().any(|&mood| mood > 2.0), "{moods:?}");
    assert!(moods.iter().any(|&mood| mood < -2.0), "{moods:?}");
}

#[tokio::test(start_paused = true)]
async fn posts_come_by_the_rate_and_all_that_are_due_at_once() {
    let config = FakeConfig {
        rate: 2.0,
        ..seeded(100)
    };
    let mut source = FakeSource::new(config).expect("a source");
    let begin = Instant::now();
    for (index, at) in [(1, 0), (2, 500), (3, 1000)] {
        let batch = source.next_batch(10).await.expect("a batch").expect("more");
        assert_eq!(batch.position, Some(Position(index.to_string())));
        assert_eq!(begin.elapsed().as_millis(), at);
    }

    tokio::time::advance(Duration::from_millis(2000)).await;
    let batch = source.next_batch(3).await.expect("a batch").expect("more");
    assert_eq!(batch.tweets.len(), 3, "four are due");
    let batch = source.next_batch(3).await.expect("a batch").expect("more");
    assert_eq!(batch.tweets.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_dropped_loses_nothing() {
    let config = FakeConfig {
        rate: 0.5,
        ..seeded(5)
    };
    let mut source = FakeSource::new(config).expect("a source");
    let mut given = Vec::new();
    loop {
        match timeout(Duration::from_millis(300), source.next_batch(10)).await {
            Ok(Ok(Some(batch))) => given.extend(batch.tweets),
            Ok(end) => {
                assert!(end.expect("no error").is_none());
                break;
            }
            Err(_) => {}
        }
    }
    let expected = tweets(FakeConfig {
        rate: 0.5,
        ..seeded(5)
    });
    assert_eq!(given, expected.await);
}

#[tokio::test]
async fn without_a_seed_posts_begin_now() {
    let now = || {
        std::time::UNIX_EPOCH
            .elapsed()
            .expect("past 1970")
            .as_secs() as i32
    };
    let before = now();
    let mut source = FakeSource::new(FakeConfig::default()).expect("a source");
    let batch = source.next_batch(1).await.expect("a batch").expect("more");
    assert!((before..=now()).contains(&batch.tweets[0].value.time));
}
