//! The mood of late, for a person to look at.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use async_trait::async_trait;
use heartbeat_core::{Analyzer, Result, Scores};

/// How much each text weighs against those before it.
const WEIGHT: f32 = 1.0 / 64.0;

/// The mean of positive minus negative, in which older texts count less and less. Clones are the same.
#[derive(Debug, Clone)]
pub(crate) struct Mood(Arc<AtomicU32>);

impl Mood {
    /// No mood yet.
    pub(crate) fn new() -> Self {
        Self(Arc::new(AtomicU32::new(f32::NAN.to_bits())))
    }

    /// From -1 to 1; `None` before the first text.
    pub(crate) fn get(&self) -> Option<f32> {
        let mood = f32::from_bits(self.0.load(Ordering::Relaxed));
        (!mood.is_nan()).then_some(mood)
    }

    fn add(&self, scores: &[Scores]) {
        let mut mood = self.get();
        for text in scores {
            let one = text.pos - text.neg;
            mood = Some(mood.map_or(one, |mood| mood + WEIGHT * (one - mood)));
        }
        // Two batches at once may lose one of them: it is only for looking at.
        if let Some(mood) = mood {
            self.0.store(mood.to_bits(), Ordering::Relaxed);
        }
    }
}

impl fmt::Display for Mood {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.get() {
            None => f.write_str("·"),
            Some(mood) => {
                let arrow = match mood {
                    ..-0.25 => '↓',
                    -0.25..-0.05 => '↘',
                    -0.05..0.05 => '→',
                    0.05..0.25 => '↗',
                    _ => '↑',
                };
                write!(f, "{arrow} {mood:+.2}")
            }
        }
    }
}

/// An analyzer that tells the mood of what it scores.
#[derive(Debug)]
pub(crate) struct Watched {
    analyzer: Arc<dyn Analyzer>,
    mood: Mood,
}

impl Watched {
    /// The same analyzer, which `mood` follows.
    pub(crate) fn new(analyzer: Arc<dyn Analyzer>, mood: Mood) -> Self {
        Self { analyzer, mood }
    }
}

#[async_trait]
impl Analyzer for Watched {
    async fn analyze(&self, texts: &[&str]) -> Result<Vec<Scores>> {
        let scores = self.analyzer.analyze(texts).await?;
        self.mood.add(&scores);
        Ok(scores)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mood_follows_what_is_scored() {
        let mood = Mood::new();
        assert_eq!(mood.to_string(), "·");
        let good = Scores::new(0.0, 0.2, 0.8).unwrap();
        mood.add(&[good]);
        assert_eq!(mood.to_string(), "↑ +0.80");
        let bad = Scores::new(0.9, 0.1, 0.0).unwrap();
        mood.add(&[bad; 500]);
        assert_eq!(mood.to_string(), "↓ -0.90");
    }
}
