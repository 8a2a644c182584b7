//! What a user may set.

use std::fmt;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use heartbeat_core::{StageOptions, remote};
use jiff::fmt::serde::unsigned_duration::friendly::compact::required as friendly;
use serde::{Deserialize, Serialize};

/// Settings of an [`InfluxStore`](crate::InfluxStore). Durations are written with units: `500ms`, `10s`.
///
/// The access token is given by `HEARTBEAT_INFLUX_TOKEN` or `token_file`; the variable goes first.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct InfluxConfig {
    /// The server's address, without a path, user or password. Default: `http://localhost:8086`.
    pub url: String,
    /// The organization, by its name. Default: `heartbeat`.
    pub org: String,
    /// The bucket, by its name. Default: `heartbeat`.
    pub bucket: String,
    /// The measurement that the points are of. Default: `sentiment`.
    pub measurement: String,
    /// A file whose first line is the access token. Default: none.
    pub token_file: Option<PathBuf>,
    /// A file of certificates (PEM) to trust besides the system's. Default: none.
    pub ca_file: Option<PathBuf>,
    /// How long one write may take before it counts as failed and is tried again. Default: `10s`.
    #[serde(with = "friendly")]
    pub timeout: Duration,
    /// How long one query may take. Default: `60s`.
    #[serde(with = "friendly")]
    pub query_timeout: Duration,
    /// The most points in one request. Default: 5000.
    pub batch: NonZeroUsize,
    /// How many requests of one write may be in flight at once. Default: 4.
    pub requests: NonZeroUsize,
    /// How long points may wait for others, so that requests are few and full. Default: `1s`.
    #[serde(with = "friendly")]
    pub linger: Duration,
}

impl Default for InfluxConfig {
    fn default() -> Self {
        Self {
            url: "http://localhost:8086".to_owned(),
            org: "heartbeat".to_owned(),
            bucket: "heartbeat".to_owned(),
            measurement: "sentiment".to_owned(),
            token_file: None,
            ca_file: None,
            timeout: Duration::from_secs(10),
            query_timeout: Duration::from_secs(60),
            batch: const { NonZeroUsize::new(5000).unwrap() },
            requests: const { NonZeroUsize::new(4).unwrap() },
            linger: Duration::from_secs(1),
        }
    }
}

impl InfluxConfig {
    /// Lets the stage that writes to this store hand over as much at once as fills its requests, and wait as long for it
    /// as points may wait. What `options` ask for already stays where it is more.
    pub fn fill(&self, options: &mut StageOptions) {
        let messages = self.batch.get().saturating_mul(self.requests.get());
        options.max.messages = options.max.messages.max(messages);
        options.linger = options.linger.max(self.linger);
    }
}

impl fmt::Debug for InfluxConfig {
    /// Derived, but for the URL.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InfluxConfig")
            .field("url", &remote::shown(&self.url))
            .field("org", &self.org)
            .field("bucket", &self.bucket)
            .field("measurement", &self.measurement)
            .field("token_file", &self.token_file)
            .field("ca_file", &self.ca_file)
            .field("timeout", &self.timeout)
            .field("query_timeout", &self.query_timeout)
            .field("batch", &self.batch)
            .field("requests", &self.requests)
            .field("linger", &self.linger)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use heartbeat_core::Stage;

    use super::*;

    #[test]
    fn every_field_may_be_left_out_and_none_may_be_unknown() {
        let empty: InfluxConfig = toml::from_str("").unwrap();
        assert_eq!(empty, InfluxConfig::default());

        let some: InfluxConfig =
            toml::from_str("url = 'https://i.test'\nbucket = 'b'\ntimeout = '500ms'\nbatch = 7")
                .unwrap();
        assert_eq!(
            (some.url.as_str(), some.bucket.as_str()),
            ("https://i.test", "b")
        );
        assert_eq!(some.timeout, Duration::from_millis(500));
        assert_eq!(some.batch.get(), 7);

        let unknown = toml::from_str::<InfluxConfig>("token = 'x'").unwrap_err();
        assert!(unknown.to_string().contains("token"), "{unknown}");
        toml::from_str::<InfluxConfig>("batch = 0").unwrap_err();
    }

    #[test]
    fn a_secret_in_the_url_is_not_shown() {
        for url in ["https://me:s3cret@i.test", "https://i.test?token=s3cret"] {
            let url = url.to_owned();
            let config = InfluxConfig {
                url,
                ..InfluxConfig::default()
            };
            assert!(!format!("{config:?}").contains("s3cret"), "{config:?}");
        }
    }

    #[test]
    fn a_stage_hands_over_what_fills_the_requests() {
        let mut options = StageOptions::new(Stage::Transfer);
        InfluxConfig::default().fill(&mut options);
        assert_eq!(options.max.messages, 20_000);
        assert_eq!(options.linger, Duration::from_secs(1));

        options.max.messages = 50_000;
        options.linger = Duration::from_secs(5);
        InfluxConfig::default().fill(&mut options);
        assert_eq!(options.max.messages, 50_000);
        assert_eq!(options.linger, Duration::from_secs(5));
    }
}
