//! The table `[source]`.

use std::fmt;

#[cfg(feature = "bluesky")]
use heartbeat_bluesky::BlueskyConfig;
use heartbeat_core::{JsonlConfig, Result};
use heartbeat_mock::FakeConfig;
#[cfg(feature = "twitter")]
use heartbeat_twitter::TwitterConfig;

use crate::config::address::{self, Choice};
use crate::config::file::Fields;

/// Where posts come from.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum SourceConfig {
    /// `fake`: posts of random words, the same ones for the same seed.
    Fake(FakeConfig),
    /// `jsonl:PATH`: recorded posts, one a line; `jsonl` or `jsonl:-`: those on the standard input.
    Jsonl(JsonlConfig),
    /// `bluesky`: the new posts of Bluesky.
    #[cfg(feature = "bluesky")]
    Bluesky(Box<BlueskyConfig>),
    /// `twitter`: the filtered stream of X.
    #[cfg(feature = "twitter")]
    Twitter(Box<TwitterConfig>),
}

impl SourceConfig {
    /// Sets the subject of posts that do not name theirs; `false` when posts of this kind get theirs in another way.
    pub fn set_task(&mut self, task: &str) -> bool {
        match self {
            Self::Fake(config) => config.tasks = vec![task.to_owned()],
            Self::Jsonl(config) => config.task = Some(task.to_owned()),
            #[cfg(feature = "bluesky")]
            Self::Bluesky(_) => return false,
            #[cfg(feature = "twitter")]
            Self::Twitter(config) => config.task = Some(task.to_owned()),
        }
        true
    }

    /// Makes the source keep its messages as they come, for a recording; `false` when this kind has none.
    pub fn keep_raw(&mut self) -> bool {
        match self {
            #[cfg(feature = "bluesky")]
            Self::Bluesky(config) => {
                config.keep_raw = true;
                true
            }
            #[cfg(feature = "twitter")]
            Self::Twitter(config) => {
                config.keep_raw = true;
                true
            }
            Self::Fake(_) | Self::Jsonl(_) => false,
        }
    }
}

impl Choice for SourceConfig {
    const TABLE: &'static str = "source";
    const KINDS: &'static [&'static str] = &[
        "fake",
        "jsonl",
        #[cfg(feature = "bluesky")]
        "bluesky",
        #[cfg(feature = "twitter")]
        "twitter",
    ];
    const FEATURES: &'static [(&'static str, &'static str)] =
        &[("bluesky", "bluesky"), ("twitter", "twitter")];

    fn with_fields(kind: &str, fields: Fields<'_>) -> Result<Self> {
        match kind {
            "fake" => fields.read().map(Self::Fake),
            "jsonl" => fields.or("path", "-").read().map(Self::Jsonl),
            #[cfg(feature = "bluesky")]
            "bluesky" => fields.read().map(Self::Bluesky),
            #[cfg(feature = "twitter")]
            "twitter" => fields.read().map(Self::Twitter),
            _ => Err(fields.unknown_kind::<Self>(kind)),
        }
    }

    fn kind(&self) -> &'static str {
        match self {
            Self::Fake(_) => "fake",
            Self::Jsonl(_) => "jsonl",
            #[cfg(feature = "bluesky")]
            Self::Bluesky(_) => "bluesky",
            #[cfg(feature = "twitter")]
            Self::Twitter(_) => "twitter",
        }
    }

    fn place(&self) -> Option<String> {
        match self {
            Self::Fake(_) => None,
            Self::Jsonl(config) => Some(config.path.display().to_string()),
            #[cfg(feature = "bluesky")]
            Self::Bluesky(_) => None,
            #[cfg(feature = "twitter")]
            Self::Twitter(_) => None,
        }
    }

    fn set_place(&mut self, place: &str) -> bool {
        match self {
            Self::Fake(_) => false,
            Self::Jsonl(config) => {
                config.path = place.into();
                true
            }
            #[cfg(feature = "bluesky")]
            Self::Bluesky(_) => false,
            #[cfg(feature = "twitter")]
            Self::Twitter(_) => false,
        }
    }
}

impl fmt::Display for SourceConfig {
    /// Its address.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        address::write(self, f)
    }
}
