//! The three stages: [`ingest`], [`analyze`] and [`transfer`].

mod analyze;
mod counters;
mod fetch;
mod ingest;
mod options;
mod pipeline;
mod transfer;

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

pub use analyze::analyze;
pub use counters::{Counters, Summary};
pub use ingest::ingest;
pub use options::{Idle, InFlight, StageOptions, Topics};
pub use transfer::transfer;

/// One of the three stages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stage {
    /// From a source to the topic of tweets.
    Ingest,
    /// From the topic of tweets to the topic of sentiments.
    Analyze,
    /// From the topic of sentiments to a store.
    Transfer,
}

impl Stage {
    /// All of them, in the order of the flow.
    pub const ALL: [Self; 3] = [Self::Ingest, Self::Analyze, Self::Transfer];

    /// The stage's name in lower case.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ingest => "ingest",
            Self::Analyze => "analyze",
            Self::Transfer => "transfer",
        }
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Stage {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::ALL
            .into_iter()
            .find(|stage| stage.as_str() == text)
            .ok_or_else(|| Error::invalid("no such stage").with("stage", text))
    }
}
