//! [`TwitterConfig`].

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use heartbeat_core::remote;
use serde::{Deserialize, Serialize};

use crate::rules::Rule;

/// How to reach X and what to ask of it. The access token is not here: it is in `HEARTBEAT_TWITTER_TOKEN` or a file.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct TwitterConfig {
    /// The address of X's API, without a path. Default: `https://api.x.com`.
    pub base_url: String,
    /// A file whose first line is the app's access token ("bearer token"); the environment goes before it. Default: none.
    pub token_file: Option<PathBuf>,
    /// The rule of each task, in [X's own language](https://docs.x.com/x-api/posts/filtered-stream/integrate/operators). A post
    /// that matches it is one of the task. Default: none.
    pub rules: BTreeMap<String, String>,
    /// The task of posts that match a rule without a tag: refused by default.
    pub task: Option<String>,
    /// How many minutes X may send again after a connection was lost, 0 to 5; its Enterprise plan has that. Default: 0.
    pub backfill_minutes: u8,
    /// How many posts may be paid for.
    pub budget: BudgetConfig,
    /// Whether batches have the messages as they came, for a recording. Default: no.
    #[serde(skip)]
    pub keep_raw: bool,
}

/// How many posts may be paid for. When they are spent, the source ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct BudgetConfig {
    /// The most posts of one day in UTC. Default: no limit.
    pub day: Option<u64>,
    /// The most posts of one month in UTC. Default: no limit.
    pub month: Option<u64>,
    /// Where the posts are counted, so that a restart goes on with the count; written only with a limit. Default:
    /// `heartbeat-twitter.json`.
    pub file: PathBuf,
}

impl Default for BudgetConfig {
    fn default() -> Self {
        Self {
            day: None,
            month: None,
            file: "heartbeat-twitter.json".into(),
        }
    }
}

impl Default for TwitterConfig {
    fn default() -> Self {
        Self {
            base_url: "https://api.x.com".to_owned(),
            token_file: None,
            rules: BTreeMap::new(),
            task: None,
            backfill_minutes: 0,
            budget: BudgetConfig::default(),
            keep_raw: false,
        }
    }
}

impl TwitterConfig {
    /// The rules that X is to have, by task.
    #[must_use]
    pub fn wanted_rules(&self) -> Vec<Rule> {
        let rules = self.rules.iter();
        rules.map(|(task, value)| Rule::new(task, value)).collect()
    }
}

impl fmt::Debug for TwitterConfig {
    /// Derived, but for the address.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TwitterConfig")
            .field("base_url", &remote::shown(&self.base_url))
            .field("token_file", &self.token_file)
            .field("rules", &self.rules)
            .field("task", &self.task)
            .field("backfill_minutes", &self.backfill_minutes)
            .field("budget", &self.budget)
            .field("keep_raw", &self.keep_raw)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_may_be_left_out_and_none_may_be_unknown() {
        let empty: TwitterConfig = toml::from_str("").unwrap();
        assert_eq!(empty, TwitterConfig::default());

        let some: TwitterConfig = toml::from_str(
            "backfill_minutes = 5\n[rules]\nRU-UKR = 'ukraine lang:en'\n[budget]\nday = 1000",
        )
        .unwrap();
        assert_eq!(some.rules["RU-UKR"], "ukraine lang:en");
        assert_eq!((some.budget.day, some.budget.month), (Some(1000), None));

        for unknown in ["token = 's3cret'", "keep_raw = true", "[budget]\nweek = 7"] {
            toml::from_str::<TwitterConfig>(unknown).unwrap_err();
        }
    }

    #[test]
    fn a_secret_in_the_address_is_not_shown() {
        let base_url = "https://me:s3cret@x.test".to_owned();
        let config = TwitterConfig {
            base_url,
            ..TwitterConfig::default()
        };
        assert!(!format!("{config:?}").contains("s3cret"), "{config:?}");
    }
}
