//! Settings of the schema registry.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use heartbeat_core::remote;
use jiff::fmt::serde::unsigned_duration::friendly::compact::required as friendly;
use serde::{Deserialize, Serialize};

/// Settings of the schema registry.
///
/// A password is given by `HEARTBEAT_REGISTRY_PASSWORD` or `password_file`, an access token by
/// `HEARTBEAT_REGISTRY_TOKEN` or `token_file`; the variable goes first.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RegistryConfig {
    /// The registry's address, with a path where there is one (`…/apis/ccompat/v7`) and without
    /// user or password. Default: `http://localhost:8081`.
    pub url: String,
    /// Whether a schema that its subject does not have yet is registered, after a check of its
    /// compatibility. Otherwise schemas are looked up only. Default: `true`.
    pub register: bool,
    /// The user of basic authentication. Default: none.
    pub username: Option<String>,
    /// A file whose first line is the user's password. Default: none.
    pub password_file: Option<PathBuf>,
    /// A file whose first line is an access token (`Authorization: Bearer`). Default: none.
    pub token_file: Option<PathBuf>,
    /// A file of certificates (PEM) to trust besides the system's. Default: none.
    pub ca_file: Option<PathBuf>,
    /// How long one request may take, written with a unit (`500ms`, `5s`). Default: `5s`.
    #[serde(with = "friendly")]
    pub timeout: Duration,
}

impl Default for RegistryConfig {
    fn default() -> Self {
        Self {
            url: "http://localhost:8081".to_owned(),
            register: true,
            username: None,
            password_file: None,
            token_file: None,
            ca_file: None,
            timeout: Duration::from_secs(5),
        }
    }
}

impl fmt::Debug for RegistryConfig {
    /// Derived, but for the URL.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RegistryConfig")
            .field("url", &remote::shown(&self.url))
            .field("register", &self.register)
            .field("username", &self.username)
            .field("password_file", &self.password_file)
            .field("token_file", &self.token_file)
            .field("ca_file", &self.ca_file)
            .field("timeout", &self.timeout)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_may_be_left_out_and_none_may_be_unknown() {
        let empty: RegistryConfig = toml::from_str("").unwrap();
        assert_eq!(empty, RegistryConfig::default());

        let some: RegistryConfig =
            toml::from_str("url = 'https://r.test/x'\nregister = false\ntimeout = '500ms'")
                .unwrap();
        assert_eq!(some.url, "https://r.test/x");
        assert!(!some.register);
        assert_eq!(some.timeout, Duration::from_millis(500));

        let unknown = toml::from_str::<RegistryConfig>("password = 'x'").unwrap_err();
        assert!(unknown.to_string().contains("password"), "{unknown}");
    }

    #[test]
    fn a_secret_in_the_url_is_not_shown() {
        for url in [
            "https://me:s3cret@r.test",
            "me:s3cret@",
            "https://r.test?token=s3cret",
        ] {
            let config = RegistryConfig {
                url: url.to_owned(),
                ..RegistryConfig::default()
            };
            assert!(!format!("{config:?}").contains("s3cret"), "{config:?}");
        }
        let harmless = RegistryConfig::default();
        assert!(format!("{harmless:?}").contains("http://localhost:8081"));
    }
}
