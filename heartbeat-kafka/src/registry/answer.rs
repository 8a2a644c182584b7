//! What the registry and the way to it say, in heartbeat's words.

use std::time::Duration;

use heartbeat_core::{Error, ErrorKind, remote};
use reqwest::header::{HeaderMap, LOCATION, RETRY_AFTER};
use reqwest::{Method, StatusCode, Url};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::login::Login;

const ADDRESS: &str =
    "Check the registry's `url`, its path too, and whether a proxy or a login page is in between.";
const AWAY: &str = "Check that the registry runs, its `url` and the network.";

/// What was asked for; or else that the registry has no such thing or does not take it.
pub(super) type Answer<T> = Result<T, Refusal>;

/// The registry understood and says no.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    /// What was asked, as errors show it.
    request: String,
    /// The HTTP status; a success for an answer that is too long.
    pub(super) status: u16,
    /// The registry's own code, finer than the status.
    pub(super) code: u32,
    /// Its words, fit to be shown.
    pub(super) words: String,
}

impl Refusal {
    /// Whether the registry, and not something before it, says that there is no such subject,
    /// version or schema.
    pub(super) fn is_not_found(&self) -> bool {
        self.status == 404 && (40_400..40_500).contains(&self.code)
    }

    /// The error where no refusal of this kind was foreseen.
    pub(super) fn unforeseen(&self) -> Error {
        Error::misconfigured("the schema registry refuses a request")
            .with("request", &self.request)
            .with("status", self.status)
            .with("code", self.code)
            .with("answer", &self.words)
            .hint(ADDRESS)
    }
}

/// How the registry tells errors.
#[derive(Debug, Deserialize)]
struct Told {
    error_code: u32,
    #[serde(default)]
    message: String,
}

/// One request, for errors about it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked<'a> {
    pub(super) method: &'a Method,
    /// Without user and password: the settings refuse both.
    pub(super) url: &'a Url,
    pub(super) login: &'a Login,
}

impl Asked<'_> {
    fn error(&self, kind: ErrorKind, message: &str) -> Error {
        Error::new(kind, message).with("request", self.request())
    }

    fn request(&self) -> String {
        format!("{} {}", self.method, self.url)
    }

    /// An answer that is not read to its end.
    pub(super) fn too_long(&self, status: StatusCode) -> Refusal {
        Refusal {
            request: self.request(),
            status: status.as_u16(),
            code: 0,
            words: "longer than 1 MiB".to_owned(),
        }
    }

    /// No answer within `limit`.
    fn silent(&self, limit: Duration) -> Error {
        self.error(ErrorKind::Unavailable, "the schema registry is silent")
            .with("seconds", limit.as_secs_f32())
            .hint(AWAY)
    }

    /// No whole answer came.
    pub(super) fn unreachable(&self, error: reqwest::Error, limit: Duration) -> Error {
        if error.is_timeout() {
            return self.silent(limit);
        }
        let (kind, message, hint) = if error.is_connect() && remote::is_tls(&error) {
            (
                ErrorKind::Misconfigured,
                "no secure connection to the schema registry",
                "If its certificate is of your own authority, name that one's certificate by \
                 `ca_file`; for a registry without TLS, begin `url` with http.",
            )
        } else if error.is_builder() {
            (
                ErrorKind::Misconfigured,
                "the schema registry cannot be asked",
                ADDRESS,
            )
        } else if error.is_body() || error.is_decode() {
            (
                ErrorKind::Unavailable,
                "the answer of the schema registry broke off",
                AWAY,
            )
        } else {
            (
                ErrorKind::Unavailable,
                "the schema registry cannot be reached",
                AWAY,
            )
        };
        self.error(kind, message)
            .caused_by(error.without_url())
            .hint(hint)
    }

    /// Reads a whole answer. `body` may be cut off for any status but a success.
    pub(super) fn read<T: DeserializeOwned>(
        &self,
        status: StatusCode,
        headers: &HeaderMap,
        body: &[u8],
    ) -> Result<Answer<T>, Error> {
        let wrong = |message| {
            self.error(ErrorKind::Misconfigured, message)
                .with("status", status.as_u16())
        };
        match status.as_u16() {
            200..=299 => serde_json::from_slice(body).map(Ok).map_err(|error| {
                wrong("the server does not answer as a schema registry does")
                    .with("answer", words(body))
                    .caused_by(error)
                    .hint(ADDRESS)
            }),
            // Not followed: the credentials are for this address alone.
            300..=399 => Err(wrong("the schema registry redirects to another address")
                .with("to", self.target(headers))
                .hint("If that is the registry, set its `url` so.")),
            401 | 403 => Err(wrong("the schema registry refuses the credentials")
                .with("answer", words(body))
                .hint(self.login.advice())),
            408 | 425 | 429 | 500..=599 => {
                let error = self
                    .error(
                        ErrorKind::Unavailable,
                        "the schema registry is busy or out of order",
                    )
                    .with("status", status.as_u16())
                    .with("answer", words(body))
                    .hint(AWAY);
                Err(match retry_after(headers) {
                    Some(wait) => error.retry_after(wait),
                    None => error,
                })
            }
            status => match serde_json::from_slice::<Told>(body) {
                Ok(told) => Ok(Err(Refusal {
                    request: self.request(),
                    status,
                    code: told.error_code,
                    words: remote::words(&told.message),
                })),
                Err(_) => Err(
                    wrong("the server does not answer as a schema registry does")
                        .with("answer", words(body))
                        .hint(ADDRESS),
                ),
            },
        }
    }

    /// Where a redirect leads, without what may be secret in it.
    fn target(&self, headers: &HeaderMap) -> String {
        let location = headers
            .get(LOCATION)
            .and_then(|location| location.to_str().ok())
            .and_then(|location| self.url.join(location).ok());
        let Some(mut target) = location else {
            return "nowhere".to_owned();
        };
        target.set_query(None);
        target.set_fragment(None);
        // Both fail only where an address has neither.
        let _ = target.set_username("");
        let _ = target.set_password(None);
        target.into()
    }
}

/// How long the other side asks to be left alone.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    remote::retry_after(headers.get(RETRY_AFTER)?.as_bytes())
}

/// The words in an answer: the registry's message, or else the answer's beginning.
fn words(body: &[u8]) -> String {
    match serde_json::from_slice::<Told>(body) {
        Ok(told) => remote::words(&told.message),
        Err(_) => remote::words_of(body),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_those_of_the_registry_or_how_the_answer_begins() {
        assert_eq!(
            words(br#"{"error_code":42201,"message":"no\nway"}"#),
            "no\\nway"
        );
        assert_eq!(words(b"<html>\xff"), "<html>\u{fffd}");
        assert_eq!(words(b""), "empty");
    }

    #[test]
    fn each_status_has_its_kind() {
        use ErrorKind::{Misconfigured, Unavailable};
        let url = Url::parse("https://registry.test/subjects").unwrap();
        let asked = Asked {
            method: &Method::GET,
            url: &url,
            login: &Login::None,
        };
        let json = br#"{"error_code":40401,"message":"some words"}"#;
        for (status, body, kind) in [
            (200, &b"<html>"[..], Some(Misconfigured)),
            (200, json, Some(Misconfigured)),
            (301, b"", Some(Misconfigured)),
            (400, b"<html>", Some(Misconfigured)),
            (401, json, Some(Misconfigured)),
            (403, b"<html>", Some(Misconfigured)),
            (404, b"", Some(Misconfigured)),
            (404, json, None),
            (405, b"<html>", Some(Misconfigured)),
            (408, b"", Some(Unavailable)),
            (409, json, None),
            (422, json, None),
            (429, b"<html>", Some(Unavailable)),
            (500, json, Some(Unavailable)),
            (502, b"<html>", Some(Unavailable)),
            (503, b"", Some(Unavailable)),
            (504, b"<html>", Some(Unavailable)),
        ] {
            let status = StatusCode::from_u16(status).unwrap();
            let answer = asked.read::<Vec<String>>(status, &HeaderMap::new(), body);
            match (answer, kind) {
                (Err(error), Some(kind)) => {
                    assert_eq!(error.kind(), kind, "{status}: {error:?}");
                    assert!(
                        error
                            .to_string()
                            .contains("GET https://registry.test/subjects")
                    );
                    assert!(error.advice().is_some(), "{error:?}");
                }
                (Ok(Err(refusal)), None) => {
                    assert_eq!(refusal.words, "some words");
                    assert_eq!(refusal.is_not_found(), status == 404);
                }
                (other, _) => panic!("{status}: {other:?}"),
            }
        }
    }
}
