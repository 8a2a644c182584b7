//! The one error type of every trait and stage.

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// A result whose error is heartbeat's own.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What a caller can do about an [`Error`].
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// This piece of data cannot be read, scored or stored, however often it is tried.
    /// The stage makes it a dead letter and goes on.
    Invalid,
    /// Something is down, busy or slow and may come back. The stage tries again with back-off.
    Unavailable,
    /// A partition or a source went to another member of the group while it was worked on.
    /// Nothing was written; its new owner does the work.
    Rebalanced,
    /// A setting, a credential or the environment is wrong. The stage stops: a person must act.
    Misconfigured,
    /// A backend broke its contract: a bug.
    Internal,
}

impl ErrorKind {
    /// The kind as one lower-case word, for headers, labels and JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Invalid => "invalid",
            Self::Unavailable => "unavailable",
            Self::Rebalanced => "rebalanced",
            Self::Misconfigured => "misconfigured",
            Self::Internal => "internal",
        }
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What happened, to what, and what to do about it.
///
/// `Display` gives the message with its context; [`Error::report`] adds the causes and the hint.
///
/// ```
/// use heartbeat_core::{Error, ErrorKind};
///
/// let error = Error::invalid("the id has more than 19 digits").with("line", 17);
/// assert_eq!(error.to_string(), "the id has more than 19 digits (line 17)");
/// assert_eq!(error.kind(), ErrorKind::Invalid);
/// assert!(!error.is_retryable());
/// ```
#[derive(Clone)]
pub struct Error(Box<Inner>);

#[derive(Clone)]
struct Inner {
    kind: ErrorKind,
    message: String,
    context: Vec<(&'static str, String)>,
    hint: Option<String>,
    retry_after: Option<Duration>,
    item: Option<usize>,
    source: Option<Arc<dyn StdError + Send + Sync>>,
}

impl Error {
    /// An error of `kind`. `message` says what happened, in lower case and without a full stop.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self(Box::new(Inner {
            kind,
            message: message.into(),
            context: Vec::new(),
            hint: None,
            retry_after: None,
            item: None,
            source: None,
        }))
    }

    /// An error of kind [`ErrorKind::Invalid`].
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Invalid, message)
    }

    /// An error of kind [`ErrorKind::Unavailable`].
    pub fn unavailable(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Unavailable, message)
    }

    /// An error of kind [`ErrorKind::Rebalanced`].
    pub fn rebalanced(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Rebalanced, message)
    }

    /// An error of kind [`ErrorKind::Misconfigured`].
    pub fn misconfigured(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Misconfigured, message)
    }

    /// An error of kind [`ErrorKind::Internal`].
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Internal, message)
    }

    /// Adds to what it happened: `("line", 17)`, `("topic", "ingest")`.
    #[must_use]
    pub fn with(mut self, key: &'static str, value: impl fmt::Display) -> Self {
        self.0.context.push((key, value.to_string()));
        self
    }

    /// Adds what a person can do about it, as a sentence.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.0.hint = Some(hint.into());
        self
    }

    /// Adds the error that caused this one.
    #[must_use]
    pub fn caused_by(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.0.source = Some(Arc::from(source.into()));
        self
    }

    /// Adds how long the other side asked to be left alone before the next try.
    #[must_use]
    pub fn retry_after(mut self, wait: Duration) -> Self {
        self.0.retry_after = Some(wait);
        self
    }

    /// Adds which of the things given in one call was at fault, by its index.
    #[must_use]
    pub fn at_item(mut self, index: usize) -> Self {
        self.0.item = Some(index);
        self
    }

    /// What a caller can do about it.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Whether the same call may succeed later.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        self.0.kind == ErrorKind::Unavailable
    }

    /// How long the other side asked to be left alone, when it said so.
    #[must_use]
    pub fn wait_before_retry(&self) -> Option<Duration> {
        self.0.retry_after
    }

    /// Which of the things given in one call was at fault, when that is known.
    #[must_use]
    pub fn item(&self) -> Option<usize> {
        self.0.item
    }

    /// What a person can do about it, when that is known.
    #[must_use]
    pub fn advice(&self) -> Option<&str> {
        self.0.hint.as_deref()
    }

    /// The whole story in one line: message, context, causes and hint.
    #[must_use]
    pub fn report(&self) -> String {
        let mut report = self.to_string();
        let mut last = report.clone();
        let mut cause = StdError::source(self);
        while let Some(error) = cause {
            let text = error.to_string();
            // Many clients say the same at two levels, more or less fully.
            if !report.contains(&text) && !text.contains(&last) {
                report.push_str(": ");
                report.push_str(&text);
                last = text;
            }
            cause = error.source();
        }
        if let Some(hint) = &self.0.hint {
            report.truncate(report.trim_end_matches('.').len());
            report.push_str(". ");
            report.push_str(hint);
        }
        report
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)?;
        for (index, (key, value)) in self.0.context.iter().enumerate() {
            let lead = if index == 0 { " (" } else { ", " };
            write!(f, "{lead}{key} {value}")?;
        }
        if !self.0.context.is_empty() {
            f.write_str(")")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.0.kind, self.report())
    }
}

// By hand: a derived `source` would give the `Arc`, and its callers could not downcast to what is in it.
impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0
            .source
            .as_deref()
            .map(|source| source as &(dyn StdError + 'static))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn report_tells_what_to_what_why_and_what_to_do() {
        let error = Error::misconfigured("cannot open the database")
            .with("path", "/no/such/dir/x.db")
            .caused_by(std::io::Error::other("no such directory."))
            .hint("Create the directory or choose another path.");
        assert_eq!(
            error.report(),
            "cannot open the database (path /no/such/dir/x.db): no such directory. \
             Create the directory or choose another path."
        );
    }

    #[test]
    fn report_does_not_say_the_same_twice() {
        let inner = Error::invalid("Error code 26: file is not a database");
        let outer = Error::invalid("file is not a database").caused_by(inner);
        let error = Error::misconfigured("not an SQLite database").caused_by(outer);
        assert_eq!(
            error.report(),
            "not an SQLite database: file is not a database"
        );
        let same = Error::unavailable("away").caused_by(Error::unavailable("away"));
        assert_eq!(same.report(), "away");
    }

    #[test]
    fn a_cause_can_be_told_by_its_type() {
        let error = Error::unavailable("away").caused_by(std::io::Error::other("broken"));
        let cause = StdError::source(&error).unwrap();
        assert!(cause.is::<std::io::Error>());
    }

    #[test]
    fn only_what_may_pass_is_retryable() {
        assert!(Error::unavailable("down").is_retryable());
        for error in [
            Error::invalid("x"),
            Error::rebalanced("x"),
            Error::misconfigured("x"),
            Error::internal("x"),
        ] {
            assert!(!error.is_retryable(), "{error:?}");
        }
    }
}
