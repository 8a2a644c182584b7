//! Why there is no connection.

use std::time::Duration;

use heartbeat_core::{Error, remote};
use tokio_tungstenite::tungstenite;
use tokio_tungstenite::tungstenite::http::Response;

use crate::settings::Host;

/// A server is not asked to be left alone for longer than that.
const LONGEST_WAIT: Duration = Duration::from_secs(5 * 60);

const AWAY: &str = "Check the network and `hosts`.";

/// A connection that could not be had.
#[derive(Debug)]
pub(crate) struct Failure {
    /// Whether the server will never give one. Where all say so, a person must act.
    pub(crate) is_final: bool,
    pub(crate) error: Error,
}

impl Failure {
    fn passing(host: &Host, message: &str, hint: &str) -> Self {
        Self {
            is_final: false,
            error: Error::unavailable(message)
                .with("host", &host.name)
                .hint(hint),
        }
    }

    /// No answer came in time.
    pub(crate) fn silent(host: &Host, limit: Duration) -> Self {
        let mut failure = Self::passing(host, "Jetstream's server does not answer", AWAY);
        failure.error = failure.error.with("seconds", limit.as_secs());
        failure
    }

    /// There is no way to the server.
    pub(crate) fn unreachable(host: &Host, error: std::io::Error) -> Self {
        let mut failure = if remote::is_tls(&error) {
            let hint = "The certificate is not trusted, or the other side speaks no TLS: check `hosts`, proxies, SSL_CERT_FILE and \
                        SSL_CERT_DIR.";
            Self::passing(host, "no secure connection to Jetstream's server", hint)
        } else {
            Self::passing(host, "Jetstream's server cannot be reached", AWAY)
        };
        failure.error = failure.error.caused_by(error);
        failure
    }

    /// The server does not begin a stream.
    pub(crate) fn refused(host: &Host, error: tungstenite::Error) -> Self {
        match error {
            tungstenite::Error::Http(answer) => Self::answered(host, &answer),
            tungstenite::Error::Io(error) => Self::unreachable(host, error),
            error => {
                let message = "the server does not answer as Jetstream does";
                let mut failure = Self::passing(host, message, AWAY);
                failure.error = failure.error.caused_by(error);
                failure
            }
        }
    }

    fn answered(host: &Host, answer: &Response<Option<Vec<u8>>>) -> Self {
        let status = answer.status();
        let is_final = status.is_client_error() && !matches!(status.as_u16(), 408 | 429);
        let mut error = if is_final {
            Error::misconfigured("Jetstream's server refuses the stream").hint(
                "Check `hosts`: leave it out for Bluesky's own servers. Where it is so already, Jetstream may have changed.",
            )
        } else {
            Error::unavailable("Jetstream's server gives no stream now").hint("Wait.")
        };
        error = error
            .with("host", &host.name)
            .with("status", status.as_u16());
        if let Some(body) = answer.body().as_deref().filter(|body| !body.is_empty()) {
            error = error.with("answer", remote::words_of(body));
        }
        let wait = answer.headers().get("retry-after");
        if let Some(wait) = wait.and_then(|wait| remote::retry_after(wait.as_bytes())) {
            error = error.retry_after(wait.min(LONGEST_WAIT));
        }
        Self { is_final, error }
    }
}

#[cfg(test)]
mod tests {
    use heartbeat_core::ErrorKind;

    use super::*;
    use crate::config::BlueskyConfig;
    use crate::settings::Settings;

    #[test]
    fn each_status_has_its_cause() {
        let settings = Settings::new(&BlueskyConfig::default()).unwrap();
        let host = &settings.hosts[0];
        for (status, is_final) in [
            (400, true),
            (401, true),
            (403, true),
            (404, true),
            (410, true),
            (408, false),
            (429, false),
            (200, false),
            (302, false),
            (500, false),
            (503, false),
        ] {
            let answer = Response::builder()
                .status(status)
                .header("retry-after", "1000")
                .body(Some(b"some\x07 words".to_vec()))
                .unwrap();
            let failure = Failure::refused(host, tungstenite::Error::Http(answer.into()));
            assert_eq!(failure.is_final, is_final, "{status}");
            let kind = failure.error.kind();
            assert_eq!(kind == ErrorKind::Misconfigured, is_final, "{status}");
            assert_eq!(failure.error.wait_before_retry(), Some(LONGEST_WAIT));
            let text = failure.error.to_string();
            assert!(
                text.contains("some\\u{7} words") && text.contains("jetstream1.us-east"),
                "{text}"
            );
            assert!(failure.error.advice().is_some(), "{text}");
        }
    }
}
