//! What InfluxDB and the way to it say, in heartbeat's words.

use std::error::Error as StdError;
use std::time::Duration;

use heartbeat_core::{Error, ErrorKind, remote};
use influxdb2::RequestError;
use reqwest_0_11::StatusCode;
use serde::Deserialize;
use url::Url;

const ADDRESS: &str =
    "Check InfluxDB's `url` and its port, and whether a proxy or a login page is in between.";
const AWAY: &str = "Check that InfluxDB runs, its `url` and the network.";
const TOKEN: &str = "Check HEARTBEAT_INFLUX_TOKEN or `token_file`, and what that token may do: transfer writes to the bucket, \
                     dump reads it, and `heartbeat influx setup` makes buckets and dashboards.";

/// An answer, whatever it says.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) retry_after: Option<Duration>,
    /// Perhaps cut off, unless it is a success.
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// What the crate `influxdb2` keeps of one.
    pub(crate) fn kept(status: StatusCode, text: String) -> Self {
        Self {
            status: status.as_u16(),
            retry_after: None,
            body: text.into_bytes(),
        }
    }

    /// InfluxDB's own words in it; none when it is not InfluxDB's.
    pub(crate) fn told(&self) -> Option<String> {
        /// InfluxDB 2 has `code` and `message`, InfluxDB 3 an `error`.
        #[derive(Deserialize)]
        struct Told {
            message: Option<String>,
            error: Option<String>,
        }
        let told: Told = serde_json::from_slice(&self.body).ok()?;
        told.message.or(told.error)
    }

    /// Its words, InfluxDB's or whoever's.
    fn words(&self) -> String {
        match self.told() {
            Some(told) => remote::words(&told),
            None => remote::words_of(&self.body),
        }
    }
}

/// One request, for errors about it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asked<'a> {
    pub(crate) method: &'static str,
    /// Without user and password: the settings refuse both.
    pub(crate) base: &'a Url,
    pub(crate) path: &'a str,
    pub(crate) org: &'a str,
    pub(crate) bucket: &'a str,
    /// How long it may take.
    pub(crate) limit: Duration,
}

impl Asked<'_> {
    fn error(&self, kind: ErrorKind, message: &str) -> Error {
        let url = format!("{}{}", self.base.as_str().trim_end_matches('/'), self.path);
        Error::new(kind, message).with("request", format!("{} {url}", self.method))
    }

    /// The server is none, or not the one that was meant.
    pub(crate) fn unlike(&self, answer: &Answer) -> Error {
        self.error(
            ErrorKind::Misconfigured,
            "the server does not answer as InfluxDB does",
        )
        .with("status", answer.status)
        .with("answer", answer.words())
        .hint(ADDRESS)
    }

    /// An answer that is not read to its end.
    pub(crate) fn too_long(&self, limit: usize) -> Error {
        self.error(ErrorKind::Misconfigured, "InfluxDB's answer is too long")
            .with("limit", format!("{} MiB", limit >> 20))
            .hint("Ask for less at once: a shorter time, or longer windows.")
    }

    /// No whole answer came.
    pub(crate) fn unreachable(&self, error: reqwest_0_11::Error) -> Error {
        if error.is_timeout() {
            return self
                .error(ErrorKind::Unavailable, "InfluxDB is silent")
                .with("seconds", self.limit.as_secs_f32())
                .hint(AWAY);
        }
        let is_no_json =
            StdError::source(&error).is_some_and(<dyn StdError>::is::<serde_json::Error>);
        let (kind, message, hint) = if error.is_connect() && remote::is_tls(&error) {
            (
                ErrorKind::Misconfigured,
                "no secure connection to InfluxDB",
                "If its certificate is of your own authority, name that one's certificate by `ca_file`; for an InfluxDB \
                 without TLS, begin `url` with http.",
            )
        } else if error.is_builder() {
            (
                ErrorKind::Misconfigured,
                "InfluxDB cannot be asked",
                ADDRESS,
            )
        } else if is_no_json {
            (
                ErrorKind::Misconfigured,
                "the server does not answer as InfluxDB does",
                ADDRESS,
            )
        } else if error.is_body() || error.is_decode() {
            (ErrorKind::Unavailable, "InfluxDB's answer broke off", AWAY)
        } else {
            (ErrorKind::Unavailable, "InfluxDB cannot be reached", AWAY)
        };
        self.error(kind, message)
            .caused_by(error.without_url())
            .hint(hint)
    }

    /// An answer that is no success.
    pub(crate) fn refused(&self, answer: &Answer) -> Error {
        let wrong = |message, hint: &str| {
            self.error(ErrorKind::Misconfigured, message)
                .with("answer", answer.words())
                .hint(hint)
        };
        match (answer.status, answer.told()) {
            (408 | 425 | 429 | 500..=599, _) => {
                let error = self
                    .error(ErrorKind::Unavailable, "InfluxDB is busy or out of order")
                    .with("status", answer.status)
                    .with("answer", answer.words())
                    .hint(AWAY);
                match answer.retry_after {
                    Some(wait) => error.retry_after(wait),
                    None => error,
                }
            }
            (_, None) | (200..=399, _) => self.unlike(answer),
            (401, _) => wrong("InfluxDB does not accept the access token", TOKEN),
            (403, _) => wrong(
                "InfluxDB does not let the access token's owner do this",
                TOKEN,
            ),
            (404, Some(told)) if told.starts_with("organization") => {
                wrong("InfluxDB has no organization of this name", "Check `org`.")
                    .with("org", self.org)
            }
            (404, _) => wrong(
                "InfluxDB has no bucket of this name",
                "Check `bucket`, or let `heartbeat influx setup` make it.",
            )
            .with("org", self.org)
            .with("bucket", self.bucket),
            (status, _) => wrong(
                "InfluxDB refuses a request",
                "Its words say why. It may be another version than heartbeat was made for.",
            )
            .with("status", status),
        }
    }

    /// What the crate `influxdb2` came to.
    pub(crate) fn failed(&self, error: RequestError) -> Error {
        match error {
            RequestError::Http { status, text } => self.refused(&Answer::kept(status, text)),
            RequestError::ReqwestProcessing { source } => self.unreachable(source),
            other => self
                .error(ErrorKind::Internal, "InfluxDB's client failed")
                .caused_by(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_status_has_its_kind() {
        use ErrorKind::{Misconfigured, Unavailable};
        let base = Url::parse("http://influx.test:8086").unwrap();
        let asked = Asked {
            method: "POST",
            base: &base,
            path: "/api/v2/write",
            org: "o",
            bucket: "b",
            limit: Duration::from_secs(1),
        };
        let (two, three) = (
            br#"{"code":"invalid","message":"some\nwords"}"#,
            br#"{"error":"some\nwords"}"#,
        );
        for (status, body, kind, says) in [
            (200, &b"<html>"[..], Misconfigured, "does not answer as"),
            (204, b"", Misconfigured, "does not answer as"),
            (301, b"", Misconfigured, "does not answer as"),
            (400, two, Misconfigured, "refuses a request"),
            (400, b"<html>", Misconfigured, "does not answer as"),
            (401, two, Misconfigured, "does not accept the access token"),
            (401, b"<html>", Misconfigured, "does not answer as"),
            (403, two, Misconfigured, "owner do this"),
            (404, two, Misconfigured, "org o, bucket b"),
            (404, three, Misconfigured, "org o, bucket b"),
            (404, b"", Misconfigured, "does not answer as"),
            (422, three, Misconfigured, "refuses a request"),
            (429, two, Unavailable, "busy or out of order"),
            (500, b"<html>", Unavailable, "busy or out of order"),
            (502, b"", Unavailable, "busy or out of order"),
            (503, two, Unavailable, "busy or out of order"),
        ] {
            let error = asked.refused(&Answer {
                status,
                retry_after: Some(Duration::from_secs(7)),
                body: body.to_vec(),
            });
            assert_eq!(error.kind(), kind, "{status}: {error:?}");
            let text = error.to_string();
            assert!(text.contains(says), "{status}: {text}");
            assert!(
                text.contains("POST http://influx.test:8086/api/v2/write"),
                "{text}"
            );
            assert_eq!(
                text.contains("some\\nwords"),
                body.starts_with(b"{"),
                "{text}"
            );
            assert!(error.advice().is_some(), "{error:?}");
            let wait = (kind == Unavailable).then_some(Duration::from_secs(7));
            assert_eq!(error.wait_before_retry(), wait, "{status}");
        }
    }
}
