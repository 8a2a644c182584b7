//! What is said where there is no way in.

use std::net::TcpListener;
use std::path::Path;

use heartbeat_core::ErrorKind::{self, Misconfigured, Unavailable};
use heartbeat_kafka::{KafkaBus, KafkaConfig, Sasl};
use testbed::{Listener, USER, User};
use tokio::task::JoinSet;

use crate::cluster::{Place, kafka};
use crate::told::{WRONG, fails};

/// Who comes how, and what is said.
type Case = (String, KafkaConfig, ErrorKind, &'static [&'static str]);

/// At once, as some wait for long.
async fn none_gets_in(cases: Vec<Case>) {
    let mut trying = JoinSet::new();
    for (what, config, kind, says) in cases {
        trying.spawn(async move { fails(&what, KafkaBus::open(config), kind, says).await });
    }
    while let Some(tried) = trying.join_next().await {
        tried.unwrap();
    }
}

#[tokio::test]
async fn wrong_credentials() {
    let place = Place::new().await;
    let mut cases: Vec<Case> = Vec::new();
    for listener in [Listener::SaslPlaintext, Listener::SaslSsl] {
        for sasl in [Sasl::Plain, Sasl::ScramSha256, Sasl::ScramSha512] {
            let says: &[_] = match sasl {
                Sasl::Plain => &[
                    "the broker refuses the credentials",
                    "Invalid username or password",
                    "Check `username` and `sasl`",
                    "HEARTBEAT_KAFKA_PASSWORD or `password_file`",
                ],
                _ => &[
                    "the broker refuses the credentials",
                    "invalid credentials with SASL mechanism SCRAM-SHA-",
                    "HEARTBEAT_KAFKA_PASSWORD or `password_file`",
                ],
            };
            for name in [USER.name, "nobody"] {
                let user = User {
                    name,
                    password: WRONG,
                };
                cases.push((
                    format!("{name} with a wrong password, {sasl:?} by {listener:?}"),
                    place.sign_in(listener, sasl, user),
                    Misconfigured,
                    says,
                ));
            }
        }
    }
    none_gets_in(cases).await;
}

#[tokio::test]
async fn certificates_that_do_not_fit() {
    let place = Place::new().await;
    let made = kafka().certificates().unwrap();
    let trusting = |listener, ca: Option<&Path>| KafkaConfig {
        ca_file: ca.map(Path::to_owned),
        ..place.by(listener)
    };
    let wrong = Some(&*made.wrong_ca);
    let wrong_sasl = place.signed(trusting(Listener::SaslSsl, wrong), Sasl::Plain, USER);
    // Also this machine, but none of the names in the certificate.
    let mut other_name = place.by(Listener::Ssl);
    other_name.brokers = other_name.brokers.replace("127.0.0.1", "127.1");
    let untrusted: &[_] = &[
        "the broker's certificate is not trusted",
        "certificate verify failed, brokers",
        "Set `ca_file`",
        "host name",
    ];
    let other_key = place.with_certificate(&made.user.certificate, &made.guest.key);
    none_gets_in(vec![
        (
            "another authority".into(),
            trusting(Listener::Ssl, wrong),
            Misconfigured,
            untrusted,
        ),
        (
            "another authority, and a user".into(),
            wrong_sasl,
            Misconfigured,
            untrusted,
        ),
        (
            "the system's authorities".into(),
            trusting(Listener::Ssl, None),
            Misconfigured,
            untrusted,
        ),
        (
            "another host name".into(),
            other_name,
            Misconfigured,
            untrusted,
        ),
        (
            "no certificates in the file".into(),
            trusting(Listener::Ssl, Some(&made.user.key)),
            Misconfigured,
            &["ssl.ca.location failed", "`ca_file`"],
        ),
        (
            "no client's certificate".into(),
            place.by(Listener::MutualSsl),
            Misconfigured,
            &[
                "bad certificate",
                "or wants one",
                "`ssl.certificate.location`",
            ],
        ),
        (
            "another client's key".into(),
            other_key,
            Misconfigured,
            &[
                "ssl.key.location failed",
                "key values mismatch",
                "`[bus.properties]`",
            ],
        ),
    ])
    .await;
}

/// A proxy with no broker behind it hangs up, too, so that these may pass.
#[tokio::test]
async fn broker_and_client_that_do_not_speak_alike() {
    let place = Place::new().await;
    let ca = &kafka().certificates().unwrap().ca;
    let encrypted = |listener| KafkaConfig {
        tls: Some(true),
        ca_file: Some(ca.clone()),
        ..place.by(listener)
    };
    let clear = |listener| KafkaConfig {
        tls: Some(false),
        ca_file: None,
        ..place.by(listener)
    };
    let signed = |config| place.signed(config, Sasl::Plain, USER);
    let no_tls: &[_] = &["Disconnected", "may have no TLS", "`tls = false`"];
    let tls: &[_] = &["Disconnected", "may want TLS", "`tls = true`"];
    let users: &[_] = &["Disconnected", "want users to sign in", "`username`"];
    let no_users: &[_] = &["mechanism handshake failed", "take `username` out"];
    none_gets_in(vec![
        (
            "TLS to none".into(),
            encrypted(Listener::Plaintext),
            Unavailable,
            no_tls,
        ),
        (
            "TLS and a user to none".into(),
            signed(encrypted(Listener::SaslPlaintext)),
            Unavailable,
            no_tls,
        ),
        (
            "no TLS to it".into(),
            clear(Listener::Ssl),
            Unavailable,
            tls,
        ),
        (
            "a user without TLS to it".into(),
            signed(clear(Listener::SaslSsl)),
            Unavailable,
            tls,
        ),
        (
            "nobody where users sign in".into(),
            clear(Listener::SaslPlaintext),
            Unavailable,
            users,
        ),
        (
            "nobody where users sign in by TLS".into(),
            encrypted(Listener::SaslSsl),
            Unavailable,
            users,
        ),
        (
            "a user where none signs in".into(),
            signed(clear(Listener::Plaintext)),
            Misconfigured,
            no_users,
        ),
        (
            "a user where none signs in by TLS".into(),
            signed(encrypted(Listener::Ssl)),
            Misconfigured,
            no_users,
        ),
    ])
    .await;
}

#[tokio::test]
async fn brokers_that_cannot_be_reached() {
    let place = Place::new().await;
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let silent_at = silent.local_addr().unwrap().to_string();
    let closed = TcpListener::bind("127.0.0.1:0").unwrap();
    let closed_at = closed.local_addr().unwrap().to_string();
    drop(closed);
    let at = |brokers: &str, tls| KafkaConfig {
        tls: Some(tls),
        ..place.at(brokers)
    };
    let refused: &[_] = &[
        "no broker can be reached (broker",
        "Connection refused",
        "Check the address",
    ];
    let no_answer: &[_] = &[
        "no broker can be reached (broker",
        "imed out",
        "whether a broker is up",
    ];
    none_gets_in(vec![
        (
            "nobody listens".into(),
            at(&closed_at, false),
            Unavailable,
            refused,
        ),
        (
            "silence".into(),
            at(&silent_at, false),
            Unavailable,
            no_answer,
        ),
        (
            "silence by TLS".into(),
            at(&silent_at, true),
            Unavailable,
            no_answer,
        ),
        (
            "silence to a user".into(),
            place.signed(at(&silent_at, false), Sasl::Plain, USER),
            Unavailable,
            no_answer,
        ),
        (
            "no such host".into(),
            at("no-such-host.invalid:9092", false),
            Unavailable,
            &[
                "no broker can be reached (broker no-such-host.invalid:9092",
                "Failed to resolve",
                "Check the address",
            ],
        ),
        (
            "no port".into(),
            at("localhost:none", false),
            Misconfigured,
            &["port is no number (broker localhost:none", "`HOST:PORT`"],
        ),
    ])
    .await;
}
