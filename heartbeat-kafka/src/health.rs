//! What the brokers and the connections to them complain about, in their own words.

mod words;

use std::sync::Mutex;
use std::time::{Duration, Instant};

use heartbeat_core::Error;
use rdkafka::error::RDKafkaErrorCode;
use tokio::sync::Notify;

use self::words::{advice, refusal};
pub(crate) use self::words::{clear, plain};
use crate::shared::lock;

/// How long a complaint explains a call that failed.
const FRESH: Duration = Duration::from_secs(30);

/// The last complaints of all clients of a bus. A call that merely ran out of time is explained by them.
#[derive(Debug, Default)]
pub(crate) struct Health {
    troubles: Mutex<Troubles>,
    noted: Notify,
}

#[derive(Debug, Default)]
struct Troubles {
    /// Credentials or certificates that do not fit: no try will mend it.
    refusal: Option<Trouble>,
    /// A connection that could not be made, or broke.
    connection: Option<Trouble>,
}

#[derive(Debug, Clone)]
struct Trouble {
    words: String,
    at: Instant,
}

impl Health {
    /// Keeps a complaint, if it is about connections: others are told by the call that they are about.
    pub(crate) fn note(&self, code: RDKafkaErrorCode, words: &str) {
        use RDKafkaErrorCode::{
            Authentication, BrokerTransportFailure, OperationTimedOut, Resolve, SSL,
        };
        let trouble = Some(Trouble {
            words: plain(words).to_owned(),
            at: Instant::now(),
        });
        let mut troubles = lock(&self.troubles);
        match code {
            Authentication | SSL => troubles.refusal = trouble,
            _ if words::is_alert(words) => troubles.refusal = trouble,
            BrokerTransportFailure | OperationTimedOut | Resolve => troubles.connection = trouble,
            _ => return,
        }
        drop(troubles);
        self.noted.notify_waiters();
    }

    /// Waits for a complaint that no further try will mend.
    pub(crate) async fn refusal(&self) -> Error {
        loop {
            let noted = self.noted.notified();
            tokio::pin!(noted);
            noted.as_mut().enable();
            if let Some(trouble) = fresh(&lock(&self.troubles).refusal) {
                return refusal(&trouble.words);
            }
            noted.await;
        }
    }

    /// Says more of an error that may pass: that it will not, when the brokers refuse this client, else what
    /// they complained about last.
    pub(crate) fn explain(&self, error: Error) -> Error {
        if !error.is_retryable() {
            return error;
        }
        let troubles = lock(&self.troubles);
        if let Some(trouble) = fresh(&troubles.refusal) {
            return refusal(&trouble.words);
        }
        let Some(trouble) = fresh(&troubles.connection) else {
            return error;
        };
        let error = error.with("broker", clear(&trouble.words));
        match advice(&trouble.words) {
            Some(hint) => error.hint(hint),
            None => error,
        }
    }
}

fn fresh(trouble: &Option<Trouble>) -> Option<&Trouble> {
    trouble
        .as_ref()
        .filter(|trouble| trouble.at.elapsed() < FRESH)
}

#[cfg(test)]
mod tests {
    use heartbeat_core::ErrorKind;

    use super::*;

    #[test]
    fn a_timeout_is_explained_by_what_the_broker_said() {
        let health = Health::default();
        let timeout = || Error::unavailable("no answer");
        assert_eq!(health.explain(timeout()).to_string(), "no answer");

        health.note(
            RDKafkaErrorCode::BrokerTransportFailure,
            "[thrd:a:1/bootstrap]: a:1/bootstrap: Connect failed: Connection refused",
        );
        let error = health.explain(timeout());
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert!(
            error
                .to_string()
                .contains("(broker a:1/bootstrap: Connect failed"),
            "{error}"
        );

        // Neither that none is up nor what another call may not do says why.
        health.note(RDKafkaErrorCode::AllBrokersDown, "1/1 brokers are down");
        health.note(RDKafkaErrorCode::GroupAuthorizationFailed, "not that group");
        let error = health.explain(timeout());
        assert!(error.to_string().contains("Connect failed"), "{error}");

        health.note(RDKafkaErrorCode::Authentication, "a:1: Invalid credentials");
        let error = health.explain(timeout());
        assert_eq!(error.kind(), ErrorKind::Misconfigured);
        assert!(error.to_string().contains("Invalid credentials"), "{error}");
        // What is final is not explained away.
        let invalid = health.explain(Error::invalid("too large"));
        assert_eq!(invalid.kind(), ErrorKind::Invalid);
    }

    #[tokio::test(start_paused = true)]
    async fn a_refusal_is_told_at_once() {
        let health = Health::default();
        let refused = tokio::time::timeout(Duration::from_secs(1), health.refusal());
        health.note(RDKafkaErrorCode::Resolve, "no such host");
        let note = async {
            tokio::time::sleep(Duration::from_millis(10)).await;
            health.note(RDKafkaErrorCode::SSL, "certificate verify failed");
        };
        let (refused, ()) = tokio::join!(refused, note);
        assert_eq!(refused.unwrap().kind(), ErrorKind::Misconfigured);
    }
}
