//! Durations as people write them, in settings that may last for days: `90s`, `12h`, `7 days`. A day has 24 hours.
//!
//! ```
//! use std::time::Duration;
//!
//! use heartbeat_core::durations;
//!
//! assert_eq!(durations::parse("1 day 12h")?, Duration::from_hours(36));
//! assert_eq!(durations::written(Duration::from_hours(36)), "1d 12h");
//! # Ok::<(), heartbeat_core::Error>(())
//! ```
//!
//! A field of a config has them by `#[serde(with = "heartbeat_core::durations")]`.

use std::time::Duration;

use jiff::SpanRelativeTo;
use jiff::fmt::friendly::{SpanParser, SpanPrinter};
use serde::{Deserialize, Deserializer, Serializer};

use crate::{Error, Result};

const DAY: u64 = 24 * 60 * 60;

/// Reads a duration.
///
/// # Errors
/// [`ErrorKind::Misconfigured`](crate::ErrorKind::Misconfigured) when it is none, is negative, or has months or years.
pub fn parse(text: &str) -> Result<Duration> {
    SpanParser::new()
        .parse_span(text)
        .and_then(|span| span.to_duration(SpanRelativeTo::days_are_24_hours()))
        .and_then(Duration::try_from)
        .map_err(|error| {
            Error::misconfigured("not a duration")
                .with("duration", text)
                .caused_by(error)
                .hint("Write it as in `500ms`, `10s`, `12h` or `7 days`.")
        })
}

/// Writes a duration so that [`parse`] reads it: `7d`, `1h 30m`.
#[must_use]
pub fn written(duration: Duration) -> String {
    let days = duration.as_secs() / DAY;
    let rest = duration.saturating_sub(Duration::from_secs(days * DAY));
    let printed = || SpanPrinter::new().unsigned_duration_to_string(&rest);
    match days {
        0 => printed(),
        days if rest.is_zero() => format!("{days}d"),
        days => format!("{days}d {}", printed()),
    }
}

/// Reads a duration in a config.
///
/// # Errors
/// The deserializer's, when it is none.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(deserializer)?;
    parse(&text).map_err(|error| {
        let cause = std::error::Error::source(&error).map_or_else(String::new, ToString::to_string);
        serde::de::Error::custom(format!("not a duration: {cause}"))
    })
}

/// Writes a duration into a config.
///
/// # Errors
/// The serializer's.
pub fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&written(*duration))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_read_as_it_is_written() {
        for (text, seconds) in [
            ("0s", 0),
            ("90s", 90),
            ("7d", 7 * DAY),
            ("7 days", 7 * DAY),
            ("1w", 7 * DAY),
            ("1d 12h", 36 * 60 * 60),
        ] {
            let duration = parse(text).unwrap();
            assert_eq!(duration, Duration::from_secs(seconds), "{text}");
            assert_eq!(parse(&written(duration)).unwrap(), duration, "{text}");
        }
        assert_eq!(parse("500ms").unwrap(), Duration::from_millis(500));
        assert_eq!(written(Duration::from_hours(168)), "7d");
        assert_eq!(written(Duration::from_mins(90)), "1h 30m");
        for wrong in ["", "7", "soon", "-1s", "1 month", "1 year"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
