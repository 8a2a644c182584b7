//! Batches: order, cancellation, and a runtime that stays free.

use std::time::{Duration, Instant};

use heartbeat_core::{Analyzer, Scores};
use heartbeat_vader::VaderAnalyzer;

fn texts(count: usize) -> Vec<String> {
    let moods = ["a happy", "an awful", "an ordinary", "a VERY good"];
    (0..count)
        .map(|index| format!("{} day number {index}!", moods[index % moods.len()]))
        .collect()
}

async fn analyze(texts: &[String]) -> Vec<Scores> {
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    VaderAnalyzer::new().analyze(&texts).await.expect("scores")
}

#[tokio::test]
async fn a_batch_scores_as_its_texts_one_by_one_in_their_order() {
    for count in [0, 1, 3, 5000] {
        let texts = texts(count);
        let vader = VaderAnalyzer::new();
        let one_by_one: Vec<Scores> = texts.iter().map(|text| vader.score(text)).collect();
        assert_eq!(analyze(&texts).await, one_by_one, "{count} texts");
    }
}

#[tokio::test]
async fn a_text_of_60_000_characters_is_as_good_as_any() {
    let scores = analyze(&["🎉 so happy ".repeat(6000)]).await;
    assert!(scores[0].pos > 0.4, "{scores:?}");
    assert!(scores[0].checked().is_ok());
}

/// One thread runs this test's tasks: were it to score, the clock would stand still meanwhile.
#[tokio::test]
async fn a_large_batch_leaves_the_runtime_free_and_is_given_up_when_dropped() {
    let texts = texts(300_000);
    let borrowed: Vec<&str> = texts.iter().map(String::as_str).collect();
    let vader = VaderAnalyzer::new();
    let started = Instant::now();
    let call = tokio::time::timeout(Duration::from_millis(100), vader.analyze(&borrowed));
    assert!(call.await.is_err(), "too little work for this test");
    let abandoned = started.elapsed();
    // Another batch takes the same threads: it waits until they have let go.
    analyze(&texts[..1000]).await;
    assert!(
        started.elapsed() < 3 * abandoned + Duration::from_secs(1),
        "the batch that nobody waits for goes on: {:?}",
        started.elapsed()
    );
}
