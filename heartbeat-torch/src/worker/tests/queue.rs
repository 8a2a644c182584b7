//! How texts come, wait and are given up, and how the thread ends.

use tokio::sync::Semaphore;
use tokio::task;

use super::super::pool::{Pool, Request};
use super::*;

/// Long enough to see that something does not happen.
const MOMENT: Duration = Duration::from_millis(50);

const NARROW: Limits = Limits {
    batch_tokens: 10,
    queue_tokens: 10,
};

#[tokio::test]
async fn a_full_queue_waits() {
    let fixture = Fixture::start(NARROW, all_shares).await;
    let held = fixture.occupy().await;
    let full = fixture
        .worker
        .submit(vec![vec![1; 4], vec![2; 6]])
        .await
        .unwrap();
    let mut one_more = Box::pin(fixture.worker.submit(ones([3])));
    assert!(
        timeout(MOMENT, &mut one_more).await.is_err(),
        "there was no room"
    );
    drop(held);
    let one_more = timeout(LONG, one_more).await.expect("room").unwrap();
    for answer in full.into_iter().chain(one_more) {
        answer.wait().await.unwrap();
    }
}

#[tokio::test]
async fn a_call_larger_than_the_queue_is_fed_as_there_is_room() {
    let fixture = Fixture::start(NARROW, all_shares).await;
    // Some texts alone are larger than the queue.
    let texts: Vec<Vec<u32>> = (0..5000).map(|n| vec![n; n as usize % 13 + 1]).collect();
    let wanted: Vec<_> = texts.iter().map(|ids| shares(ids)).collect();
    let scores = fixture.score(texts).await;
    let scores: Vec<_> = scores.into_iter().map(Result::unwrap).collect();
    assert_eq!(scores, wanted);
}

#[test]
fn a_text_takes_room_until_the_model_does_and_a_duplicate_none() {
    let room = Arc::new(Semaphore::new(10));
    let mut pool = Pool::new(NARROW);
    let mut add = |ids: &[u32]| {
        let (reply, answer) = oneshot::channel();
        let room = Arc::clone(&room).try_acquire_many_owned(ids.len() as u32);
        pool.add(Request {
            ids: ids.into(),
            reply,
            room: room.expect("room"),
        });
        answer
    };
    let answers = [add(&[1; 4]), add(&[1; 4]), add(&[2; 4])];
    assert_eq!(room.available_permits(), 2);
    let batch = pool.next_batch();
    assert_eq!((batch.len(), room.available_permits()), (2, 10));
    drop(answers);
}

#[tokio::test]
async fn what_is_given_up_is_not_scored_and_makes_room() {
    let fixture = Fixture::start(NARROW, all_shares).await;
    let held = fixture.occupy().await;
    let given_up = fixture.worker.submit(ones(1..=7)).await.unwrap();
    // One of these is wanted by somebody else too.
    let wanted = fixture.worker.submit(ones(6..=8)).await.unwrap();
    drop(given_up);
    drop(held);
    for (answer, id) in wanted.into_iter().zip(6..) {
        assert_eq!(answer.wait().await.unwrap(), shares(&[id]));
    }
    assert_eq!(fixture.batches()[1..], [ones(6..=8)]);
    fixture.score(ones(1..=10)).await;
}

#[tokio::test]
async fn a_call_given_up_while_it_waits_for_room_leaves_no_trace() {
    let fixture = Fixture::start(NARROW, all_shares).await;
    let held = fixture.occupy().await;
    let call = fixture.score(ones(1..=100));
    assert!(timeout(MOMENT, call).await.is_err());
    drop(held);
    let scores = fixture.score(ones([200])).await;
    assert_eq!(*scores[0].as_ref().unwrap(), shares(&[200]));
    assert_eq!(fixture.batches()[1..], [ones([200])]);
}

#[tokio::test]
async fn the_thread_ends_when_the_worker_is_dropped() {
    let Fixture { worker, ended, .. } = Fixture::start(WIDE, all_shares).await;
    drop(worker);
    // The sender is dropped with the last model.
    assert!(timeout(LONG, ended).await.expect("the end").is_err());
}

#[tokio::test]
async fn to_drop_the_worker_does_not_wait_for_the_model() {
    let fixture = Fixture::start(WIDE, all_shares).await;
    let held = fixture.occupy().await;
    let dropped = fixture.worker.submit(ones(1..=3)).await.unwrap();
    drop(dropped);
    let Fixture {
        worker,
        ended,
        seen,
        ..
    } = fixture;
    let drop_it = task::spawn_blocking(move || drop(worker));
    timeout(LONG, drop_it).await.expect("no waiting").unwrap();
    drop(held);
    assert!(timeout(LONG, ended).await.expect("the end").is_err());
    assert_eq!(
        seen.lock().unwrap().len(),
        1,
        "what was given up was scored"
    );
}
