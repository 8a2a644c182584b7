//! Sins of an analyzer.

use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use heartbeat_core::conformance::analyzer::PROMISES;
use heartbeat_core::{Analyzer, Error, Label, Result, Scores};
use tokio::task::yield_now;

sins! {
    LeavesOneOut => every_text_has_shares_that_sum_to_one;
    ChokesOnEmptyText => every_text_has_shares_that_sum_to_one;
    ChokesOnNoText => every_text_has_shares_that_sum_to_one;
    SharesSumToTwo => every_text_has_shares_that_sum_to_one;
    DividesByZero => every_text_has_shares_that_sum_to_one;
    Reorders => a_batch_equals_one_by_one;
    /// As where the padding to the longest text counts.
    DependsOnTheLongest => a_batch_equals_one_by_one;
    LabelsByCompany => a_batch_equals_one_by_one;
    DependsOnItsPlace => neighbours_do_not_matter;
    LosesCountInLargeBatches => neighbours_do_not_matter;
    MixesOverlappingCalls => overlapping_calls_agree;
    RemembersDroppedCalls => a_dropped_call_leaves_no_trace;
}

#[tokio::test(start_paused = true)]
async fn sins_of_an_analyzer_are_found() {
    crate::assert_found(SINS, PROMISES, |sin, promise| async move {
        let analyzer = BrokenAnalyzer {
            sin,
            calls: AtomicUsize::new(0),
        };
        promise(&analyzer, 1e-6).await;
    })
    .await;
}

/// Finds long texts more positive, and has one sin.
#[derive(Debug)]
struct BrokenAnalyzer {
    sin: Option<Sin>,
    /// How many have begun and not come to their end.
    calls: AtomicUsize,
}

fn scores(length: usize) -> Result<Scores> {
    let pos = (length % 10) as f32 / 10.0;
    Scores::new(0.0, 1.0 - pos, pos)
}

#[async_trait]
impl Analyzer for BrokenAnalyzer {
    async fn analyze(&self, texts: &[&str]) -> Result<Vec<Scores>> {
        let others = self.calls.fetch_add(1, Ordering::Relaxed);
        yield_now().await;
        self.calls.fetch_sub(1, Ordering::Relaxed);

        let lengths = texts.iter().map(|text| text.len());
        let longest = lengths.clone().max().unwrap_or(0);
        let mut all = lengths.map(scores).collect::<Result<Vec<_>>>()?;
        match self.sin {
            Some(Sin::LeavesOneOut) => drop(all.pop()),
            Some(Sin::ChokesOnEmptyText) if texts.contains(&"") => {
                return Err(Error::invalid("an empty text"));
            }
            Some(Sin::ChokesOnNoText) if texts.is_empty() => {
                return Err(Error::invalid("no text"));
            }
            Some(Sin::SharesSumToTwo) => {
                for it in &mut all {
                    it.neg = 1.0;
                }
            }
            Some(Sin::DividesByZero) => {
                for (it, _) in all
                    .iter_mut()
                    .zip(texts)
                    .filter(|(_, text)| text.is_empty())
                {
                    it.pos = f32::NAN;
                }
            }
            Some(Sin::Reorders) => all.reverse(),
            Some(Sin::DependsOnTheLongest) => all.fill(scores(longest)?),
            Some(Sin::LabelsByCompany) if texts.len() > 1 => {
                for it in &mut all {
                    it.label = Label::Negative;
                }
            }
            Some(Sin::DependsOnItsPlace) => {
                for (place, it) in all.iter_mut().enumerate() {
                    *it = scores(place)?;
                }
            }
            Some(Sin::LosesCountInLargeBatches) if texts.len() > 256 => all.truncate(256),
            Some(Sin::MixesOverlappingCalls) if others > 0 => all.reverse(),
            Some(Sin::RemembersDroppedCalls) if others > 0 => {
                return Err(Error::unavailable("busy"));
            }
            _ => {}
        }
        Ok(all)
    }
}
