//! A message of Jetstream: read, or refused.
#![no_main]

use std::sync::LazyLock;
use std::time::SystemTime;

use heartbeat_bluesky::{BlueskyConfig, MessageKind, PostFilter};
use heartbeat_core::{PostParser, recorded};
use libfuzzer_sys::fuzz_target;

static FILTER: LazyLock<PostFilter> = LazyLock::new(|| {
    let mut config = BlueskyConfig::default();
    let words = ["a*", "kyiv", "#x", "war and peace", "基輔", "🇺🇦"];
    config
        .words
        .insert("T".into(), words.map(str::to_owned).into());
    config.words.insert("U".into(), vec!["e*".into()]);
    PostFilter::new(&config).expect("words to look for")
});

fuzz_target!(|message: &[u8]| {
    let Ok(found) = FILTER.read(message) else {
        return;
    };
    let MessageKind::Post(tweets) = found.kind else {
        return;
    };
    assert!(found.time_us.is_some() && !tweets.is_empty());
    // A recording gives again what was read.
    let again = PostParser::default().parse(&recorded(SystemTime::UNIX_EPOCH, message, &tweets));
    assert_eq!(again.expect("a recording is read"), tweets);
});
