//! What a line of the stream is.

use heartbeat_core::{Error, Post, PostParser};
use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::error::Problem;

/// A line of the stream.
#[derive(Debug)]
pub(crate) enum Message {
    /// Nothing but a sign of life.
    KeepAlive,
    Post(Post),
    /// X says that something is wrong, and will end the connection.
    Problem(Problem),
    /// Something else, to be passed over.
    Other,
    /// It should be a post, and is none.
    Bad(Error),
}

impl Message {
    pub(crate) fn read(parser: &PostParser, line: &[u8]) -> Self {
        let error = match parser.post(line) {
            Ok(Some(post)) => return Self::Post(post),
            Ok(None) => return Self::KeepAlive,
            Err(error) => error,
        };
        match serde_json::from_slice(line) {
            Ok(Notice { data: Some(_), .. }) | Err(_) => Self::Bad(error),
            Ok(Notice { problem, .. }) if problem.is_told() => Self::Problem(problem),
            Ok(_) => Self::Other,
        }
    }
}

/// What is no post.
#[derive(Deserialize)]
struct Notice {
    data: Option<IgnoredAny>,
    #[serde(flatten)]
    problem: Problem,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::sample::Index;

    use super::*;

    #[test]
    fn each_line_is_taken_for_what_it_is() {
        let parser = PostParser::new(Some("T".into())).unwrap();
        let disconnect = r#"{"errors":[{"title":"operational-disconnect","disconnect_type":"UpstreamOperationalDisconnect","detail":"for operational reasons"}]}"#;
        let connection = r#"{"title":"ConnectionException","detail":"at the limit","connection_issue":"TooManyConnections","type":"about:blank"}"#;
        for (line, is) in [
            ("\r", "KeepAlive"),
            (
                r#"{"data":{"id":"1","text":"a","created_at":"2024-01-15T10:35:00.000Z"},"errors":[{"title":"Not Found"}]}"#,
                "Post",
            ),
            (disconnect, "Problem"),
            (connection, "Problem"),
            (r#"{"delete":{"id":"1"}}"#, "Other"),
            ("{}", "Other"),
            (r#"{"data":{"id":"x","text":"a","created_at":7}}"#, "Bad"),
            (r#"{"data":{"id":"1","te"#, "Bad"),
            ("[]", "Bad"),
            ("<html>", "Bad"),
        ] {
            let message = Message::read(&parser, line.as_bytes());
            assert!(
                format!("{message:?}").starts_with(is),
                "{line}: {message:?}"
            );
        }
        let Message::Problem(problem) = Message::read(&parser, connection.as_bytes()) else {
            panic!("it is a problem");
        };
        assert!(problem.is_too_many_connections());
        assert_eq!(problem.to_string(), "ConnectionException: at the limit");
    }

    proptest! {
        #[test]
        fn any_bytes_are_taken_for_something(line in any::<Vec<u8>>()) {
            let _ = Message::read(&PostParser::default(), &line);
        }

        #[test]
        fn a_line_that_is_changed_anywhere_is_taken_for_something(at in any::<Index>(), with in any::<Vec<u8>>()) {
            let mut line = br#"{"data":{"id":"1","text":"a","created_at":7},"errors":[{"title":"t"}],"matching_rules":[{"tag":"T"}]}"#.to_vec();
            let at = at.index(line.len());
            let end = line.len().min(at + with.len());
            line.splice(at..end, with);
            let _ = Message::read(&PostParser::default(), &line);
        }
    }
}
