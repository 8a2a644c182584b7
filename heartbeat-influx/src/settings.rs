//! The settings of [`InfluxConfig`], checked and made whole by files and the environment.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use heartbeat_core::{Error, Result, remote};
use secrecy::SecretString;
use tracing::warn;
use url::Url;

use crate::config::InfluxConfig;

/// The variable that holds the access token.
const TOKEN: &str = "HEARTBEAT_INFLUX_TOKEN";

/// What [`InfluxConfig`], its files and the environment come to.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) base: Url,
    pub(crate) token: SecretString,
    /// What to trust besides the system's certificates.
    pub(crate) ca_file: Option<PathBuf>,
    pub(crate) org: String,
    pub(crate) bucket: String,
    pub(crate) measurement: String,
    pub(crate) timeout: Duration,
    pub(crate) query_timeout: Duration,
    pub(crate) batch: usize,
    pub(crate) requests: usize,
}

impl Settings {
    /// The token is the value of `variable`, or else in the file that `config` names.
    pub(crate) fn new(config: &InfluxConfig, token: Option<OsString>) -> Result<Self> {
        for (name, time) in [
            ("timeout", config.timeout),
            ("query_timeout", config.query_timeout),
        ] {
            if time.is_zero() {
                return Err(Error::misconfigured(format!(
                    "a request to InfluxDB needs time: `{name}` is 0"
                ))
                .hint("Set it to some seconds."));
            }
        }
        for (name, value) in [("org", &config.org), ("bucket", &config.bucket)] {
            if value.is_empty() {
                return Err(
                    Error::misconfigured(format!("InfluxDB's `{name}` has no name"))
                        .hint(format!("Set `{name}`, or leave it out for `heartbeat`.")),
                );
            }
        }
        check_measurement(&config.measurement)?;
        let base = base(&config.url)?;
        let token = remote::token(TOKEN, token, config.token_file.as_deref())?.ok_or_else(|| {
            Error::misconfigured("there is no access token for InfluxDB").hint(format!(
                "Give one by {TOKEN} or `token_file`: its owner must be allowed to write to the bucket, and to read it for \
                 what reads."
            ))
        })?;
        if remote::is_open(&base) {
            warn!(
                url = %base,
                "Others on the way can read the access token for InfluxDB: the address is plain http."
            );
        }
        if cfg!(not(feature = "tls")) && base.scheme() == "https" {
            return Err(Error::misconfigured("this build cannot speak TLS")
                .with("url", &base)
                .hint("Build heartbeat-influx with its feature `tls`."));
        }
        Ok(Self {
            base,
            token,
            ca_file: config.ca_file.clone(),
            org: config.org.clone(),
            bucket: config.bucket.clone(),
            measurement: config.measurement.clone(),
            timeout: config.timeout,
            query_timeout: config.query_timeout,
            batch: config.batch.get(),
            requests: config.requests.get(),
        })
    }
}

/// The variable's value, for [`Settings::new`].
pub(crate) fn token_of_environment() -> Option<OsString> {
    std::env::var_os(TOKEN)
}

/// InfluxDB has no name of a measurement that it would not write as it is.
fn check_measurement(name: &str) -> Result<()> {
    let wrong = |why| {
        Err(
            Error::misconfigured(format!("InfluxDB's `measurement` {why}"))
                .with("measurement", name.escape_debug())
                .hint("Choose a name such as `sentiment`."),
        )
    };
    if name.is_empty() {
        wrong("has no name")
    } else if name.starts_with(['_', '#']) {
        wrong("begins with a sign that InfluxDB keeps for itself")
    } else if name.contains(|char: char| char.is_control() || char == '\\') {
        wrong("holds a backslash or a sign that nobody sees")
    } else if name.len() > 1000 {
        wrong("is longer than 1,000 bytes")
    } else {
        Ok(())
    }
}

fn base(text: &str) -> Result<Url> {
    const HINT: &str = "Set it to an address such as `https://influxdb.example.org:8086`; the token is given by \
                        HEARTBEAT_INFLUX_TOKEN or `token_file`.";
    let url = remote::address(text, "InfluxDB's `url`").map_err(|error| error.hint(HINT))?;
    // Its own user interface cannot be behind one either, and its client for Rust drops it.
    if url.path() != "/" {
        return Err(Error::misconfigured("InfluxDB's `url` has a path")
            .with("url", url)
            .hint("Name the host and the port only."));
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    fn settings(config: &InfluxConfig) -> Result<Settings> {
        Settings::new(config, Some("s3cret".into()))
    }

    #[test]
    fn the_token_is_there_and_never_shown() {
        let config = InfluxConfig::default();
        let found = settings(&config).unwrap();
        assert_eq!(found.token.expose_secret(), "s3cret");
        assert!(!format!("{found:?}").contains("s3cret"), "{found:?}");

        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(&file, "s3cret-of-file\n").unwrap();
        let token_file = Some(file.path().to_owned());
        let config = InfluxConfig {
            token_file,
            ..config
        };
        let found = Settings::new(&config, None).unwrap();
        assert_eq!(found.token.expose_secret(), "s3cret-of-file");

        let none = Settings::new(&InfluxConfig::default(), None).unwrap_err();
        assert!(none.report().contains("HEARTBEAT_INFLUX_TOKEN"), "{none:?}");
    }

    #[test]
    fn what_cannot_work_is_refused_with_what_to_do() {
        let config = |text: &str| -> InfluxConfig { toml::from_str(text).unwrap() };
        for (text, says) in [
            ("url = 'localhost:8086'", "neither https nor http"),
            (
                "url = 'https://me:s3cret@i.test'",
                "holds a user or a password",
            ),
            ("url = 'http://i.test/influx'", "has a path"),
            ("timeout = '0s'", "`timeout` is 0"),
            ("org = ''", "`org` has no name"),
            ("bucket = ''", "`bucket` has no name"),
            ("measurement = ''", "`measurement` has no name"),
            ("measurement = '_m'", "keeps for itself"),
            ("measurement = '#m'", "keeps for itself"),
            ("measurement = 'a\\b'", "backslash"),
            ("measurement = \"a\\nb\"", "nobody sees"),
        ] {
            let error = settings(&config(text)).unwrap_err();
            assert_eq!(error.kind(), heartbeat_core::ErrorKind::Misconfigured);
            assert!(error.to_string().contains(says), "{says}: {error}");
            assert!(error.advice().is_some(), "{error:?}");
            assert!(!format!("{error:?}").contains("s3cret"), "{error:?}");
        }
        settings(&config("measurement = 'my points, of moods'")).unwrap();
    }
}
