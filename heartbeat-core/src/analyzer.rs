//! The contract of what tells the mood of a text.

use std::fmt;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// Tells the mood of texts.
///
/// The texts are as they were posted; an analyzer that wants users and links replaced calls
/// [`preprocess`](crate::preprocess) itself.
#[async_trait]
pub trait Analyzer: fmt::Debug + Send + Sync + 'static {
    /// Scores `texts`: as many scores, in the same order.
    ///
    /// A text's scores depend on that text alone, not on its neighbours, and every text has
    /// scores, the empty one too. Calls may overlap. Dropping the call gives the work up.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) when one of the texts cannot be scored: the
    /// caller finds out which by asking for fewer; [`ErrorKind::Unavailable`](crate::ErrorKind::Unavailable)
    /// when the same call may succeed later.
    async fn analyze(&self, texts: &[&str]) -> Result<Vec<Scores>>;
}

/// The mood of one text: three shares that sum to 1, and the label the analyzer gives it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Scores {
    /// How negative, 0 to 1.
    pub neg: f32,
    /// How neutral, 0 to 1.
    pub neu: f32,
    /// How positive, 0 to 1.
    pub pos: f32,
    /// The one word for it.
    pub label: Label,
}

impl Scores {
    /// How far from 1 the sum of the three may be, for rounding's sake.
    pub const TOLERANCE: f32 = 1e-4;

    /// Scores under the label of the greatest share; of equal ones the more neutral.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) when a share is not a number from 0 to 1 or they do not
    /// sum to 1 within [`Scores::TOLERANCE`].
    pub fn new(neg: f32, neu: f32, pos: f32) -> Result<Self> {
        let label = if neg > neu && neg > pos {
            Label::Negative
        } else if pos > neu && pos > neg {
            Label::Positive
        } else {
            Label::Neutral
        };
        Self {
            neg,
            neu,
            pos,
            label,
        }
        .checked()
    }

    /// The same scores under a label that the analyzer decides in a way of its own.
    #[must_use]
    pub fn labelled(self, label: Label) -> Self {
        Self { label, ..self }
    }

    /// The scores themselves when they are shares that sum to 1.
    ///
    /// # Errors
    /// As [`Scores::new`].
    pub fn checked(self) -> Result<Self> {
        let shares = [self.neg, self.neu, self.pos];
        let sum: f32 = shares.iter().sum();
        // A not-a-number fails both comparisons.
        if shares.iter().all(|share| (0.0..=1.0).contains(share))
            && (sum - 1.0).abs() <= Self::TOLERANCE
        {
            Ok(self)
        } else {
            Err(
                Error::invalid("scores are shares from 0 to 1 that sum to 1")
                    .with("neg", self.neg)
                    .with("neu", self.neu)
                    .with("pos", self.pos),
            )
        }
    }
}

/// A mood in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Label {
    /// Negative.
    Negative,
    /// Neither.
    Neutral,
    /// Positive.
    Positive,
}

impl Label {
    /// All of them, from negative to positive.
    pub const ALL: [Self; 3] = [Self::Negative, Self::Neutral, Self::Positive];

    /// The label in lower case, as models and data sets write it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Negative => "negative",
            Self::Neutral => "neutral",
            Self::Positive => "positive",
        }
    }
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
