//! What librdkafka's words about a connection mean, and what to do. It has no codes for that.

use heartbeat_core::Error;

/// Where advice of librdkafka's begins that is not ours: its settings are not those of heartbeat.
const NOT_OURS: &[&str] = &[
    ": broker certificate could not be verified",
    ": connecting to a PLAINTEXT broker listener?",
    ": probably due to broker version",
    " (after ",
];

/// Without the name of librdkafka's thread before it.
pub(crate) fn plain(words: &str) -> &str {
    let rest = words
        .strip_prefix("[thrd:")
        .and_then(|rest| rest.split_once("]: "));
    rest.map_or(words, |(_, rest)| rest)
}

/// What is for users to read: without advice about other settings, and without times and states.
pub(crate) fn clear(words: &str) -> &str {
    let ends = NOT_OURS.iter().filter_map(|advice| words.find(advice));
    let end = ends.min().unwrap_or(words.len());
    words[..end].trim_end_matches([':', ' '])
}

/// Whether the broker says that it does not take the client's certificate, or wants one.
pub(super) fn is_alert(words: &str) -> bool {
    words.contains("SSL alert number")
}

/// Credentials or certificates that do not fit: a person must act.
pub(super) fn refusal(words: &str) -> Error {
    let (message, hint) = if is_alert(words) {
        (
            "the broker does not take this client's certificate, or wants one",
            "Name one that it trusts by `ssl.certificate.location` and `ssl.key.location` in `[bus.properties]`.",
        )
    } else if words.contains("certificate verify failed") {
        (
            "the broker's certificate is not trusted",
            "Set `ca_file` to the certificates of who signs for the brokers; each broker's certificate has to be for the host name in `brokers`.",
        )
    } else if words.contains("mechanism handshake failed") {
        (
            "the broker does not let users sign in like this",
            "Set `sasl` to a mechanism that the broker supports; if it names none, take `username` out: at this port nobody signs in.",
        )
    } else if words.contains("SSL") {
        (
            "no TLS connection to the broker",
            "Check `ca_file`, or set `tls = false` for a broker without TLS.",
        )
    } else {
        (
            "the broker refuses the credentials",
            "Check `username` and `sasl` in the bus's table, and the password in HEARTBEAT_KAFKA_PASSWORD or `password_file`.",
        )
    };
    Error::misconfigured(message)
        .with("broker", clear(words))
        .hint(hint)
}

/// What to look at when there is no connection, or it ended. A broker that hangs up may not be ready yet; or the two do not agree on how
/// to speak.
pub(super) fn advice(words: &str) -> Option<&'static str> {
    const NOBODY: &[&str] = &["Connect to ", "Failed to resolve", "Timed out", "timed out"];
    if NOBODY.iter().any(|sign| words.contains(sign)) {
        return Some("Check the address, and whether a broker is up there.");
    }
    if !words.contains("Disconnected") {
        return None;
    }
    let (scheme, _) = words.split_once("://").unwrap_or_default();
    if words.contains("in state SSL_HANDSHAKE") {
        Some("If this goes on, the broker may have no TLS at this port: set `tls = false`.")
    } else if words.contains("in state APIVERSION_QUERY") && !scheme.ends_with("ssl") {
        Some("If this goes on, the broker may want TLS at this port: set `tls = true`.")
    } else if words.contains("in state UP") && !scheme.starts_with("sasl") {
        Some("If this goes on, the broker may want users to sign in at this port: set `username`.")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_has_no_advice_about_other_settings() {
        for (words, left) in [
            (
                "a:1: Connect to ipv4#1.2.3.4:1 failed: Connection refused (after 0ms in state CONNECT)",
                "a:1: Connect to ipv4#1.2.3.4:1 failed: Connection refused",
            ),
            (
                "a:1: SSL handshake failed: error:0A000086:SSL routines::certificate verify failed: broker certificate could not be verified, verify that ssl.ca.location is correctly configured (after 9ms in state SSL_HANDSHAKE)",
                "a:1: SSL handshake failed: error:0A000086:SSL routines::certificate verify failed",
            ),
            (
                "a:1: ApiVersionRequest failed: Local: Timed out: probably due to broker version < 0.10 (see api.version.request configuration) (after 10059ms in state APIVERSION_QUERY)",
                "a:1: ApiVersionRequest failed: Local: Timed out",
            ),
            (
                "a:1: SASL PLAIN mechanism handshake failed: broker's supported mechanisms:  (after 1ms in state AUTH_HANDSHAKE)",
                "a:1: SASL PLAIN mechanism handshake failed: broker's supported mechanisms",
            ),
        ] {
            assert_eq!(clear(words), left);
        }
    }

    #[test]
    fn a_broker_that_hangs_up_may_want_to_be_spoken_to_otherwise() {
        for (words, setting) in [
            (
                "ssl://a:1/bootstrap: SSL handshake failed: Disconnected: closed (after 1ms in state SSL_HANDSHAKE)",
                Some("`tls = false`"),
            ),
            (
                "a:1/bootstrap: Disconnected: closed (after 3ms in state APIVERSION_QUERY)",
                Some("`tls = true`"),
            ),
            (
                "sasl_plaintext://a:1/bootstrap: Disconnected: closed (after 3ms in state APIVERSION_QUERY)",
                Some("`tls = true`"),
            ),
            (
                "ssl://a:1/bootstrap: Disconnected: closed (after 3ms in state APIVERSION_QUERY)",
                None,
            ),
            (
                "ssl://a:1/bootstrap: Disconnected: closed (after 0ms in state UP)",
                Some("`username`"),
            ),
            (
                "a:1/0: Disconnected: closed (after 0ms in state UP)",
                Some("`username`"),
            ),
            (
                "sasl_ssl://a:1/0: Disconnected: closed (after 0ms in state UP)",
                None,
            ),
            (
                "a:1: Connect to ipv4#1.2.3.4:1 failed: Connection refused (after 0ms in state CONNECT)",
                Some("the address"),
            ),
        ] {
            let found = advice(words);
            assert_eq!(found.is_some(), setting.is_some(), "{words}");
            assert!(
                found
                    .unwrap_or_default()
                    .contains(setting.unwrap_or_default()),
                "{words}"
            );
        }
    }
}
