//! The mockall doubles stand in for the traits wherever a `dyn` is taken.

use std::sync::Arc;

use heartbeat_core::{
    Batch, Error, ErrorKind, Idle, MockAnalyzer, MockBus, MockSource, MockStore, MockSubscription,
    Scores, SourceBatch, Stage, StageOptions, WriteReport, analyze, ingest, transfer,
};

#[tokio::test]
async fn a_stage_runs_over_doubles() {
    let mut source = MockSource::new();
    source.expect_name().return_const("mocked".to_owned());
    source.expect_resume().once().returning(|_| Ok(()));
    source.expect_next_batch().times(2).returning({
        let mut batches = vec![None, Some(SourceBatch::default())];
        move |_| Ok(batches.pop().flatten())
    });
    let mut bus = MockBus::new();
    bus.expect_position().once().returning(|_| Ok(None));
    bus.expect_publish()
        .withf(|outputs, progress| outputs.is_empty() && progress.is_none())
        .once()
        .returning(|_, _| Ok(()));
    let summary = ingest(&mut source, &bus, &StageOptions::new(Stage::Ingest)).await;
    assert_eq!(summary.unwrap().written, 0);
}

#[tokio::test]
async fn a_group_that_has_nothing_left_is_left() {
    let mut bus = MockBus::new();
    bus.expect_subscribe().times(2).returning(|_, _| {
        let mut subscription = MockSubscription::new();
        subscription
            .expect_poll()
            .returning(|_, _| Ok(Batch::default()));
        subscription.expect_close().once().returning(|| Ok(()));
        Ok(Box::new(subscription))
    });
    bus.expect_lag().times(2).returning(|_, _| Ok(Vec::new()));
    let mut options = StageOptions::new(Stage::Analyze);
    options.idle = Idle::AfterEmptyPolls(1);
    let analyzer = MockAnalyzer::new();
    analyze(&bus, Arc::new(analyzer), &options).await.unwrap();
    let store = MockStore::new();
    transfer(&bus, Arc::new(store), &options).await.unwrap();
}

#[tokio::test]
async fn doubles_answer_what_they_are_told() {
    use heartbeat_core::{Analyzer, Store};

    let neutral = Scores::new(0.0, 1.0, 0.0).unwrap();
    let mut analyzer = MockAnalyzer::new();
    analyzer
        .expect_scores()
        .withf(|texts| texts == &["hello".to_owned()])
        .returning(move |_| Ok(vec![neutral]));
    assert_eq!(analyzer.analyze(&["hello"]).await.unwrap(), [neutral]);

    let mut store = MockStore::new();
    store
        .expect_write()
        .once()
        .returning(|_| Err(Error::unavailable("away")));
    store
        .expect_write()
        .returning(|_| Ok(WriteReport::default()));
    assert_eq!(
        store.write(&[]).await.unwrap_err().kind(),
        ErrorKind::Unavailable
    );
    assert!(store.write(&[]).await.unwrap().refused.is_empty());
}
