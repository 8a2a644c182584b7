//! A model that refuses, panics or cannot be loaded.

use std::error::Error as _;

use heartbeat_core::ErrorKind;

use super::*;

const BAD: u32 = 66;

/// Checks that the texts 1 to 10 have their scores and [`BAD`] among them has an error of `kind`.
fn only_the_bad_fails(scores: &[Result<[f32; 3]>], kind: ErrorKind) {
    assert_eq!(scores.len(), 11);
    for (scores, id) in scores.iter().zip([1, 2, 3, BAD, 4, 5, 6, 7, 8, 9, 10]) {
        match scores {
            Ok(scores) => assert_eq!((*scores, id != BAD), (shares(&[id]), true)),
            Err(error) => assert_eq!((error.kind(), id), (kind, BAD), "{error:?}"),
        }
    }
}

fn with_the_bad() -> Vec<Vec<u32>> {
    ones([1, 2, 3, BAD, 4, 5, 6, 7, 8, 9, 10])
}

#[tokio::test]
async fn a_text_that_the_model_refuses_harms_nobody_else() {
    let fixture = Fixture::start(WIDE, unless(BAD, || Err(invalid()))).await;
    let held = fixture.occupy().await;
    let good = fixture.worker.submit(ones([20, 21])).await.unwrap();
    let release = async { drop(held) };
    let (scores, ()) = tokio::join!(fixture.score(with_the_bad()), release);
    only_the_bad_fails(&scores, ErrorKind::Invalid);
    for (answer, id) in good.into_iter().zip(20..) {
        assert_eq!(answer.wait().await.unwrap(), shares(&[id]));
    }
    assert_eq!(fixture.models_made(), 1);
}

#[tokio::test]
async fn a_batch_that_is_too_much_for_the_memory_is_scored_in_parts() {
    let fixture = Fixture::start(WIDE, |texts| {
        if texts.len() > 3 {
            return Err(Error::unavailable("not enough memory"));
        }
        all_shares(texts)
    })
    .await;
    for (scores, id) in fixture.score(ones(0..50)).await.into_iter().zip(0..) {
        assert_eq!(scores.unwrap(), shares(&[id]));
    }
}

#[tokio::test]
async fn what_may_pass_can_be_tried_again() {
    let tries = AtomicUsize::new(0);
    let fixture = Fixture::start(WIDE, move |texts| {
        if tries.fetch_add(1, Ordering::SeqCst) == 0 {
            return Err(Error::unavailable("not enough memory"));
        }
        all_shares(texts)
    })
    .await;
    let error = fixture.score(ones([1])).await.remove(0).unwrap_err();
    assert!(error.is_retryable());
    assert!(fixture.score(ones([1])).await[0].is_ok());
}

#[tokio::test]
async fn a_model_that_miscounts_is_not_believed() {
    let fixture = Fixture::start(WIDE, |texts| all_shares(&texts[1..])).await;
    for scores in fixture.score(ones(0..4)).await {
        assert_eq!(scores.unwrap_err().kind(), ErrorKind::Internal);
    }
}

#[tokio::test]
async fn a_panic_costs_one_text_and_the_model_is_made_anew() {
    let fixture = Fixture::start(WIDE, unless(BAD, || panic!("on purpose"))).await;
    for round in 1..=3 {
        let scores = fixture.score(with_the_bad()).await;
        only_the_bad_fails(&scores, ErrorKind::Invalid);
        let error = scores[3].as_ref().unwrap_err();
        assert!(error.to_string().contains("on purpose"), "{error}");
        // One for the batch, one for the text alone.
        assert_eq!(fixture.models_made(), 1 + 2 * round);
    }
}

#[tokio::test]
async fn a_model_that_always_panics_is_given_up() {
    let fixture = Fixture::start(WIDE, |_| panic!("on purpose")).await;
    for calls in 0..10 {
        for scores in fixture.score(ones(0..20)).await {
            let error = scores.unwrap_err();
            assert!(!error.is_retryable(), "call {calls}: {error:?}");
        }
    }
    assert_eq!(fixture.models_made(), 4);
    let error = fixture.score(ones([1])).await.remove(0).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Internal);
    assert!(error.to_string().contains("on purpose"), "{error}");
}

#[tokio::test]
async fn a_model_that_cannot_be_made_anew_is_given_up_and_everybody_is_told() {
    let only_once = |before| match before {
        0 => Ok(()),
        _ => Err(Error::misconfigured("the file is gone")),
    };
    let fixture = Fixture::made_by(WIDE, unless(BAD, || panic!("on purpose")), only_once)
        .await
        .unwrap();
    let held = fixture.occupy().await;
    let together = fixture.worker.submit(ones([1, BAD, 2])).await.unwrap();
    let waiting = fixture.worker.submit(vec![vec![3; 1000]]).await.unwrap();
    drop(held);
    let mut outcomes = Vec::new();
    for answer in together.into_iter().chain(waiting) {
        outcomes.push(timeout(LONG, answer.wait()).await.expect("an answer"));
    }
    outcomes.extend(fixture.score(ones([4])).await);
    assert_eq!(outcomes.len(), 5);
    for outcome in outcomes {
        let error = outcome.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Internal);
        let cause = error.source().expect("a cause").to_string();
        assert_eq!(cause, "the file is gone");
    }
    drop(fixture.worker);
    assert!(
        timeout(LONG, fixture.ended)
            .await
            .expect("the end")
            .is_err()
    );
}

#[tokio::test]
async fn a_panic_while_the_model_is_dropped_or_made_stays_within() {
    struct Brittle;
    impl Model for Brittle {
        fn score(&self, _: &[&[u32]]) -> Scored {
            panic!("score")
        }
    }
    impl Drop for Brittle {
        fn drop(&mut self) {
            panic!("drop")
        }
    }
    let mut made = 0;
    let worker = Worker::start(WIDE, move || {
        made += 1;
        assert_eq!(made, 1, "make");
        Ok(Brittle)
    })
    .await
    .unwrap();
    for _ in 0..3 {
        let answer = timeout(LONG, score(&worker, ones([1])))
            .await
            .expect("an answer");
        // The thread is still there to say so.
        let error = answer[0].as_ref().unwrap_err().to_string();
        assert!(error.contains("cannot be loaded again"), "{error}");
    }
}

#[tokio::test]
async fn a_model_that_cannot_be_made_is_told() {
    let fails = Worker::start(WIDE, || {
        Err::<Fake, _>(Error::misconfigured("no such file"))
    })
    .await;
    assert_eq!(fails.unwrap_err().to_string(), "no such file");

    let panics = Worker::start(WIDE, || -> Result<Fake> { panic!("on purpose") }).await;
    let error = panics.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Internal);
    assert!(error.to_string().contains("on purpose"), "{error}");
}
