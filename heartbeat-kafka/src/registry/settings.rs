//! The settings of [`RegistryConfig`], checked and made whole by files and the environment.

use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::time::Duration;

use heartbeat_core::{Error, Result, is_this_machine};
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
        if !matches!(login, Login::None) && is_open(&base) {
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
    // Not shown: a password may be in it.
    let refused = |why: &str| {
        Error::misconfigured(why).hint(
            "Set the registry's `url` to an address such as `https://registry.example.org:8081`.",
        )
    };
    let url = Url::parse(text)
        .map_err(|error| refused("the registry's `url` is not an address").caused_by(error))?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(Error::misconfigured("the registry's `url` holds a user or a password").hint(
            "Take them out: set `username`, and give the password by HEARTBEAT_REGISTRY_PASSWORD or \
             `password_file`.",
        ));
    }
    if !matches!(url.scheme(), "http" | "https") {
        return Err(refused("the registry's `url` is neither https nor http"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(refused(
            "the registry's `url` has more than a path after the host",
        ));
    }
    Ok(url)
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

/// Whether others on the way can read what is sent: plain http, to another machine.
fn is_open(url: &Url) -> bool {
    url.scheme() == "http" && !is_this_machine(url.host_str().unwrap_or_default())
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

    #[test]
    fn plain_http_to_another_machine_is_open() {
        for (url, open) in [
            ("https://registry.test", false),
            ("http://localhost:8081", false),
            ("http://127.0.0.1:8081", false),
            ("http://[::1]:8081", false),
            ("http://registry.test", true),
            ("http://10.0.0.1", true),
        ] {
            assert_eq!(is_open(&base(url).unwrap()), open, "{url}");
        }
    }
}
