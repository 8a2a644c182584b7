//! The table `[analyzer]`.

use std::fmt;

use heartbeat_core::Result;

use crate::config::address::{self, Choice};
use crate::config::file::Fields;

/// What tells the mood.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum AnalyzerConfig {
    /// `vader`: the VADER lexicon and its rules.
    #[cfg(feature = "vader")]
    Vader,
}

impl Choice for AnalyzerConfig {
    const TABLE: &'static str = "analyzer";
    const KINDS: &'static [&'static str] = &[
        #[cfg(feature = "vader")]
        "vader",
    ];

    fn with_fields(kind: &str, fields: Fields<'_>) -> Result<Self> {
        match kind {
            #[cfg(feature = "vader")]
            "vader" => fields.nothing().map(|()| Self::Vader),
            _ => Err(fields.unknown_kind::<Self>(kind)),
        }
    }

    fn kind(&self) -> &'static str {
        match *self {
            #[cfg(feature = "vader")]
            Self::Vader => "vader",
        }
    }

    fn place(&self) -> Option<String> {
        match *self {
            #[cfg(feature = "vader")]
            Self::Vader => None,
        }
    }

    fn set_place(&mut self, _place: &str) -> bool {
        match *self {
            #[cfg(feature = "vader")]
            Self::Vader => false,
        }
    }
}

impl fmt::Display for AnalyzerConfig {
    /// Its address.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        address::write(self, f)
    }
}
