//! A line of X's stream, or of a recording: read, or refused.
#![no_main]

use std::time::SystemTime;

use heartbeat_core::{PostParser, recorded};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|line: &[u8]| {
    let parser = PostParser::default();
    let tweets = parser.parse(line).unwrap_or_default();
    if tweets.is_empty() {
        return;
    }
    // A recording gives again what was read.
    let again = parser.parse(&recorded(SystemTime::UNIX_EPOCH, line, &tweets));
    assert_eq!(again.expect("a recording is read"), tweets);
});
