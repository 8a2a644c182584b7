//! Posts are paid for.

use heartbeat_twitter::TwitterSource;

use crate::server::{Answer, Step, posts, wait};
use crate::{Given, X};

#[tokio::test]
async fn a_source_ends_when_its_budget_is_spent_and_stays_so_after_a_restart() {
    let x = X::new([
        Answer::Stream(vec![posts(1..=30), Step::Break]),
        Answer::Stream(vec![posts(21..=100), wait(1000.0)]),
        Answer::Stream(vec![posts(101..=200), wait(1000.0)]),
    ])
    .await;
    let mut config = x.config();
    config.budget.day = Some(40);
    let mut source = TwitterSource::open(config.clone()).await.unwrap();
    let given = Given::by(&mut source).await;
    // Repeated ones are not paid for again.
    assert!(
        given.error.is_none() && given.ids().into_iter().eq(1..=40),
        "{given:?}"
    );

    // Nothing is asked of X any more.
    let mut source = TwitterSource::open(config.clone()).await.unwrap();
    let given = Given::by(&mut source).await;
    assert!(
        given.error.is_none() && given.batches.is_empty(),
        "{given:?}"
    );
    assert_eq!(x.seen().connections.len(), 2);

    config.budget.day = Some(60);
    config.budget.month = Some(7);
    let mut source = TwitterSource::open(config).await.unwrap();
    let given = Given::by(&mut source).await;
    assert!(
        given.error.is_none() && given.ids().into_iter().eq(101..=107),
        "{given:?}"
    );
}

#[tokio::test]
async fn a_count_that_cannot_be_written_is_told_before_a_post_is_paid_for() {
    let x = X::new([]).await;
    let mut config = x.config();
    config.budget.month = Some(7);
    config.budget.file = x.dir.path().join("no/such/folder/spent.json");
    let error = TwitterSource::open(config).await.unwrap_err();
    assert!(
        error.to_string().contains("no/such/folder/spent.json"),
        "{error}"
    );
    assert!(x.seen().connections.is_empty());
}
