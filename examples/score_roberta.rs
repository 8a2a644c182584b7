//! A transformer scores texts: the small one that ships, or the one that is named, a folder or an id on the Hub.
//!
//! ```sh
//! cargo run --release --features torch --example score_roberta
//! cargo run --release --features torch --example score_roberta -- cardiffnlp/twitter-roberta-base-sentiment-latest
//! ```
//!
//! It needs LibTorch; the documentation of `heartbeat-torch` tells how to come by it.
#![allow(clippy::print_stdout, reason = "it shows what it does")]

use std::sync::Arc;
use std::time::Instant;

use heartbeat::torch::{RobertaAnalyzer, RobertaConfig};
use heartbeat::{Analyzer, Result, Scores};
use tokio::task::JoinSet;

const TEXTS: [&str; 6] = [
    "We are absolutely loving this!",
    "@someone it was a terrible, terrible day :(",
    "The train leaves at nine from platform two.",
    "Best news of the week https://example.org 🎉",
    "I hate waiting in line, and now it rains, too.",
    "He said that she said that it was fine.",
];

#[tokio::main]
async fn main() -> Result<()> {
    let mut config = RobertaConfig::default();
    if let Some(model) = std::env::args().nth(1) {
        config.model = model;
    }
    let analyzer = RobertaAnalyzer::open(config).await?;
    println!("{:?}", analyzer.loaded());
    for (text, scores) in TEXTS.iter().zip(analyzer.analyze(&TEXTS).await?) {
        let Scores {
            neg,
            neu,
            pos,
            label,
        } = scores;
        println!("{label:<8}  neg {neg:.3}  neu {neu:.3}  pos {pos:.3}  {text}");
    }

    let texts = many();
    let analyzer = Arc::new(analyzer);
    let begun = Instant::now();
    one_after_the_other(&analyzer, &texts).await?;
    let slow = begun.elapsed();
    let begun = Instant::now();
    from_many_callers(&analyzer, &texts).await?;
    let fast = begun.elapsed();
    println!(
        "{} texts: {slow:.1?} one after the other, {fast:.1?} from many callers at once",
        texts.len()
    );
    Ok(())
}

/// Different texts: the same one is scored only once.
fn many() -> Vec<String> {
    let days = 1..=20;
    days.flat_map(|day| TEXTS.map(|text| format!("Day {day}: {text}")))
        .collect()
}

/// Waits for each text's scores before it sends the next.
async fn one_after_the_other(analyzer: &RobertaAnalyzer, texts: &[String]) -> Result<Vec<Scores>> {
    let mut all = Vec::new();
    for text in texts {
        all.extend(analyzer.analyze(&[text]).await?);
    }
    Ok(all)
}

/// Each text has a caller of its own, as requests of a service do. What waits at the same time goes through the model
/// together.
async fn from_many_callers(
    analyzer: &Arc<RobertaAnalyzer>,
    texts: &[String],
) -> Result<Vec<Scores>> {
    let mut callers = JoinSet::new();
    for text in texts {
        let (analyzer, text) = (analyzer.clone(), text.clone());
        callers.spawn(async move { analyzer.analyze(&[&text]).await });
    }
    Ok(callers
        .join_all()
        .await
        .into_iter()
        .collect::<Result<Vec<_>>>()?
        .concat())
}

#[cfg(test)]
mod tests {
    use super::*;
    use heartbeat::Label;

    async fn small() -> Arc<RobertaAnalyzer> {
        let opened = RobertaAnalyzer::open(RobertaConfig::default()).await;
        Arc::new(opened.unwrap())
    }

    #[tokio::test]
    async fn the_small_model_tells_good_from_bad() {
        let scores = small().await.analyze(&TEXTS).await.unwrap();
        assert_eq!(scores[0].label, Label::Positive, "{scores:?}");
        assert_eq!(scores[1].label, Label::Negative, "{scores:?}");
    }

    #[tokio::test]
    async fn who_scores_at_the_same_time_changes_no_score() {
        let (analyzer, texts) = (small().await, many());
        let mut alone = one_after_the_other(&analyzer, &texts).await.unwrap();
        let mut together = from_many_callers(&analyzer, &texts).await.unwrap();
        assert_eq!(together.len(), texts.len());
        // Callers end in any order.
        for scores in [&mut alone, &mut together] {
            scores.sort_by(|one, other| one.pos.total_cmp(&other.pos));
        }
        for (alone, together) in alone.iter().zip(&together) {
            assert!(
                (alone.pos - together.pos).abs() < 2e-5,
                "{alone:?} {together:?}"
            );
        }
    }
}
