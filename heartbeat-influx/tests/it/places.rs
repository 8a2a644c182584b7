//! Many tweets in one second.

use std::collections::BTreeSet;

use heartbeat_core::{Store, TweetId};

use crate::{all, point, real};

/// 2022-05-09 05:17:42 UTC.
const SECOND: i32 = 1_652_073_462;

/// The first id that X gave out in that second.
const FIRST: i64 = (SECOND as i64 * 1000 - 1_288_834_974_657) << 22;

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_tweets_of_one_second_are_ten_thousand_points() {
    // As X numbers them: 20 workers, each with its own numbers in every millisecond.
    let of_x = (0..10_000).map(|n| FIRST + ((n / 40) << 22 | (n % 20) << 12 | (n / 20 % 2)));
    let of_others = 1..=10_000;
    for ids in [of_x.collect::<BTreeSet<i64>>(), of_others.collect()] {
        let store = real::store().await;
        let points: Vec<_> = ids.iter().map(|id| point(*id, SECOND, "RU-UKR")).collect();
        let report = store.write(&points).await.unwrap();
        assert!(report.refused.is_empty(), "{:?}", report.refused.first());
        let stored = all(&store).await;
        assert_eq!(stored.len(), 10_000);
        assert!(stored == points, "they are not what was written");
    }
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
