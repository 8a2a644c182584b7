//! What goes through the model together.

use std::sync::Arc;

use proptest::collection::vec;
use proptest::prelude::*;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::super::pool::{Pool, Request};
use super::*;

/// Texts of these lengths, no two the same.
fn of_lengths(lengths: impl IntoIterator<Item = usize>) -> Vec<Vec<u32>> {
    let numbered = lengths.into_iter().enumerate();
    numbered
        .map(|(n, length)| vec![n as u32 + 1; length])
        .collect()
}

fn lengths(batch: &[Vec<u32>]) -> Vec<usize> {
    batch.iter().map(Vec::len).collect()
}

#[tokio::test]
async fn a_lone_text_goes_at_once_and_alone() {
    let fixture = Fixture::start(WIDE, all_shares).await;
    for id in 1..=3 {
        let scores = fixture.score(ones([id])).await;
        assert_eq!(*scores[0].as_ref().unwrap(), shares(&[id]));
    }
    assert_eq!(fixture.batches(), [ones([1]), ones([2]), ones([3])]);
}

#[tokio::test]
async fn what_waits_is_scored_together_whoever_asked() {
    let fixture = Fixture::start(WIDE, all_shares).await;
    let held = fixture.occupy().await;
    let one = fixture.worker.submit(ones([1, 2])).await.unwrap();
    let two = fixture.worker.submit(ones([3])).await.unwrap();
    drop(held);
    for (answer, id) in one.into_iter().chain(two).zip(1..) {
        assert_eq!(answer.wait().await.unwrap(), shares(&[id]));
    }
    assert_eq!(fixture.batches()[1..], [ones([1, 2, 3])]);
}

#[tokio::test]
async fn identical_texts_are_scored_once_and_answer_everybody() {
    let fixture = Fixture::start(WIDE, all_shares).await;
    let held = fixture.occupy().await;
    let one = fixture.worker.submit(ones([1, 2, 1])).await.unwrap();
    let two = fixture.worker.submit(ones([2, 1])).await.unwrap();
    drop(held);
    for (answer, id) in one.into_iter().chain(two).zip([1, 2, 1, 2, 1]) {
        assert_eq!(answer.wait().await.unwrap(), shares(&[id]));
    }
    assert_eq!(fixture.batches()[1..], [ones([1, 2])]);
}

#[tokio::test]
async fn who_comes_while_the_same_text_is_scored_has_its_scores() {
    let fixture = Fixture::start(WIDE, all_shares).await;
    let held = Arc::clone(&fixture.gate).lock_owned().await;
    let one = fixture.worker.submit(ones([1, 2])).await.unwrap();
    fixture.until(1).await;
    let two = fixture.worker.submit(ones([2, 3, 1, 3])).await.unwrap();
    drop(held);
    for (answer, id) in one.into_iter().chain(two).zip([1, 2, 2, 3, 1, 3]) {
        assert_eq!(answer.wait().await.unwrap(), shares(&[id]));
    }
    // Once they are answered, nothing is remembered.
    fixture.score(ones([1])).await[0].as_ref().unwrap();
    assert_eq!(fixture.batches(), [ones([1, 2]), ones([3]), ones([1])]);
}

#[tokio::test]
async fn a_batch_has_the_oldest_text_and_its_neighbours_in_length() {
    let limits = Limits {
        batch_tokens: 30,
        ..WIDE
    };
    let fixture = Fixture::start(limits, all_shares).await;
    let held = fixture.occupy().await;
    let texts = of_lengths([10, 3, 10, 9, 4, 40, 3, 10]);
    let answers = fixture.worker.submit(texts).await.unwrap();
    drop(held);
    for answer in answers {
        answer.wait().await.unwrap();
    }
    let batches: Vec<_> = fixture.batches()[1..]
        .iter()
        .map(|batch| lengths(batch))
        .collect();
    // The longest is over the limit: it goes, but alone.
    assert_eq!(batches, [vec![10, 10, 10], vec![3, 3, 4, 9], vec![40]]);
}

#[test]
fn nothing_is_passed_over_for_ever() {
    let limits = Limits {
        batch_tokens: 100,
        queue_tokens: 1000,
    };
    let room = Arc::new(Semaphore::new(1_000_000));
    let mut pool = Pool::new(limits);
    let mut open = Vec::new();
    let mut add = |pool: &mut Pool, ids: Vec<u32>| {
        let (reply, answer) = oneshot::channel();
        open.push(answer);
        let room = Arc::clone(&room).try_acquire_owned().unwrap();
        pool.add(Request {
            ids: ids.into(),
            reply,
            room,
        });
    };
    // Each of the elders has younger ones of its own length, which come in good time to fill its
    // batch. The victim has nobody near.
    let elders = 11..41;
    for length in elders.clone() {
        add(&mut pool, vec![0; length]);
    }
    add(&mut pool, vec![0; 90]);
    let mut fresh = 0;
    let mut waited = 0;
    for length in elders {
        for _ in 1..100 / length {
            fresh += 1;
            add(&mut pool, vec![fresh; length]);
        }
        if pool.next_batch().iter().any(|text| text.ids.len() == 90) {
            break;
        }
        waited += 1;
    }
    // Overdue after 20 batches, then behind the elders that are overdue too.
    let bound = 20..=26;
    assert!(bound.contains(&waited), "passed over by {waited} batches");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Any calls at once, some of them given up half-way: each of the others has the scores of its
    /// own texts in their order, and no batch is too large.
    #[test]
    fn everybody_has_the_scores_of_their_own_texts(
        calls in vec((vec(vec(0_u32..4, 1..6), 0..20), any::<bool>()), 1..12),
        batch_tokens in 1_usize..30,
        queue_tokens in 1_usize..60,
    ) {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_time()
            .build()
            .unwrap();
        let limits = Limits { batch_tokens, queue_tokens };
        let batches = runtime.block_on(async {
            let fixture = Arc::new(Fixture::start(limits, all_shares).await);
            let mut tasks = JoinSet::new();
            for (texts, given_up) in calls {
                let fixture = Arc::clone(&fixture);
                tasks.spawn(async move {
                    let call = fixture.score(texts.clone());
                    if given_up {
                        let _ = timeout(Duration::from_micros(50), call).await;
                        return;
                    }
                    let scores: Vec<_> = call.await.into_iter().map(Result::unwrap).collect();
                    let wanted: Vec<_> = texts.iter().map(|ids| shares(ids)).collect();
                    assert_eq!(scores, wanted);
                });
            }
            while let Some(task) = tasks.join_next().await {
                task.unwrap();
            }
            fixture.batches()
        });
        for batch in batches {
            let tokens: usize = batch.iter().map(Vec::len).sum();
            prop_assert!(tokens <= batch_tokens || batch.len() == 1, "{batch:?}");
            let mut distinct = batch.clone();
            distinct.sort();
            distinct.dedup();
            prop_assert_eq!(distinct.len(), batch.len(), "scored twice: {:?}", batch);
        }
    }
}
