//! The settings of [`RegistryConfig`], checked and made whole by files and the environment.

use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::time::Duration;

use heartbeat_core::{Error, Result, remote};
use reqwest::{Certificate, Url};
use tracing::warn;

use super::config::RegistryConfig;
use super::login::Login;

/// What [`RegistryConfig`], its files and the environment come to.
#[derive(Debug)]
pub(super) struct Settings {
    pub(super) base: Url,
    pub(super) login: Login,
    /// To trust besides the system's.
    pub(super) certificates: Vec<Certificate>,
    pub(super) timeout: Duration,
}

impl Settings {
    /// Secrets are read by `variable` from the environment, or else from the files that `config`
    /// names.
    pub(super) fn new(
        config: &RegistryConfig,
        variable: impl Fn(&str) -> Option<OsString>,
    ) -> Result<Self> {
        if config.timeout.is_zero() {
            return Err(Error::misconfigured(
                "a request to the registry needs time: `timeout` is 0",
            )
            .hint("Set it to some seconds."));
        }
        let base = base(&config.url)?;
        let login = Login::new(config, variable)?;
        if !matches!(login, Login::None) && remote::is_open(&base) {
            warn!(
                url = %base,
                "Others on the way can read the registry's password or token: the address is plain \
                 http."
            );
        }
        let certificates = match &config.ca_file {
            Some(file) => certificates(file)?,
            None => Vec::new(),
        };
        Ok(Self {
            base,
            login,
            certificates,
            timeout: config.timeout,
        })
    }
}

/// The registry's address.
fn base(text: &str) -> Result<Url> {
    remote::address(text, "the registry's `url`").map_err(|error| {
        error.hint(
            "Set it to an address such as `https://registry.example.org:8081`; set a user by `username`, and give the \
             password by HEARTBEAT_REGISTRY_PASSWORD or `password_file`.",
        )
    })
}

fn certificates(file: &Path) -> Result<Vec<Certificate>> {
    let wrong = |what: &str| {
        Error::misconfigured(what)
            .with("path", file.display())
            .hint("Name a file of certificates in PEM form by `ca_file`.")
    };
    let pem = fs::read(file)
        .map_err(|error| wrong("cannot read the registry's certificates").caused_by(error))?;
    let found = Certificate::from_pem_bundle(&pem)
        .map_err(|error| wrong("the certificates are not in PEM form").caused_by(error))?;
    if found.is_empty() {
        return Err(wrong("the file has no certificate"));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(config: &RegistryConfig) -> Result<Settings> {
        Settings::new(config, |_| None)
    }

    #[test]
    fn a_url_is_an_address_and_holds_no_secret() {
        for url in [
            "registry.test",
            "ftp://registry.test",
            "https://",
            "https://me:s3cret@registry.test",
            "https://s3cret@registry.test",
            "https://registry.test?x=s3cret",
            "https://me:s3cret@registry.test:port",
        ] {
            let config = RegistryConfig {
                url: url.to_owned(),
                ..RegistryConfig::default()
            };
            let error = settings(&config).unwrap_err();
            assert_eq!(error.kind(), heartbeat_core::ErrorKind::Misconfigured);
            assert!(
                error.to_string().contains("the registry's `url`"),
                "{error}"
            );
            assert!(!error.report().contains("s3cret"), "{error:?}");
            assert!(error.advice().is_some());
        }
    }

    #[test]
    fn what_cannot_work_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let empty = dir.path().join("empty");
        fs::write(&empty, "no certificate").unwrap();
        let with_ca = |file: &Path| RegistryConfig {
            ca_file: Some(file.to_owned()),
            ..RegistryConfig::default()
        };
        let hasty = RegistryConfig {
            timeout: Duration::ZERO,
            ..RegistryConfig::default()
        };
        for (config, says) in [
            (with_ca(Path::new("/no/such")), "/no/such"),
            (with_ca(&empty), "no certificate"),
            (hasty, "`timeout` is 0"),
        ] {
            let error = settings(&config).unwrap_err();
            assert_eq!(error.kind(), heartbeat_core::ErrorKind::Misconfigured);
            assert!(error.to_string().contains(says), "{says}: {error}");
        }
    }
}
