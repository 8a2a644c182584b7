//! The memory store, where it goes beyond the contract.

use heartbeat_core::{Error, ErrorKind, Keyed, Page, Query, Sentiment, Store, TweetId};
use heartbeat_mock::{Call, MemoryStore};

fn point(id: i64, task: &str, pos: f32) -> Keyed<Sentiment> {
    Keyed {
        id: TweetId(id),
        value: Sentiment {
            time: 1_652_073_462,
            task: task.to_owned(),
            pos,
            neu: 0.5,
            neg: 0.5,
        },
    }
}

async fn ids(store: &MemoryStore) -> Vec<i64> {
    let points = store.read(&Query::default(), &Page::first(100)).await;
    points
        .expect("points")
        .iter()
        .map(|point| point.id.0)
        .collect()
}

#[tokio::test]
async fn points_that_are_none_are_refused_and_the_others_stored() {
    let store = MemoryStore::new();
    let points = [
        point(1, "T", 0.0),
        point(2, "", 0.0),
        point(3, "T", f32::NAN),
        point(4, "T", f32::INFINITY),
        point(5, "T", -0.1),
        point(6, "T", 1.1),
        point(7, "T", 1.0),
    ];
    let report = store.write(&points).await.expect("a report");
    let refused: Vec<usize> = report.refused.iter().map(|refused| refused.index).collect();
    assert_eq!(refused, [1, 2, 3, 4, 5]);
    let invalid = |error: &Error| error.kind() == ErrorKind::Invalid;
    assert!(report.refused.iter().all(|refused| invalid(&refused.error)));
    assert_eq!(ids(&store).await, [1, 7]);
}

#[tokio::test]
async fn faults_come_before_the_work_or_after_it() {
    let store = MemoryStore::new();
    let down = Error::unavailable("down");
    store.faults().fail(Call::Write, 1, down.clone());
    store.faults().lose_answer(Call::Write, 1, down.clone());
    assert!(store.write(&[point(1, "T", 0.0)]).await.is_err());
    assert!(ids(&store).await.is_empty());
    assert!(store.write(&[point(1, "T", 0.0)]).await.is_err());
    assert_eq!(ids(&store).await, [1]);

    store.faults().fail(Call::Read, 1, down);
    let read = store.read(&Query::default(), &Page::first(1)).await;
    assert!(read.unwrap_err().is_retryable());
}
