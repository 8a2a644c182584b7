//! Points in the file.

use std::time::Duration;

use heartbeat_core::{ErrorKind, Keyed, Page, Pages, Query, Sentiment, Store, TweetId};
use heartbeat_sqlite::{SqliteStore, SqliteStoreConfig};
use tempfile::TempDir;

fn point(id: i64, task: &str, time: i32, pos: f32) -> Keyed<Sentiment> {
    let task = task.to_owned();
    let (neu, neg) = (1.0 - pos, 0.0);
    Keyed {
        id: TweetId(id),
        value: Sentiment {
            time,
            task,
            pos,
            neu,
            neg,
        },
    }
}

async fn store(dir: &TempDir) -> SqliteStore {
    let path = dir.path().join("store.db");
    SqliteStore::open(SqliteStoreConfig {
        path,
        ..SqliteStoreConfig::default()
    })
    .await
    .unwrap()
}

async fn read(store: &SqliteStore, query: &Query) -> Vec<Keyed<Sentiment>> {
    store.read(query, &Page::first(usize::MAX)).await.unwrap()
}

#[tokio::test]
async fn points_outlive_the_store_and_share_the_file_with_a_bus() {
    let dir = tempfile::tempdir().unwrap();
    let bus = crate::support::open(&dir.path().join("store.db")).await;
    let points = [
        point(i64::MIN, "a\0'\"🎈", i32::MIN, 0.1),
        point(-1, "b", 0, 1.0),
        point(i64::MAX, "a", i32::MAX, 0.0),
    ];
    assert!(
        store(&dir)
            .await
            .write(&points)
            .await
            .unwrap()
            .refused
            .is_empty()
    );
    drop(bus);
    assert_eq!(read(&store(&dir).await, &Query::default()).await, points);
}

#[tokio::test]
async fn writing_again_replaces_and_the_last_of_equals_counts() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(&dir).await;
    store
        .write(&[point(1, "a", 7, 0.1), point(1, "a", 7, 0.2)])
        .await
        .unwrap();
    assert_eq!(
        read(&store, &Query::default()).await,
        [point(1, "a", 7, 0.2)]
    );
    store
        .write(&[point(1, "a", 7, 0.3), point(2, "a", 7, 0.3)])
        .await
        .unwrap();
    let now = [point(1, "a", 7, 0.3), point(2, "a", 7, 0.3)];
    assert_eq!(read(&store, &Query::default()).await, now);
}

#[tokio::test]
async fn what_is_no_mood_is_refused_and_the_rest_is_stored() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(&dir).await;
    let mut points = vec![point(0, "a", 1, 0.5)];
    for (id, pos) in [f32::NAN, f32::INFINITY, -0.1, 1.1].into_iter().enumerate() {
        points.push(point(id as i64 + 1, "a", 1, pos));
    }
    points.push(point(5, "", 1, 0.5));
    points.push(point(6, "a", 1, 0.5));
    let report = store.write(&points).await.unwrap();
    let refused: Vec<usize> = report.refused.iter().map(|refused| refused.index).collect();
    assert_eq!(refused, [1, 2, 3, 4, 5]);
    assert!(
        report
            .refused
            .iter()
            .all(|refused| refused.error.kind() == ErrorKind::Invalid)
    );
    assert_eq!(read(&store, &Query::default()).await.len(), 2);
}

#[tokio::test]
async fn pages_and_queries_give_every_point_once_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(&dir).await;
    let mut points = Vec::new();
    for time in -3..3 {
        for id in 0..4 {
            for task in ["a", "b"] {
                points.push(point(id, task, time, 0.5));
            }
        }
    }
    let mut shuffled = points.clone();
    shuffled.reverse();
    store.write(&shuffled).await.unwrap();
    for query in [
        Query::default(),
        Query {
            task: Some("a".to_owned()),
            ..Query::default()
        },
        Query {
            from: Some(-1),
            to: Some(2),
            ..Query::default()
        },
        Query {
            from: Some(2),
            to: Some(-2),
            task: None,
        },
        Query {
            task: Some("' OR 1 --".to_owned()),
            ..Query::default()
        },
    ] {
        let wanted: Vec<_> = points
            .iter()
            .filter(|p| query.matches(&p.value))
            .cloned()
            .collect();
        for limit in [1, 5, 1_000] {
            let mut pages = Pages::new(&store, query.clone(), limit);
            let mut got = Vec::new();
            while let Some(page) = pages.next().await.unwrap() {
                assert!(page.len() <= limit);
                got.extend(page);
            }
            assert_eq!(got, wanted, "{query:?} by {limit}");
        }
    }
}

#[tokio::test]
async fn windows_begin_at_multiples_of_their_length_before_1970_too() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(&dir).await;
    let times = [i32::MIN, -61, -60, -1, 0, 59, 60, i32::MAX];
    let points: Vec<_> = times
        .iter()
        .map(|&time| point(1, "a", time, 0.25))
        .collect();
    store.write(&points).await.unwrap();
    store
        .write(&[point(2, "a", 0, 0.75), point(3, "b", 1, 1.0)])
        .await
        .unwrap();

    let minute = Duration::from_secs(60);
    let buckets = store.summarize(&Query::default(), minute).await.unwrap();
    let mut starts: Vec<i64> = times
        .iter()
        .map(|&t| i64::from(t).div_euclid(60) * 60)
        .collect();
    starts.dedup();
    starts.insert(4, 0);
    assert_eq!(
        buckets
            .iter()
            .map(|bucket| bucket.start)
            .collect::<Vec<_>>(),
        starts
    );
    assert_eq!((buckets[3].task.as_str(), buckets[3].count), ("a", 3));
    assert!((buckets[3].pos - 1.25 / 3.0).abs() < 1e-9);
    assert_eq!(
        (buckets[4].task.as_str(), buckets[4].count, buckets[4].pos),
        ("b", 1, 1.0)
    );

    let longest = Duration::from_secs(i64::MAX as u64);
    let buckets = store.summarize(&Query::default(), longest).await.unwrap();
    let starts: Vec<_> = buckets
        .iter()
        .map(|b| (b.start, b.task.as_str(), b.count))
        .collect();
    assert_eq!(starts, [(-i64::MAX, "a", 4), (0, "a", 5), (0, "b", 1)]);

    let from = Query {
        from: Some(60),
        ..Query::default()
    };
    assert_eq!(store.summarize(&from, minute).await.unwrap().len(), 2);
    for every in [Duration::ZERO, Duration::from_millis(1500)] {
        let error = store.summarize(&from, every).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Misconfigured);
    }
}
