//! Several tweets at one nanosecond.

use std::collections::BTreeSet;

use heartbeat_core::{Keyed, Sentiment, Store, TweetId, WriteReport};
use heartbeat_influx::InfluxStore;

use crate::places::SECOND;
use crate::{all, point, real};

/// One of so many tweets of the second that lie at each place.
fn twin(place: i64, number: i64) -> Keyed<Sentiment> {
    point(number * 1_000_000_000 + place, SECOND, "t")
}

fn refused(report: &WriteReport) -> Vec<usize> {
    report.refused.iter().map(|refused| refused.index).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn of_tweets_at_the_same_nanosecond_the_first_stays_and_the_others_are_told() {
    let store = real::store().await;
    let first = point(7, SECOND, "t");
    // In the same write, and in a later one.
    for others in [
        vec![first.clone(), point(1_000_000_007, SECOND, "t")],
        vec![point(2_000_000_007, SECOND, "t")],
    ] {
        let report = store.write(&others).await.unwrap();
        let [refused] = report.refused.as_slice() else {
            panic!("{report:?}");
        };
        assert_eq!(refused.index, others.len() - 1);
        let text = refused.error.to_string();
        assert!(
            text.contains("same nanosecond") && text.contains("other 7,"),
            "{text}"
        );
    }
    // Neither another task nor another second is in the way, nor is a tweet in its own.
    let more = [
        point(1_000_000_007, SECOND, "u"),
        point(1_000_000_007, SECOND + 1, "t"),
        first.clone(),
    ];
    assert!(store.write(&more).await.unwrap().refused.is_empty());
    let ids: BTreeSet<TweetId> = all(&store).await.iter().map(|point| point.id).collect();
    assert_eq!(ids, BTreeSet::from([TweetId(7), TweetId(1_000_000_007)]));
    assert_eq!(all(&store).await.len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_earlier_process_stored_stays() {
    let config = real::bucket(None).await;
    let before = InfluxStore::open(config.clone()).await.unwrap();
    // So many that no one query tells of them all.
    let points: Vec<_> = (0..25_000).map(|place| twin(place, 0)).collect();
    before.write(&points).await.unwrap();
    before.close().await.unwrap();

    let now = InfluxStore::open(config).await.unwrap();
    let others = [
        twin(0, 1),
        twin(12_345, 1),
        twin(30_000, 1),
        twin(24_999, 1),
        twin(17, 0),
    ];
    let report = now.write(&others).await.unwrap();
    assert_eq!(refused(&report), [0, 1, 3]);
    let text = report.refused[1].error.to_string();
    assert!(text.contains("other 12345,"), "{text}");
    now.close().await.unwrap();
    assert_eq!((now.collisions(), now.unchecked()), (3, 0));
    assert_eq!(before.collisions(), 0);
    let expected: BTreeSet<i64> = (0..25_000).chain([1_000_030_000]).collect();
    let stored: BTreeSet<i64> = all(&now).await.iter().map(|point| point.id.0).collect();
    assert!(stored == expected, "they are not what was written");
}

/// Neither may have seen what the other one was about to store: then the one that lost tells so.
#[tokio::test(flavor = "multi_thread")]
async fn of_two_processes_that_write_at_once_one_tells_of_each_collision() {
    let config = real::bucket(None).await;
    let one = InfluxStore::open(config.clone()).await.unwrap();
    let other = InfluxStore::open(config).await.unwrap();
    for round in 0..10 {
        let places = round * 100..(round + 1) * 100;
        let points = [0, 1].map(|number| {
            places
                .clone()
                .map(|place| twin(place, number))
                .collect::<Vec<_>>()
        });
        tokio::try_join!(one.write(&points[0]), other.write(&points[1])).unwrap();
    }
    one.close().await.unwrap();
    other.close().await.unwrap();
    assert_eq!(all(&one).await.len(), 1000);
    assert_eq!(one.collisions() + other.collisions(), 1000);
    assert_eq!(one.unchecked() + other.unchecked(), 0);
}
