//! The settings of [`HubConfig`], made whole by the environment.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{fmt, fs};

use heartbeat_core::{Error, Result, remote};
use tracing::warn;

use crate::config::{HubConfig, Progress};

/// What [`HubConfig`] and the environment come to. To make it reads the token's file.
#[derive(Debug)]
pub(super) struct Settings {
    /// `None`: the Hub's own.
    pub(super) endpoint: Option<String>,
    pub(super) cache: PathBuf,
    pub(super) offline: bool,
    pub(super) token: Option<Token>,
    pub(super) timeout: Duration,
    pub(super) progress: Option<Progress>,
}

impl Settings {
    /// What `config` leaves open is read from the environment by `variable`, under the names that
    /// Python's client uses.
    pub(super) fn new(
        config: &HubConfig,
        variable: impl Fn(&str) -> Option<OsString>,
    ) -> Result<Self> {
        let variable = |name| variable(name).filter(|value| !value.is_empty());
        let path = |name| variable(name).map(PathBuf::from);
        let text = |name| variable(name).map(|value| value.to_string_lossy().into_owned());
        let home = || {
            path("HF_HOME")
                .or_else(|| Some(path("XDG_CACHE_HOME")?.join("huggingface")))
                .or_else(|| {
                    Some(
                        path("HOME")
                            .or_else(std::env::home_dir)?
                            .join(".cache/huggingface"),
                    )
                })
        };

        let cache = config
            .cache
            .clone()
            .or_else(|| path("HF_HUB_CACHE"))
            .or_else(|| Some(home()?.join("hub")))
            .ok_or_else(|| {
                Error::misconfigured("no folder to keep models in: this user has no home")
                    .hint("Set `cache` in the Hub's settings, or the variable HF_HUB_CACHE.")
            })?;
        let offline = config
            .offline
            .unwrap_or_else(|| text("HF_HUB_OFFLINE").is_some_and(|value| is_true(&value)));
        let endpoint = config.endpoint.clone().or_else(|| text("HF_ENDPOINT"));
        let endpoint = endpoint.map(|text| Endpoint::parse(&text)).transpose()?;

        let token = if offline {
            None
        } else if let Some(file) = &config.token_file {
            Token::read(file, true)?
        } else if let Some(value) = text("HF_TOKEN") {
            Token::parse(&value, "HF_TOKEN")?
        } else if let Some(file) = path("HF_TOKEN_PATH") {
            Token::read(&file, true)?
        } else if let Some(home) = home() {
            Token::read(&home.join("token"), false)?
        } else {
            None
        };
        let open = endpoint.as_ref().is_some_and(|endpoint| endpoint.open);
        let token = match token {
            Some(_) if open => {
                warn!("The Hub's access token is not sent: the endpoint is plain http.");
                None
            }
            token => token,
        };
        Ok(Self {
            endpoint: endpoint.map(|endpoint| endpoint.url),
            cache,
            offline,
            token,
            timeout: config.timeout,
            progress: config.progress.clone(),
        })
    }
}

/// Whether a variable's value says yes, as Python's client reads it.
fn is_true(value: &str) -> bool {
    ["1", "on", "yes", "true"].contains(&value.to_ascii_lowercase().as_str())
}

/// A server that speaks as the Hub does.
struct Endpoint {
    url: String,
    /// Whether others on the way can read what is sent: plain http, to another machine.
    open: bool,
}

impl Endpoint {
    fn parse(text: &str) -> Result<Self> {
        let url = remote::address(text, "the Hub's endpoint").map_err(|error| {
            error.hint(
                "Set `endpoint` or HF_ENDPOINT to an address such as `https://hub.example.org`.",
            )
        })?;
        Ok(Self {
            url: url.as_str().trim_end_matches('/').to_owned(),
            open: remote::is_open(&url),
        })
    }
}

/// A secret: it has no `Display`, and `Debug` hides it.
pub(super) struct Token(String);

impl Token {
    /// What to send. Never to be shown.
    pub(super) fn secret(&self) -> &str {
        &self.0
    }

    fn parse(text: &str, place: impl fmt::Display) -> Result<Option<Self>> {
        let text = text.trim();
        if text.is_empty() {
            return Ok(None);
        }
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(
                Error::misconfigured("what should be the Hub's access token is none")
                    .with("place", place)
                    .hint(
                        "A token is one word of letters, digits and signs; put nothing else there.",
                    ),
            );
        }
        Ok(Some(Self(text.to_owned())))
    }

    /// Reads the token from `file`, which may be missing unless it was `named`.
    fn read(file: &Path, named: bool) -> Result<Option<Self>> {
        match fs::read_to_string(file) {
            Ok(text) => Self::parse(&text, file.display()),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && !named => Ok(None),
            Err(error) => Err(Error::misconfigured("cannot read the Hub's access token")
                .with("path", file.display())
                .caused_by(error)
                .hint("Write the token into that file, or do not name one.")),
        }
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOME: (&str, &str) = ("HOME", "/home/someone");

    fn settings(config: &HubConfig, environment: &[(&str, &str)]) -> Result<Settings> {
        Settings::new(config, |asked| {
            let found = environment.iter().find(|(name, _)| *name == asked);
            found.map(|(_, value)| OsString::from(value))
        })
    }

    fn secret(settings: &Settings) -> Option<&str> {
        settings.token.as_ref().map(Token::secret)
    }

    #[test]
    fn the_cache_is_where_python_has_it() {
        for (environment, cache) in [
            (&[HOME][..], "/home/someone/.cache/huggingface/hub"),
            (&[HOME, ("XDG_CACHE_HOME", "/x")], "/x/huggingface/hub"),
            (
                &[HOME, ("XDG_CACHE_HOME", "/x"), ("HF_HOME", "/h")],
                "/h/hub",
            ),
            (&[HOME, ("HF_HOME", "/h"), ("HF_HUB_CACHE", "/c")], "/c"),
            (
                &[HOME, ("HF_HOME", ""), ("HF_HUB_CACHE", "")],
                "/home/someone/.cache/huggingface/hub",
            ),
        ] {
            let found = settings(&HubConfig::default(), environment).unwrap();
            assert_eq!(found.cache, Path::new(cache), "{environment:?}");
        }
        let config = HubConfig {
            cache: Some("/mine".into()),
            ..HubConfig::default()
        };
        let found = settings(&config, &[HOME, ("HF_HUB_CACHE", "/c")]).unwrap();
        assert_eq!(found.cache, Path::new("/mine"));
    }

    #[test]
    fn a_setting_goes_before_the_environment() {
        let environment = [
            HOME,
            ("HF_HUB_OFFLINE", "1"),
            ("HF_ENDPOINT", "https://a.test/"),
        ];
        let found = settings(&HubConfig::default(), &environment).unwrap();
        assert!(found.offline);
        assert_eq!(found.endpoint.as_deref(), Some("https://a.test"));

        let config = HubConfig {
            endpoint: Some("https://b.test/hub/".into()),
            offline: Some(false),
            ..HubConfig::default()
        };
        let found = settings(&config, &environment).unwrap();
        assert!(!found.offline);
        assert_eq!(found.endpoint.as_deref(), Some("https://b.test/hub"));

        for (value, offline) in [("on", true), ("TRUE", true), ("yes", true), ("0", false)] {
            let found = settings(&HubConfig::default(), &[HOME, ("HF_HUB_OFFLINE", value)]);
            assert_eq!(found.unwrap().offline, offline, "{value}");
        }
    }

    #[test]
    fn the_token_comes_from_the_first_place_that_has_one() {
        let dir = tempfile::tempdir().unwrap();
        let file = |name: &str, token: &str| {
            let path = dir.path().join(name);
            fs::write(&path, token).unwrap();
            path
        };
        let (mine, named) = (file("mine", "hf_mine\n"), file("named", "hf_named"));
        file("token", " hf_kept ");
        let home = ("HF_HOME", dir.path().to_str().unwrap());
        let path = ("HF_TOKEN_PATH", named.to_str().unwrap());
        let variable = ("HF_TOKEN", "hf_variable");
        let config = HubConfig {
            token_file: Some(mine),
            ..HubConfig::default()
        };
        for (config, environment, token) in [
            (&config, &[home, path, variable][..], "hf_mine"),
            (
                &HubConfig::default(),
                &[home, path, variable],
                "hf_variable",
            ),
            (&HubConfig::default(), &[home, path], "hf_named"),
            (&HubConfig::default(), &[home], "hf_kept"),
        ] {
            let found = settings(config, environment).unwrap();
            assert_eq!(secret(&found), Some(token));
            assert!(!format!("{found:?}").contains("hf_"), "{found:?}");
        }
        let none = settings(&HubConfig::default(), &[HOME, ("HF_HOME", "/nowhere")]).unwrap();
        assert_eq!(secret(&none), None);
    }

    #[test]
    fn a_token_that_is_none_is_refused_and_not_shown() {
        let refused = |environment: &[(&str, &str)]| {
            let error = settings(&HubConfig::default(), environment).unwrap_err();
            assert!(!error.report().contains("hf_secret"), "{error:?}");
            error.to_string()
        };
        assert!(refused(&[HOME, ("HF_TOKEN", "hf_secret and more")]).contains("HF_TOKEN"));
        assert!(refused(&[HOME, ("HF_TOKEN_PATH", "/no/such")]).contains("/no/such"));
    }

    #[test]
    fn a_token_never_goes_over_plain_http_to_another_machine() {
        for (endpoint, sent) in [
            ("https://hub.test", true),
            ("http://localhost:8080", true),
            ("http://127.0.0.1:8080", true),
            ("http://[::1]:8080", true),
            ("http://hub.test", false),
            ("http://127.0.0.1.hub.test", false),
            ("http://10.0.0.1", false),
        ] {
            let environment = [HOME, ("HF_TOKEN", "hf_secret"), ("HF_ENDPOINT", endpoint)];
            let found = settings(&HubConfig::default(), &environment).unwrap();
            assert_eq!(secret(&found).is_some(), sent, "{endpoint}");
        }
    }

    #[test]
    fn an_endpoint_is_an_address_and_holds_no_secret() {
        for endpoint in [
            "hub.test",
            "ftp://hub.test",
            "https://",
            "https://me:hf_secret@hub.test",
            "https://hub.test?x=hf_secret",
        ] {
            let error =
                settings(&HubConfig::default(), &[HOME, ("HF_ENDPOINT", endpoint)]).unwrap_err();
            assert!(error.to_string().contains("the Hub's endpoint"), "{error}");
            assert!(!error.report().contains("hf_secret"), "{error:?}");
        }
    }
}
