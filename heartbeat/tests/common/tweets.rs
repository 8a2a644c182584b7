//! Tweets for tests that want many of them.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::{env, fs};

/// The lines of the real tweets (`HEARTBEAT_TWEETS`), or of some made up where nobody requires the real ones.
pub(crate) fn lines() -> String {
    if let Some(path) = env::var_os("HEARTBEAT_TWEETS") {
        return fs::read_to_string(path).expect("the tweets are there");
    }
    assert!(
        env::var_os("HEARTBEAT_REQUIRE_DATA").is_none(),
        "the real tweets are required"
    );
    (1..=4200).fold(String::new(), |mut lines, id| {
        writeln!(
            lines,
            r#"{{"id":"{id}","text":"good news {id}","created_at":"2022-05-09T05:17:42Z","task":"t"}}"#
        )
        .expect("a string takes it");
        lines
    })
}

/// The ids of those tweets.
#[allow(dead_code, reason = "not every test wants them")]
pub(crate) fn ids(lines: &str) -> BTreeSet<i64> {
    let id = |line| {
        let post: serde_json::Value = serde_json::from_str(line).expect("JSON");
        let id = post["id"].as_str().expect("an id");
        id.parse().expect("an id is a number")
    };
    lines.lines().map(id).collect()
}
