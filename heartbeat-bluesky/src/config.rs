//! [`BlueskyConfig`].

use std::collections::BTreeMap;
use std::fmt;

use heartbeat_core::remote;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Where Bluesky's posts come from, and which of them are wanted. Nobody needs a key for it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct BlueskyConfig {
    /// The addresses of servers that run Jetstream: `wss` or `ws`, without user, password and query; without a path it is
    /// `/subscribe`. The first one that works is taken. Default: Bluesky's own four,
    /// `wss://jetstream{1,2}.us-{east,west}.bsky.network`.
    pub hosts: Vec<String>,
    /// The words of each task. A post that has one of them is one of the task. Default: none, which is refused.
    ///
    /// A word is found as a whole, whether in upper or lower case; a phrase also over any blanks. With a `*` at its end it has any
    /// ending: `ukrain*`. In scripts that put no blanks between words, such as Han, kana and Thai, it is found anywhere.
    pub words: BTreeMap<String, Vec<String>>,
    /// The languages of posts that are wanted, as their authors tell them: `en` takes `en-US` too. With any here, a post that tells
    /// none is not wanted. Default: all.
    pub languages: Vec<String>,
    /// Where a source without a position begins, such as `2026-02-25T18:00:00Z`; older posts are passed over. Jetstream keeps a day or
    /// a little more. Default: it begins with the next post.
    pub since: Option<Timestamp>,
    /// The source ends with the first message that is not before this moment. Default: never.
    pub until: Option<Timestamp>,
    /// Whether batches have the messages as they came, for a recording. Default: no.
    #[serde(skip)]
    pub keep_raw: bool,
}

impl Default for BlueskyConfig {
    fn default() -> Self {
        let host = |name: &str| format!("wss://jetstream{name}.bsky.network");
        Self {
            hosts: ["1.us-east", "2.us-east", "1.us-west", "2.us-west"]
                .map(host)
                .into(),
            words: BTreeMap::new(),
            languages: Vec::new(),
            since: None,
            until: None,
            keep_raw: false,
        }
    }
}

impl fmt::Debug for BlueskyConfig {
    /// Derived, but for the addresses.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hosts: Vec<&str> = self.hosts.iter().map(|host| remote::shown(host)).collect();
        f.debug_struct("BlueskyConfig")
            .field("hosts", &hosts)
            .field("words", &self.words)
            .field("languages", &self.languages)
            .field("since", &self.since)
            .field("until", &self.until)
            .field("keep_raw", &self.keep_raw)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_may_be_left_out_and_none_may_be_unknown() {
        let empty: BlueskyConfig = toml::from_str("").unwrap();
        assert_eq!(empty, BlueskyConfig::default());
        assert_eq!(
            empty.hosts,
            [
                "wss://jetstream1.us-east.bsky.network",
                "wss://jetstream2.us-east.bsky.network",
                "wss://jetstream1.us-west.bsky.network",
                "wss://jetstream2.us-west.bsky.network",
            ]
        );

        let some: BlueskyConfig = toml::from_str(
            "languages = ['en']\nuntil = '2024-09-09T19:46:02.329308Z'\n[words]\nRU-UKR = ['ukraine', 'kyiv']",
        )
        .unwrap();
        assert_eq!(some.words["RU-UKR"], ["ukraine", "kyiv"]);
        let until = some.until.map(Timestamp::as_microsecond);
        assert_eq!(until, Some(1_725_911_162_329_308));

        for unknown in ["cursor = 7", "keep_raw = true", "[words]\nA = 'one'"] {
            toml::from_str::<BlueskyConfig>(unknown).unwrap_err();
        }
    }

    #[test]
    fn a_secret_in_an_address_is_not_shown() {
        let config = BlueskyConfig {
            hosts: vec!["wss://me:s3cret@a.test".to_owned()],
            ..BlueskyConfig::default()
        };
        assert!(!format!("{config:?}").contains("s3cret"), "{config:?}");
    }

    #[test]
    fn the_readmes_settings_are_understood() {
        let readme = include_str!("../README.md");
        let blocks = readme.split("```toml\n").skip(1);
        let mut count = 0;
        for block in blocks.filter_map(|rest| rest.split("```").next()) {
            let mut table: toml::Table = toml::from_str(block).unwrap();
            let mut source = table.remove("source").unwrap();
            let kind = source.as_table_mut().unwrap().remove("kind").unwrap();
            assert_eq!(kind.as_str(), Some("bluesky"));
            source.try_into::<BlueskyConfig>().unwrap();
            count += 1;
        }
        assert_eq!(count, 2);
    }
}
