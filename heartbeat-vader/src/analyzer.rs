//! [`VaderAnalyzer`].

use std::sync::LazyLock;

use async_trait::async_trait;
use heartbeat_core::{Analyzer, Error, Result, Scores};
use rayon::prelude::*;
use tokio::sync::oneshot;
use tokio::task;
use vader_parity::SentimentIntensityAnalyzer;

use crate::scores::from_vader;

/// So many bytes of text are scored where they are: some tens of tweets, in less than a millisecond
/// (three if they are nothing but emoji).
const INLINE_BYTES: usize = 4096;

static VADER: LazyLock<SentimentIntensityAnalyzer> = LazyLock::new(SentimentIntensityAnalyzer::new);

/// Scores texts by the VADER lexicon and its rules.
///
/// Large batches are shared out among the cores, away from the async runtime. It costs nothing to
/// make or copy: the lexicon is read once in a process.
#[derive(Debug, Clone, Copy)]
pub struct VaderAnalyzer {
    // Made only when the lexicon is there.
    _loaded: (),
}

impl VaderAnalyzer {
    /// Reads the lexicon, if nobody has yet: some milliseconds.
    #[must_use]
    pub fn new() -> Self {
        LazyLock::force(&VADER);
        Self { _loaded: () }
    }

    /// Scores one text.
    #[must_use]
    pub fn score(&self, text: &str) -> Scores {
        from_vader(VADER.polarity_scores(text))
    }
}

impl Default for VaderAnalyzer {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl Analyzer for VaderAnalyzer {
    async fn analyze(&self, texts: &[&str]) -> Result<Vec<Scores>> {
        let bytes: usize = texts.iter().map(|text| text.len()).sum();
        if bytes <= INLINE_BYTES {
            return Ok(texts.iter().map(|text| self.score(text)).collect());
        }
        let vader = *self;
        let texts: Vec<Box<str>> = texts.iter().map(|&text| text.into()).collect();
        let (answer, scores) = oneshot::channel();
        task::spawn_blocking(move || {
            let scores: Option<Vec<Scores>> = texts
                .par_iter()
                .map(|text| (!answer.is_closed()).then(|| vader.score(text)))
                .collect();
            if let Some(scores) = scores {
                // Fails only when nobody waits any more.
                let _ = answer.send(scores);
            }
        });
        scores
            .await
            .map_err(|_| Error::internal("VADER gave up in the middle of a batch"))
    }
}
