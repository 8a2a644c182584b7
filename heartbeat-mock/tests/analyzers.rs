//! Analyzers that do as they are told.

use std::time::Duration;

use heartbeat_core::{Analyzer, Error, ErrorKind, Label, Scores};
use heartbeat_mock::{FailingAnalyzer, FreeAnalyzer, SlowAnalyzer, TableAnalyzer};
use tokio::time::Instant;

fn joy() -> Scores {
    Scores::new(0.0, 0.1, 0.9).expect("shares")
}

#[tokio::test]
async fn a_table_knows_its_texts_and_has_an_answer_for_the_others() {
    let other = Scores::new(0.7, 0.2, 0.1).expect("shares");
    let table = TableAnalyzer::new(other).with("joy", joy());
    let scores = table.analyze(&["joy", "", "joy "]).await.expect("scores");
    assert_eq!(scores, [joy(), other, other]);
}

#[tokio::test]
async fn a_marked_text_fails_every_batch_it_is_in() {
    let error = Error::invalid("cannot be read");
    let analyzer = FailingAnalyzer::on_text(FreeAnalyzer, "poison", error);
    for _ in 0..2 {
        let error = analyzer
            .analyze(&["a", "some poison here"])
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        let scores = analyzer.analyze(&["a", "b"]).await.expect("scores");
        assert!(scores.iter().all(|scores| scores.label == Label::Neutral));
        assert_eq!(scores.len(), 2);
    }
}

#[tokio::test]
async fn the_first_calls_fail_and_no_more() {
    let error = Error::unavailable("warming up");
    let analyzer = FailingAnalyzer::first_calls(FreeAnalyzer, 2, error);
    assert!(analyzer.analyze(&["a"]).await.unwrap_err().is_retryable());
    assert!(analyzer.analyze(&["a"]).await.is_err());
    assert!(analyzer.analyze(&["a"]).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_slow_one_takes_so_long_a_call_and_so_long_a_text() {
    let (call, text) = (Duration::from_millis(100), Duration::from_millis(7));
    let analyzer = SlowAnalyzer::new(TableAnalyzer::new(joy()), call, text);
    let begin = Instant::now();
    assert_eq!(
        analyzer.analyze(&["a", "b"]).await.expect("scores"),
        [joy(); 2]
    );
    assert_eq!(begin.elapsed(), Duration::from_millis(114));
}
