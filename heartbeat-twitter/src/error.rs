//! What went wrong with X, and whether and when to ask again.

use std::fmt;
use std::time::Duration;

use heartbeat_core::{Error, ErrorKind, remote};
use reqwest::StatusCode;
use serde::Deserialize;
use url::Url;

use crate::settings::NO_ACCESS;

/// What kind of failure it is, as to asking again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Cause {
    /// The network, or the other side of it.
    Network,
    /// X is out of order.
    Http,
    /// Asked too often. It may tell how long that lasts.
    Limited { reset: Option<Duration> },
    /// The app has its connections already, perhaps ones that are dead.
    TooManyConnections,
    /// Nothing changes until a person does something.
    Final,
}

/// A request that failed.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) cause: Cause,
    pub(crate) error: Error,
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        match failure.cause {
            Cause::Limited { reset: Some(wait) } => failure.error.retry_after(wait),
            _ => failure.error,
        }
    }
}

/// What X says is wrong: <https://docs.x.com/x-api/fundamentals/response-codes-and-errors>. Each field may be missing.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Problem {
    title: Option<String>,
    detail: Option<String>,
    message: Option<String>,
    /// Why a rule is none.
    details: Vec<String>,
    /// The rule that is none.
    pub(crate) value: Option<String>,
    connection_issue: Option<String>,
    errors: Vec<Problem>,
}

impl Problem {
    /// Reads an answer's body.
    fn read(body: &[u8]) -> Option<Self> {
        let problem: Self = serde_json::from_slice(body).ok()?;
        problem.is_told().then_some(problem)
    }

    /// Whether it says anything.
    pub(crate) fn is_told(&self) -> bool {
        self.title.is_some()
            || self.detail.is_some()
            || self.message.is_some()
            || !self.errors.is_empty()
    }

    fn any(&self, test: impl Fn(&Self) -> bool + Copy) -> bool {
        test(self) || self.errors.iter().any(test)
    }

    pub(crate) fn is_too_many_connections(&self) -> bool {
        self.any(|it| it.connection_issue.as_deref() == Some("TooManyConnections"))
    }

    /// A rule that X has already.
    pub(crate) fn is_duplicate(&self) -> bool {
        self.title.as_deref() == Some("DuplicateRule")
    }

    pub(crate) fn is_spent(&self) -> bool {
        let spent = ["UsageCapExceeded", "CreditsDepleted"];
        self.any(|it| {
            it.title
                .as_deref()
                .is_some_and(|title| spent.contains(&title))
        })
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let own = [&self.title, &self.detail, &self.message]
            .into_iter()
            .flatten();
        let mut said: Vec<String> = own.chain(&self.details).cloned().collect();
        said.dedup();
        said.extend(self.errors.iter().map(Self::to_string));
        f.write_str(&remote::words(&said.join(": ")))
    }
}

/// A request, for errors to tell of.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asked<'a> {
    pub(crate) method: &'static str,
    pub(crate) base: &'a Url,
    pub(crate) path: &'static str,
}

const TOKEN: &str = "Check HEARTBEAT_TWITTER_TOKEN or `token_file`: the app's bearer token, as X's developer portal has it.";
pub(crate) const NO_RULES: &str = "X has no rules for this app, so there is no stream";
pub(crate) const SET_RULES: &str =
    "Write them into the config's `[source.rules]`, and let `heartbeat rules set` set them.";
const ANOTHER: &str = "X has a connection of this app already";
const ONE: &str = "X allows an app one connection: end the other program that uses it.";
const SPENT: &str = "X gives no more posts: they are paid for and used up";
const MORE: &str = "Buy more in X's developer portal, or wait for the next month.";
const ADDRESS: &str = "Check `base_url`; leave it out for X itself.";
const AWAY: &str = "Check the network, and whether X works: https://docs.x.com/status.";

impl Asked<'_> {
    fn failure(&self, cause: Cause, message: &str, hint: impl Into<String>) -> Failure {
        let kind = match cause {
            Cause::Final => ErrorKind::Misconfigured,
            _ => ErrorKind::Unavailable,
        };
        let address = self.base.as_str().trim_end_matches('/');
        let error = Error::new(kind, message)
            .with(
                "request",
                format_args!("{} {address}{}", self.method, self.path),
            )
            .hint(hint);
        Failure { cause, error }
    }

    /// X says on the stream that the app's posts are used up.
    pub(crate) fn spent(&self, problem: &Problem) -> Failure {
        self.told(Cause::Final, SPENT, &format!("{MORE} {NO_ACCESS}"), problem)
    }

    /// X ends the connection for another one.
    pub(crate) fn too_many_connections(&self, problem: &Problem) -> Failure {
        self.told(Cause::TooManyConnections, ANOTHER, ONE, problem)
    }

    fn told(&self, cause: Cause, message: &str, hint: &str, problem: &Problem) -> Failure {
        let mut failure = self.failure(cause, message, hint);
        failure.error = failure.error.with("answer", problem);
        failure
    }

    /// No answer came.
    pub(crate) fn unreachable(&self, error: reqwest::Error) -> Failure {
        let (cause, message, hint) = if error.is_connect() && remote::is_tls(&error) {
            let hint = "The certificate is not X's, or the other side speaks no TLS. Check `base_url`, proxies, SSL_CERT_FILE and \
                        SSL_CERT_DIR.";
            (Cause::Final, "no secure connection to X", hint)
        } else if error.is_builder() {
            (Cause::Final, "X cannot be asked", ADDRESS)
        } else {
            (Cause::Network, "X cannot be reached", AWAY)
        };
        let mut failure = self.failure(cause, message, hint);
        failure.error = failure.error.caused_by(error.without_url());
        failure
    }

    /// It does not answer in time.
    pub(crate) fn silent(&self, limit: Duration) -> Failure {
        let mut failure = self.failure(Cause::Network, "X is silent", AWAY);
        failure.error = failure.error.with("seconds", limit.as_secs());
        failure
    }

    /// An answer that is none of X's.
    pub(crate) fn unlike(&self, status: StatusCode, body: &[u8]) -> Failure {
        let mut failure = self.failure(
            Cause::Final,
            "the server does not answer as X does",
            ADDRESS,
        );
        failure.error = failure
            .error
            .with("status", status.as_u16())
            .with("answer", remote::words_of(body));
        failure
    }

    /// An answer that is no success. `reset` is how long a limit lasts, where X tells it.
    pub(crate) fn refused(
        &self,
        status: StatusCode,
        reset: Option<Duration>,
        body: &[u8],
    ) -> Failure {
        let problem = Problem::read(body);
        let cause = match status.as_u16() {
            420 | 429
                if problem
                    .as_ref()
                    .is_some_and(Problem::is_too_many_connections) =>
            {
                Cause::TooManyConnections
            }
            402 => Cause::Final,
            _ if problem.as_ref().is_some_and(Problem::is_spent) => Cause::Final,
            420 | 429 => Cause::Limited { reset },
            408 | 500..=599 => Cause::Http,
            _ => Cause::Final,
        };
        let problem = match problem {
            Some(problem) => problem,
            // Whatever is in between may be the one that is busy.
            None if cause != Cause::Final => Problem::default(),
            None => return self.unlike(status, body),
        };
        let (message, hint) = match (&cause, status.as_u16()) {
            (Cause::TooManyConnections, _) => (ANOTHER, ONE.to_owned()),
            (Cause::Limited { .. }, _) => ("X is asked too often", "Wait.".to_owned()),
            (Cause::Http | Cause::Network, _) => ("X is out of order", AWAY.to_owned()),
            (Cause::Final, 401) => ("X does not accept the access token", TOKEN.to_owned()),
            (Cause::Final, 402 | 429) => (SPENT, format!("{MORE} {NO_ACCESS}")),
            (Cause::Final, 403) => (
                "X does not let this app do that",
                format!(
                    "The app needs a plan with the filtered stream: see X's developer portal. {NO_ACCESS}"
                ),
            ),
            (Cause::Final, 409) => (NO_RULES, SET_RULES.to_owned()),
            (Cause::Final, _) => ("X refuses a request", "Its words say why.".to_owned()),
        };
        let mut failure = self.failure(cause, message, hint);
        failure.error = failure.error.with("status", status.as_u16());
        if problem.is_told() {
            failure.error = failure.error.with("answer", problem);
        }
        failure
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_status_has_its_cause() {
        let base = Url::parse("https://x.test").unwrap();
        let asked = Asked {
            method: "GET",
            base: &base,
            path: "/2/tweets/search/stream",
        };
        let reset = Some(Duration::from_secs(7));
        let told = r#"{"title":"Some\u0007 title","detail":"some detail","type":"about:blank"}"#;
        let many = r#"{"title":"ConnectionException","connection_issue":"TooManyConnections"}"#;
        let within = r#"{"errors":[{"title":"ConnectionException","connection_issue":"TooManyConnections"}]}"#;
        let spent = r#"{"title":"UsageCapExceeded","period":"Monthly"}"#;
        for (status, body, cause, says) in [
            (400, told, Cause::Final, "refuses a request"),
            (401, told, Cause::Final, "access token"),
            (402, told, Cause::Final, "used up"),
            (403, told, Cause::Final, "does not let this app"),
            (404, "<html>", Cause::Final, "does not answer as X does"),
            (404, told, Cause::Final, "refuses a request"),
            (301, "", Cause::Final, "does not answer as X does"),
            (409, told, Cause::Final, "no rules"),
            (420, "", Cause::Limited { reset }, "too often"),
            (429, told, Cause::Limited { reset }, "too often"),
            (
                429,
                many,
                Cause::TooManyConnections,
                "connection of this app",
            ),
            (
                429,
                within,
                Cause::TooManyConnections,
                "connection of this app",
            ),
            (429, spent, Cause::Final, "used up"),
            (408, "", Cause::Http, "out of order"),
            (500, "<html>", Cause::Http, "out of order"),
            (503, told, Cause::Http, "out of order"),
        ] {
            let status_code = StatusCode::from_u16(status).unwrap();
            let failure = asked.refused(status_code, reset, body.as_bytes());
            assert_eq!(failure.cause, cause, "{status} {body}");
            let is_final = cause == Cause::Final;
            let is_limited = matches!(cause, Cause::Limited { .. });
            let error = Error::from(failure);
            assert_eq!(
                error.kind() == ErrorKind::Misconfigured,
                is_final,
                "{error:?}"
            );
            assert_eq!(error.wait_before_retry(), reset.filter(|_| is_limited));
            let text = error.to_string();
            assert!(
                text.contains(says) && text.contains("GET https://x.test/2/"),
                "{text}"
            );
            let shows = body == told;
            assert_eq!(
                text.contains("Some\\u{7} title: some detail"),
                shows,
                "{text}"
            );
            assert!(error.advice().is_some(), "{error:?}");
        }
    }
}
