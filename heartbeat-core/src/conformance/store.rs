//! What every [`Store`] promises.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::random;
use crate::error::ErrorKind;
use crate::record::{Keyed, Sentiment, TweetId};
use crate::store::{Bucket, Page, Pages, PointKey, Query, Store, window_seconds};

/// Makes the store under test.
#[async_trait]
pub trait StoreHarness: Sync {
    /// A store without points.
    async fn empty(&self) -> Arc<dyn Store>;
}

promises! {
    for<'a> (store: &'a dyn Store);
    points_come_back_in_order,
    writing_again_changes_nothing,
    a_point_written_later_counts,
    one_second_holds_many_points,
    any_second_and_any_id_will_do,
    queries_select,
    pages_make_the_whole,
    windows_count_and_average,
    windows_are_whole_seconds,
    refused_points_are_named_and_the_rest_is_stored,
    hostile_tasks_come_back_or_are_refused,
    writers_do_not_disturb_each_other,
    nothing_is_nothing,
    it_closes,
}

/// Every promise, one after the other, each in a store of its own.
pub async fn all(harness: &dyn StoreHarness) {
    for (name, promise) in PROMISES {
        println!("store: {name}");
        promise(harness.empty().await.as_ref()).await;
    }
}

/// 2022-05-09 05:17:42 UTC: a second of the world's first run.
const START: i32 = 1_652_073_462;

fn point(id: i64, time: i32, task: &str, pos: f32) -> Keyed<Sentiment> {
    Keyed {
        id: TweetId(id),
        value: Sentiment {
            time,
            task: task.to_owned(),
            pos,
            neu: (1.0 - pos) * 0.75,
            neg: (1.0 - pos) * 0.25,
        },
    }
}

/// `count` points of two tasks, several a second, in no order.
fn scattered(count: i64) -> Vec<Keyed<Sentiment>> {
    let mut points: Vec<Keyed<Sentiment>> = (0..count)
        .map(|n| {
            let task = if n % 3 == 0 { "RU-UKR" } else { "climate" };
            let time = START + i32::try_from(n * 7919 % count / 4).unwrap();
            point(n * 104_729 % 1_000_003, time, task, (n % 11) as f32 / 10.0)
        })
        .collect();
    points.sort_by_key(|point| point.id.0 % 97);
    points
}

fn sorted(mut points: Vec<Keyed<Sentiment>>) -> Vec<Keyed<Sentiment>> {
    points.sort_by_key(|point| PointKey::from(point));
    points
}

/// A task and seconds from the midst of [`scattered`].
fn some_of_the_climate() -> Query {
    Query {
        task: Some("climate".to_owned()),
        from: Some(START + 5),
        to: Some(START + 30),
    }
}

fn matching(points: &[Keyed<Sentiment>], query: &Query) -> Vec<Keyed<Sentiment>> {
    let matching = points.iter().filter(|point| query.matches(&point.value));
    matching.cloned().collect()
}

async fn write(store: &dyn Store, points: &[Keyed<Sentiment>]) {
    let report = store.write(points).await.unwrap();
    assert!(report.refused.is_empty(), "{report:?}");
}

async fn read(store: &dyn Store, query: &Query) -> Vec<Keyed<Sentiment>> {
    store.read(query, &Page::first(1_000_000)).await.unwrap()
}

async fn read_all(store: &dyn Store) -> Vec<Keyed<Sentiment>> {
    read(store, &Query::default()).await
}

/// What was written is read by time, then id, then task, its scores bit for bit.
pub async fn points_come_back_in_order(store: &dyn Store) {
    let points = scattered(300);
    write(store, &points).await;
    assert_eq!(read_all(store).await, sorted(points));
}

/// The same points again, in any order and in pieces, change nothing.
pub async fn writing_again_changes_nothing(store: &dyn Store) {
    let mut points = scattered(100);
    write(store, &points).await;
    points.reverse();
    write(store, &points).await;
    for piece in points.chunks(7) {
        write(store, piece).await;
    }
    assert_eq!(read_all(store).await, sorted(points));
}

/// The scores of a point are those written last, also within one call.
pub async fn a_point_written_later_counts(store: &dyn Store) {
    write(store, &[point(1, START, "t", 0.25)]).await;
    let later = [point(1, START, "t", 0.5), point(1, START, "t", 0.75)];
    write(store, &later).await;
    assert_eq!(read_all(store).await, [point(1, START, "t", 0.75)]);
}

/// Tweets of one task and second are points of their own, and so is one tweet under two tasks.
pub async fn one_second_holds_many_points(store: &dyn Store) {
    let mut points: Vec<Keyed<Sentiment>> = (0..2000)
        .map(|id| point(id, START, "RU-UKR", 0.5))
        .collect();
    points.push(point(7, START, "climate", 0.25));
    write(store, &points).await;
    assert_eq!(read_all(store).await, sorted(points));
}

/// The first and the last second and id there are, as well as those before 0.
fn extremes() -> Vec<Keyed<Sentiment>> {
    let times = [i32::MIN, i32::MIN + 1, -61, -60, -1, 0, 59, 60, i32::MAX];
    let ids = [i64::MIN, -1, 0, 1, i64::MAX];
    times
        .iter()
        .flat_map(|time| ids.map(|id| point(id, *time, "climate", 0.5)))
        .collect()
}

/// Points of any second and any id come back, and in order, also when no other second is asked for.
pub async fn any_second_and_any_id_will_do(store: &dyn Store) {
    let mut points = extremes();
    points.reverse();
    write(store, &points).await;
    assert_eq!(read_all(store).await, extremes());
    for time in [i32::MIN, -61, -1, 0, 60, i32::MAX] {
        let query = Query {
            task: None,
            from: Some(time),
            to: time.checked_add(1),
        };
        let expected = matching(&extremes(), &query);
        let every = Duration::from_secs(60);
        let buckets = store.summarize(&query, every).await.unwrap();
        let counts: Vec<u64> = buckets.iter().map(|bucket| bucket.count).collect();
        assert_eq!(counts, [expected.len() as u64], "{query:?}");
        assert_eq!(read(store, &query).await, expected, "{query:?}");
    }
}

/// A query selects by task, from a second on and before a second.
pub async fn queries_select(store: &dyn Store) {
    let points = scattered(200);
    write(store, &points).await;
    let task = Some("climate".to_owned());
    for query in [
        Query {
            task: task.clone(),
            ..Query::default()
        },
        Query {
            from: Some(START + 10),
            ..Query::default()
        },
        Query {
            to: Some(START + 10),
            ..Query::default()
        },
        some_of_the_climate(),
        Query {
            task,
            from: Some(START + 30),
            to: Some(START + 5),
        },
        Query {
            task: Some("no such task".to_owned()),
            ..Query::default()
        },
        Query {
            task: Some("climate' OR '1'='1".to_owned()),
            ..Query::default()
        },
    ] {
        let expected = sorted(matching(&points, &query));
        assert_eq!(read(store, &query).await, expected, "{query:?}");
    }
}

/// Pages of any size, put together, are all that matches.
pub async fn pages_make_the_whole(store: &dyn Store) {
    let points = scattered(150);
    write(store, &points).await;
    for query in [Query::default(), some_of_the_climate()] {
        let whole = sorted(matching(&points, &query));
        for size in [1, 2, 37, 150, 151] {
            let mut pages = Pages::new(store, query.clone(), size);
            let mut together = Vec::new();
            while let Some(page) = pages.next().await.unwrap() {
                assert!(page.len() <= size);
                together.extend(page);
                assert!(together.len() <= whole.len(), "points come twice");
            }
            assert_eq!(together, whole, "pages of {size}");
        }
    }
}

/// Windows hold the count and the means of the points that match, aligned to multiples of their length.
pub async fn windows_count_and_average(store: &dyn Store) {
    let mut points = scattered(500);
    points.extend(extremes());
    write(store, &points).await;
    for query in [Query::default(), some_of_the_climate()] {
        for seconds in [1, 7, 60, 86_400] {
            let every = Duration::from_secs(seconds);
            let buckets = store.summarize(&query, every).await.unwrap();
            let expected = windows(matching(&points, &query), every);
            assert_eq!(buckets.len(), expected.len());
            for (bucket, expected) in buckets.iter().zip(&expected) {
                let known_by = |it: &Bucket| (it.start, it.task.clone(), it.count);
                assert_eq!(known_by(bucket), known_by(expected), "of {seconds} s");
                let near = |got: f64, want: f64| (got - want).abs() < 1e-6;
                assert!(
                    near(bucket.pos, expected.pos)
                        && near(bucket.neu, expected.neu)
                        && near(bucket.neg, expected.neg),
                    "{bucket:?} is not {expected:?}"
                );
            }
        }
    }
}

fn windows(points: Vec<Keyed<Sentiment>>, every: Duration) -> Vec<Bucket> {
    let every = window_seconds(every).unwrap();
    let mut windows: BTreeMap<(i64, String), Vec<Sentiment>> = BTreeMap::new();
    for Keyed { value, .. } in points {
        let start = i64::from(value.time).div_euclid(every) * every;
        let window = windows.entry((start, value.task.clone())).or_default();
        window.push(value);
    }
    windows
        .into_iter()
        .map(|((start, task), points)| {
            let mean = |score: fn(&Sentiment) -> f32| {
                let sum: f64 = points.iter().map(|point| f64::from(score(point))).sum();
                sum / points.len() as f64
            };
            Bucket {
                start,
                task,
                count: points.len() as u64,
                pos: mean(|point| point.pos),
                neu: mean(|point| point.neu),
                neg: mean(|point| point.neg),
            }
        })
        .collect()
}

/// A window of no or of broken seconds is refused, not rounded.
pub async fn windows_are_whole_seconds(store: &dyn Store) {
    for every in [Duration::ZERO, Duration::from_millis(1500)] {
        let error = store.summarize(&Query::default(), every).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Misconfigured, "{error:?}");
    }
}

/// Points that no store can hold are named by their index; the others of the call are stored.
pub async fn refused_points_are_named_and_the_rest_is_stored(store: &dyn Store) {
    let mut points: Vec<Keyed<Sentiment>> =
        (0..50).map(|id| point(id, START, "RU-UKR", 0.5)).collect();
    points[3].value.pos = f32::NAN;
    points[20].value.neg = f32::INFINITY;
    points[21].value.neu = f32::NEG_INFINITY;
    points[49].value.task = String::new();
    let report = store.write(&points).await.unwrap();
    let refused: Vec<usize> = report.refused.iter().map(|refused| refused.index).collect();
    assert_eq!(refused, [3, 20, 21, 49]);
    for refused in &report.refused {
        assert_eq!(refused.error.kind(), ErrorKind::Invalid, "{refused:?}");
    }
    let stored: Vec<i64> = read_all(store)
        .await
        .iter()
        .map(|point| point.id.0)
        .collect();
    let good: Vec<i64> = (0..50).filter(|id| ![3, 20, 21, 49].contains(id)).collect();
    assert_eq!(stored, good);
}

/// A task of hostile characters is stored as it is or refused as it is, never as another one.
pub async fn hostile_tasks_come_back_or_are_refused(store: &dyn Store) {
    let long = "x".repeat(65_536);
    let tasks = [
        "a,b=c d",
        "quote\"'",
        "back\\slash\\",
        "line\nbreak",
        "tab\there",
        "nul\0byte",
        " ",
        "\u{1F499}",
        "e\u{301}",
        "'; DROP TABLE points; --",
        "${jndi}",
        "trailing\\",
        " padded\t",
        long.as_str(),
    ];
    for (id, task) in (1..).zip(tasks) {
        let written = point(id, START, task, 0.5);
        let report = store.write(std::slice::from_ref(&written)).await.unwrap();
        let query = Query {
            task: Some(task.to_owned()),
            ..Query::default()
        };
        let stored = read(store, &query).await;
        if report.refused.is_empty() {
            assert_eq!(stored, [written], "{task:?}");
        } else {
            assert_eq!(stored, [], "{task:?}");
        }
    }
}

/// What several write at once is all there.
pub async fn writers_do_not_disturb_each_other(store: &dyn Store) {
    let points = scattered(400);
    let writes = points.chunks(50).map(|chunk| async move {
        tokio::time::sleep(Duration::from_micros(random() % 2000)).await;
        write(store, chunk).await;
    });
    futures_util::future::join_all(writes).await;
    assert_eq!(read_all(store).await, sorted(points));
}

/// An empty write is fine, and an empty store has neither points nor windows.
pub async fn nothing_is_nothing(store: &dyn Store) {
    write(store, &[]).await;
    assert_eq!(read_all(store).await, []);
    let every = Duration::from_secs(60);
    assert_eq!(store.summarize(&Query::default(), every).await.unwrap(), []);
}

/// A store that has been written to lets go of what it holds.
pub async fn it_closes(store: &dyn Store) {
    write(store, &scattered(10)).await;
    store.close().await.unwrap();
}
