//! What the Hub and the way to it say, in heartbeat's words.

use std::io;
use std::path::Path;
use std::time::Duration;

use heartbeat_core::{Error, ErrorKind, remote};
use reqwest::StatusCode;
use reqwest::header::{HeaderMap, RETRY_AFTER};

use super::repository::Repository;

const TOKEN: &str = "If it is private or gated, ask for access on its page and give an access token of that account \
     by HF_TOKEN or `token_file`; over plain http none is sent.";
const NAME: &str =
    "Check the model's name; if a folder was meant, there is none of that name here.";
const ENDPOINT: &str =
    "Check `endpoint` or HF_ENDPOINT, and whether a proxy or a login page is in between.";
const AWAY: &str = "Check the network and `endpoint` or HF_ENDPOINT. Without a network, set `offline` or \
     HF_HUB_OFFLINE=1 and use what is in the cache, or name a folder.";

/// What was asked of the Hub, for errors about it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked<'a> {
    pub(super) repository: &'a Repository,
    /// `None`: the list of its files.
    pub(super) file: Option<&'a str>,
    /// The server, unless it is the Hub itself.
    pub(super) endpoint: Option<&'a str>,
    /// Whether an access token was sent along.
    pub(super) token: bool,
}

impl Asked<'_> {
    /// An error about what was asked.
    pub(super) fn error(&self, kind: ErrorKind, message: &str) -> Error {
        let mut error = Error::new(kind, message)
            .with("model", &self.repository.id)
            .with("revision", &self.repository.revision);
        if let Some(file) = self.file {
            error = error.with("file", file);
        }
        if let Some(endpoint) = self.endpoint {
            error = error.with("endpoint", endpoint);
        }
        error
    }

    /// The answer is none of the Hub's.
    pub(super) fn unlike(&self, what: &str) -> Error {
        self.error(ErrorKind::Misconfigured, what).hint(ENDPOINT)
    }

    /// No answer within `limit`, or no more of it.
    pub(super) fn silent(&self, limit: Duration) -> Error {
        self.error(ErrorKind::Unavailable, "the Hub is silent")
            .with("seconds", limit.as_secs_f32())
            .hint(AWAY)
    }

    /// No whole answer came.
    pub(super) fn unreachable(&self, error: reqwest::Error) -> Error {
        let (kind, message, hint) = if error.is_builder() || error.is_redirect() {
            (
                ErrorKind::Misconfigured,
                "the Hub's address leads nowhere",
                ENDPOINT,
            )
        } else if error.is_body() || error.is_decode() {
            (
                ErrorKind::Unavailable,
                "the answer of the Hub broke off",
                AWAY,
            )
        } else {
            (ErrorKind::Unavailable, "the Hub cannot be reached", AWAY)
        };
        // An address that was redirected to may be signed: as good as a token.
        self.error(kind, message)
            .caused_by(error.without_url())
            .hint(hint)
    }

    /// The Hub answered with `status`, which is no success.
    pub(super) fn refused(&self, status: StatusCode, headers: &HeaderMap) -> Error {
        let code = headers
            .get("x-error-code")
            .and_then(|code| code.to_str().ok());
        let wrong = |message: &str, hint: String| {
            self.error(ErrorKind::Misconfigured, message)
                .with("status", status.as_u16())
                .hint(hint)
        };
        match (status.as_u16(), code) {
            (401 | 403, Some("GatedRepo")) => wrong(
                "the repository is gated, and this user has no access",
                TOKEN.to_owned(),
            ),
            // The Hub does not tell strangers which private repositories there are.
            (401, _) if !self.token => wrong(
                "the Hub has no such repository for everyone",
                format!("{NAME} {TOKEN}"),
            ),
            (401, _) => wrong("the Hub does not accept the access token", TOKEN.to_owned()),
            (403, _) => wrong("the Hub refuses access to the repository", TOKEN.to_owned()),
            (404, Some("RevisionNotFound")) => wrong(
                "the repository has no such revision",
                "Name one of its branches, tags or commits.".to_owned(),
            ),
            (404, _) if self.file.is_some() => wrong(
                "the Hub lists the file but does not have it",
                "Try another revision, or tell the repository's owner.".to_owned(),
            ),
            (404, Some("RepoNotFound")) => {
                wrong("the Hub has no such repository", format!("{NAME} {TOKEN}"))
            }
            (404, _) => wrong(
                "the Hub has no such repository, or the repository no such revision",
                format!("{NAME} {TOKEN}"),
            ),
            (408 | 425 | 429 | 500..=599, _) => {
                let error = self
                    .error(ErrorKind::Unavailable, "the Hub is busy or out of order")
                    .with("status", status.as_u16())
                    .hint("Try again later. An access token (HF_TOKEN) raises the Hub's limits.");
                match retry_after(headers) {
                    Some(wait) => error.retry_after(wait),
                    None => error,
                }
            }
            _ => wrong(
                "the server does not answer as the Hub does",
                ENDPOINT.to_owned(),
            ),
        }
    }
}

/// How long the other side asks to be left alone.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    remote::retry_after(headers.get(RETRY_AFTER)?.as_bytes())
}

/// The operating system does not let us keep a file of the cache in `path`.
pub(super) fn unkept(path: &Path) -> impl Fn(io::Error) -> Error {
    move |error| {
        let hint = match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                "Free space there, or set `cache` or HF_HUB_CACHE to a folder on another disk."
            }
            _ => {
                "Make the folder writable for this user, or set `cache` or HF_HUB_CACHE to another."
            }
        };
        Error::misconfigured("cannot keep a file in the Hub's cache")
            .with("path", path.display())
            .caused_by(error)
            .hint(hint)
    }
}
