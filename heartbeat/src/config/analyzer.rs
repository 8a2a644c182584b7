//! The table `[analyzer]`.

use std::fmt;

use heartbeat_core::Result;
#[cfg(feature = "torch")]
use heartbeat_torch::RobertaConfig;

use crate::config::address::{self, Choice};
use crate::config::file::Fields;

/// What tells the mood.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum AnalyzerConfig {
    /// `vader`: the VADER lexicon and its rules.
    #[cfg(feature = "vader")]
    Vader,
    /// `roberta:MODEL`: a RoBERTa model. It is `small`, the one that ships, the path of a folder, or the
    /// id of a repository on the Hub.
    #[cfg(feature = "torch")]
    Roberta(Box<RobertaConfig>),
}

impl Choice for AnalyzerConfig {
    const TABLE: &'static str = "analyzer";
    const KINDS: &'static [&'static str] = &[
        #[cfg(feature = "vader")]
        "vader",
        #[cfg(feature = "torch")]
        "roberta",
    ];
    const FEATURES: &'static [(&'static str, &'static str)] =
        &[("vader", "vader"), ("roberta", "torch")];

    fn with_fields(kind: &str, fields: Fields<'_>) -> Result<Self> {
        match kind {
            #[cfg(feature = "vader")]
            "vader" => fields.nothing().map(|()| Self::Vader),
            #[cfg(feature = "torch")]
            "roberta" => fields.read().map(Self::Roberta),
            _ => Err(fields.unknown_kind::<Self>(kind)),
        }
    }

    fn kind(&self) -> &'static str {
        match *self {
            #[cfg(feature = "vader")]
            Self::Vader => "vader",
            #[cfg(feature = "torch")]
            Self::Roberta(_) => "roberta",
        }
    }

    fn place(&self) -> Option<String> {
        match *self {
            #[cfg(feature = "vader")]
            Self::Vader => None,
            #[cfg(feature = "torch")]
            Self::Roberta(ref config) => Some(config.model.clone()),
        }
    }

    #[cfg_attr(
        not(feature = "torch"),
        expect(unused_variables, reason = "no kind takes a place")
    )]
    fn set_place(&mut self, place: &str) -> bool {
        match *self {
            #[cfg(feature = "vader")]
            Self::Vader => false,
            #[cfg(feature = "torch")]
            Self::Roberta(ref mut config) => {
                place.clone_into(&mut config.model);
                true
            }
        }
    }
}

impl fmt::Display for AnalyzerConfig {
    /// Its address.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        address::write(self, f)
    }
}
