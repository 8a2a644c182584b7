//! What every [`Analyzer`] promises.

use std::time::Duration;

use tokio::time::timeout;

use super::{given_up, random};
use crate::analyzer::{Analyzer, Scores};

promises! {
    for<'a> (analyzer: &'a dyn Analyzer, tolerance: f32);
    every_text_has_shares_that_sum_to_one,
    a_batch_equals_one_by_one,
    neighbours_do_not_matter,
    overlapping_calls_agree,
    a_dropped_call_leaves_no_trace,
}

/// Every promise, one after the other. Scores of the same text may differ by `tolerance`.
pub async fn all(analyzer: &dyn Analyzer, tolerance: f32) {
    for (name, promise) in PROMISES {
        println!("analyzer: {name}");
        promise(analyzer, tolerance).await;
    }
}

/// Texts that are hard to take.
fn hard_texts() -> Vec<String> {
    let mut texts: Vec<String> = [
        "",
        " ",
        "   \t \n ",
        "\0",
        "a",
        "!!!???",
        "We are absolutely loving this!",
        "This is terrible",
        "HuggingFace is a machine learning library",
        "@someone http://example.com #tag",
        "\u{1F499}\u{1F49B}",
        "e\u{301}\u{301}\u{301}",
        "\u{645}\u{631}\u{62d}\u{628}\u{627}",
        "\u{1F468}\u{200D}\u{1F469}\u{200D}\u{1F467}",
        "<mask> </s> <s> <pad>",
        "\u{feff}BOM",
        "\u{202e}backwards",
        "NOT good, but not BAD either :-)",
        "\r\n",
    ]
    .map(str::to_owned)
    .to_vec();
    texts.push("good ".repeat(12_000));
    texts.push("x".repeat(10_000));
    texts
}

fn strs(texts: &[String]) -> Vec<&str> {
    texts.iter().map(String::as_str).collect()
}

fn assert_close(got: &[Scores], want: &[Scores], tolerance: f32) {
    assert_eq!(got.len(), want.len());
    for (index, (got, want)) in got.iter().zip(want).enumerate() {
        let near = |got: f32, want: f32| (got - want).abs() <= tolerance;
        let same = near(got.neg, want.neg) && near(got.neu, want.neu) && near(got.pos, want.pos);
        assert!(same, "text {index}: {got:?} is not {want:?}");
        let shares = |scores: &Scores| (scores.neg, scores.neu, scores.pos);
        if shares(got) == shares(want) {
            assert_eq!(got.label, want.label, "text {index}");
        }
    }
}

/// As many scores as texts, each three shares that sum to 1, for any text; none for none.
pub async fn every_text_has_shares_that_sum_to_one(analyzer: &dyn Analyzer, _tolerance: f32) {
    let texts = hard_texts();
    let scores = analyzer.analyze(&strs(&texts)).await.unwrap();
    assert_eq!(scores.len(), texts.len());
    for (text, scores) in texts.iter().zip(scores) {
        let shown: String = text.chars().take(40).collect();
        scores
            .checked()
            .unwrap_or_else(|error| panic!("{shown:?}: {error}"));
    }
    assert_eq!(analyzer.analyze(&[]).await.unwrap(), []);
}

/// The scores of a batch are those of its texts one by one, in their order.
pub async fn a_batch_equals_one_by_one(analyzer: &dyn Analyzer, tolerance: f32) {
    let texts = hard_texts();
    let batch = analyzer.analyze(&strs(&texts)).await.unwrap();
    let mut single = Vec::new();
    for text in &texts {
        single.extend(analyzer.analyze(&[text]).await.unwrap());
    }
    assert_close(&batch, &single, tolerance);
}

/// A text has the same scores in any company and at any place.
pub async fn neighbours_do_not_matter(analyzer: &dyn Analyzer, tolerance: f32) {
    let mut texts = hard_texts();
    let first = analyzer.analyze(&strs(&texts)).await.unwrap();
    texts.reverse();
    let mut reversed = analyzer.analyze(&strs(&texts)).await.unwrap();
    reversed.reverse();
    assert_close(&reversed, &first, tolerance);

    let many: Vec<&str> = std::iter::repeat_n("This is terrible", 300).collect();
    let alone = analyzer.analyze(&many[..1]).await.unwrap();
    let together = analyzer.analyze(&many).await.unwrap();
    assert_close(&together, &vec![alone[0]; 300], tolerance);
}

/// Calls that overlap give what they give alone.
pub async fn overlapping_calls_agree(analyzer: &dyn Analyzer, tolerance: f32) {
    let texts = hard_texts();
    let texts = strs(&texts);
    let alone = analyzer.analyze(&texts).await.unwrap();
    let calls = (0..8).map(|_| analyzer.analyze(&texts));
    for scores in futures_util::future::join_all(calls).await {
        assert_close(&scores.unwrap(), &alone, tolerance);
    }
}

/// A call that is given up half-way does not disturb the next ones.
pub async fn a_dropped_call_leaves_no_trace(analyzer: &dyn Analyzer, tolerance: f32) {
    let texts = hard_texts();
    let texts = strs(&texts);
    let before = analyzer.analyze(&texts).await.unwrap();
    for waits in 1..=20 {
        let short = Duration::from_micros(random() % 2000);
        // Through or not: both are fine.
        drop(timeout(short, given_up(analyzer.analyze(&texts), waits)).await);
    }
    assert_close(&analyzer.analyze(&texts).await.unwrap(), &before, tolerance);
}
