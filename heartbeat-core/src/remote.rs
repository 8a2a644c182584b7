//! What backends that talk to servers share: addresses, secrets and what servers say.

use std::error::Error as StdError;
use std::ffi::OsString;
use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;
use std::{fs, io};

use secrecy::{ExposeSecret, SecretString};
use url::Url;

use crate::error::{Error, Result};

/// As many characters of another's words are shown.
const LONGEST_WORDS: usize = 400;

/// The address of a server, from a setting that errors name as `whose`: ``the registry's `url` ``.
///
/// # Errors
/// [`ErrorKind::Misconfigured`](crate::ErrorKind::Misconfigured) unless it is an http or https address without user, password,
/// query or fragment. The text is not shown, as a password may be in it.
pub fn address(text: &str, whose: &str) -> Result<Url> {
    let wrong = |why: &str| Error::misconfigured(format!("{whose} {why}"));
    let url = Url::parse(text).map_err(|error| wrong("is not an address").caused_by(error))?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(wrong("holds a user or a password"));
    }
    if !matches!(url.scheme(), "http" | "https") {
        return Err(wrong("is neither https nor http"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(wrong("has more than a path after the host"));
    }
    Ok(url)
}

/// The text of an address as settings show it in `Debug`: whoever put a secret into it, against the rules of [`address`],
/// does not find it in a log.
#[must_use]
pub fn shown(text: &str) -> &str {
    if text.contains(['@', '?']) {
        "***"
    } else {
        text
    }
}

/// Whether others on the way can read what is sent: plain http, to another machine.
#[must_use]
pub fn is_open(url: &Url) -> bool {
    url.scheme() == "http" && !is_this_machine(url.host_str().unwrap_or_default())
}

/// Whether a host is this machine by its very name, as no other machine can read what is sent to it: `localhost` or a
/// loopback address, an IPv6 one with or without its brackets. Nothing is looked up.
///
/// ```
/// use heartbeat_core::remote::is_this_machine;
///
/// assert!(is_this_machine("[::1]"));
/// assert!(!is_this_machine("localhost.example.org"));
/// ```
#[must_use]
pub fn is_this_machine(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost"
        || address
            .parse()
            .is_ok_and(|address: IpAddr| address.is_loopback())
}

/// A secret: the `value` of the environment's `variable`, or else the first line of a file.
///
/// # Errors
/// [`ErrorKind::Misconfigured`](crate::ErrorKind::Misconfigured) when the variable is no text, or the file cannot be read or
/// has nothing in its first line.
pub fn secret(
    variable: &'static str,
    value: Option<OsString>,
    file: Option<&Path>,
) -> Result<Option<SecretString>> {
    match (value.filter(|value| !value.is_empty()), file) {
        (Some(value), _) => match value.into_string() {
            Ok(text) => Ok(Some(text.into())),
            Err(_) => Err(Error::misconfigured("a secret is not UTF-8 text")
                .with("variable", variable)
                .hint("Set it anew.")),
        },
        (None, Some(file)) => first_line(file).map(Some),
        (None, None) => Ok(None),
    }
}

/// A [`secret`] that is an access token: one word.
///
/// # Errors
/// As of [`secret`], and when it holds anything but letters, digits and signs.
pub fn token(
    variable: &'static str,
    value: Option<OsString>,
    file: Option<&Path>,
) -> Result<Option<SecretString>> {
    let is_set = value.as_ref().is_some_and(|value| !value.is_empty());
    let token = secret(variable, value, file)?;
    let is_word = |token: &SecretString| {
        let bytes = token.expose_secret().as_bytes();
        bytes.iter().all(u8::is_ascii_graphic)
    };
    match &token {
        Some(found) if !is_word(found) => {
            let error = Error::misconfigured("what should be an access token is none");
            let error = match file {
                Some(file) if !is_set => error.with("path", file.display()),
                _ => error.with("variable", variable),
            };
            Err(error
                .hint("A token is one word of letters, digits and signs; put nothing else there."))
        }
        _ => Ok(token),
    }
}

fn first_line(file: &Path) -> Result<SecretString> {
    let text = fs::read_to_string(file).map_err(|error| {
        Error::misconfigured("cannot read a secret")
            .with("path", file.display())
            .caused_by(error)
            .hint("Write it into the first line of that file, or do not name one.")
    })?;
    let line = text.lines().next().unwrap_or_default().trim_end();
    if line.is_empty() {
        return Err(
            Error::misconfigured("the file has no secret in its first line")
                .with("path", file.display())
                .hint("Write it there, or do not name the file."),
        );
    }
    Ok(line.into())
}

/// Another's words as they may stand in an error: on one line and not too long.
///
/// ```
/// assert_eq!(heartbeat_core::remote::words(" not\na word \u{1b}[31m"), "not\\na word \\u{1b}[31m");
/// ```
#[must_use]
pub fn words(text: &str) -> String {
    let text = text.trim();
    let mut shown = String::new();
    for (index, char) in text.chars().enumerate() {
        if index == LONGEST_WORDS {
            shown.push('…');
            break;
        }
        if char.is_control() {
            shown.extend(char.escape_default());
        } else {
            shown.push(char);
        }
    }
    shown
}

/// [`words`] of bytes that should be text.
#[must_use]
pub fn words_of(bytes: &[u8]) -> String {
    match bytes {
        [] => "empty".to_owned(),
        _ => words(&String::from_utf8_lossy(
            &bytes[..bytes.len().min(4 * LONGEST_WORDS)],
        )),
    }
}

/// How long a server asks to be left alone by its header `Retry-After`: seconds. The header's other form, a date, is not read.
#[must_use]
pub fn retry_after(header: &[u8]) -> Option<Duration> {
    let seconds = std::str::from_utf8(header).ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds))
}

/// Whether a connection failed because the two do not agree on TLS: the certificate is not trusted, or the other side
/// speaks something else.
#[must_use]
pub fn is_tls(error: &(dyn StdError + 'static)) -> bool {
    // An error of I/O does not count what it wraps among its causes.
    if let Some(error) = error.downcast_ref::<io::Error>() {
        return error.kind() == io::ErrorKind::InvalidData
            || error.get_ref().is_some_and(|inner| is_tls(inner));
    }
    error.source().is_some_and(is_tls)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    #[test]
    fn an_address_is_one_and_holds_no_secret() {
        assert!(address("https://a.test:8086/path", "it").is_ok());
        for (text, says) in [
            ("a.test:8086", "it is neither https nor http"),
            ("/a", "it is not an address"),
            ("https://", "it is not an address"),
            ("https://me:s3cret@a.test", "it holds a user or a password"),
            ("https://a.test?t=s3cret", "it has more than a path"),
        ] {
            let error = address(text, "it").unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Misconfigured);
            assert!(error.to_string().contains(says), "{error}");
            assert!(!format!("{error:?}").contains("s3cret"), "{error:?}");
        }
    }

    #[test]
    fn plain_http_to_another_machine_is_open() {
        for (url, open) in [
            ("http://a.test", true),
            ("http://10.0.0.1:8086", true),
            ("http://127.0.0.1.a.test", true),
            ("http://localhost:8086", false),
            ("http://[::1]:8086", false),
            ("https://a.test", false),
        ] {
            assert_eq!(is_open(&address(url, "it").unwrap()), open, "{url}");
        }
    }

    #[test]
    fn a_secret_comes_from_its_variable_or_else_from_its_file() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("secret");
        fs::write(&file, "s3cret of file \r\nmore\n").unwrap();
        let file = Some(file.as_path());
        for (value, file, expected) in [
            (None, None, None),
            (Some(""), None, None),
            (Some(""), file, Some("s3cret of file")),
            (Some("s3cret"), file, Some("s3cret")),
        ] {
            let found = secret("V", value.map(OsString::from), file).unwrap();
            assert_eq!(found.as_ref().map(SecretString::expose_secret), expected);
            assert!(!format!("{found:?}").contains("s3cret"), "{found:?}");
        }
    }

    #[test]
    fn what_is_no_secret_or_no_token_is_refused_and_not_shown() {
        let dir = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str| {
            let path = dir.path().join(name);
            fs::write(&path, text).unwrap();
            path
        };
        let (empty, two) = (file("empty", "\ns3cret\n"), file("two", "s3cret word"));
        for (value, file, says) in [
            (None, Some(Path::new("/no/such")), "/no/such"),
            (None, Some(empty.as_path()), "no secret in its first line"),
            (None, Some(two.as_path()), "should be an access token"),
            (Some("s3cret word"), None, "variable V"),
            (Some("s3cret word"), Some(two.as_path()), "variable V"),
        ] {
            let error = token("V", value.map(OsString::from), file).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Misconfigured);
            assert!(error.to_string().contains(says), "{says}: {error}");
            assert!(error.advice().is_some(), "{error:?}");
            assert!(!format!("{error:?}").contains("s3cret"), "{error:?}");
        }
    }

    #[test]
    fn words_of_another_are_on_one_line_and_not_too_long() {
        assert_eq!(words(" a\n\u{1b}[31mü \"b\" "), "a\\n\\u{1b}[31mü \"b\"");
        let long = words(&"é".repeat(5000));
        assert_eq!(long.chars().count(), LONGEST_WORDS + 1);
        assert!(long.ends_with('…'));
        assert_eq!(words_of(b"<html>\xff"), "<html>\u{fffd}");
        assert_eq!(words_of(b""), "empty");
    }

    #[test]
    fn a_server_asks_for_seconds() {
        assert_eq!(retry_after(b" 120 "), Some(Duration::from_secs(120)));
        assert_eq!(retry_after(b"-1"), None);
        assert_eq!(retry_after(b"Fri, 31 Dec 1999 23:59:59 GMT"), None);
    }
}
