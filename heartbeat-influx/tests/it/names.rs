//! Tasks of every sort.

use heartbeat_core::{Page, Query, Store};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use crate::{all, point, real};

const SECOND: i32 = 1_652_073_462;

/// Whatever is stored stands among others in one request, so that no line may reach into the next.
#[tokio::test(flavor = "multi_thread")]
async fn every_task_comes_back_as_it_is_or_is_refused_before_it_is_sent() {
    let mut runner = TestRunner::deterministic();
    let hostile = prop::collection::vec(
        prop::sample::select(vec![
            "\\", ",", "=", " ", "\"", "\n", "\r", "\t", "\0", "#", "a", "é", "💙", "\u{202e}",
            "${", "\u{feff}", "i",
        ]),
        0..8,
    )
    .prop_map(|pieces| pieces.concat());
    let tasks = prop::collection::btree_set(prop_oneof![hostile, any::<String>()], 400..500);
    let mut tasks: Vec<String> = tasks
        .new_tree(&mut runner)
        .unwrap()
        .current()
        .into_iter()
        .collect();
    tasks.push("x".repeat(65_000));
    tasks.push("x".repeat(65_536));

    let store = real::store().await;
    let points: Vec<_> = (0..)
        .zip(&tasks)
        .map(|(id, task)| point(id, SECOND, task))
        .collect();
    let report = store.write(&points).await.unwrap();
    assert_eq!(
        store.requests(),
        1,
        "something was sent that InfluxDB refuses: {:?}",
        report.refused
    );
    let refused: Vec<usize> = report.refused.iter().map(|refused| refused.index).collect();
    let kept: Vec<_> = (0..)
        .zip(&points)
        .filter(|(index, _)| !refused.contains(index))
        .map(|(_, point)| point)
        .collect();
    assert!(kept.len() > 200, "only {} were taken", kept.len());
    let stored = all(&store).await;
    assert!(
        stored.iter().eq(kept.iter().copied()),
        "they are not what was written"
    );

    for point in kept.into_iter().step_by(20) {
        let task = Some(point.value.task.clone());
        let query = Query {
            task,
            ..Query::default()
        };
        let found = store.read(&query, &Page::first(10)).await.unwrap();
        assert_eq!(found, std::slice::from_ref(point));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_measurement_may_have_spaces_and_signs() {
    let mut config = real::bucket(None).await;
    config.measurement = "moods, of \"posts\" = €".to_owned();
    let store = heartbeat_influx::InfluxStore::open(config).await.unwrap();
    let points = [point(1, SECOND, "t"), point(2, SECOND, "t")];
    store.write(&points).await.unwrap();
    assert_eq!(all(&store).await, points);
}
