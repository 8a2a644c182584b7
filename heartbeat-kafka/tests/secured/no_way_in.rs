//! What is said where there is no way in.

use std::net::TcpListener;

use heartbeat_kafka::{KafkaBus, KafkaConfig, Sasl};
use testbed::{Listener, USER, User};

use crate::cluster::{Place, kafka};
use crate::told::{Expected, misconfigured, tells, unavailable};

const SECRET: &str = "hunter2";

const WRONG: User = User { name: "heartbeat", password: SECRET };
const UNKNOWN: User = User { name: "nobody", password: SECRET };

async fn all(cases: Vec<(String, KafkaConfig, Expected)>) {
    for (what, config, expected) in cases {
        tells(&what, expected, SECRET, KafkaBus::open(config)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_credentials_are_told() {
    let place = Place::new().await;
    let mut cases = Vec::new();
    for listener in [Listener::SaslPlaintext, Listener::SaslSsl] {
        for sasl in [Sasl::Plain, Sasl::ScramSha256, Sasl::ScramSha512] {
            for (what, user) in [("wrong password", WRONG), ("unknown user", UNKNOWN)] {
                cases.push((format!("{what}, {sasl:?} by {listener:?}"), place.sign_in(listener, sasl, user), misconfigured(&["refuses the credentials"])));
            }
        }
    }
    all(cases).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tls() {
    let place = Place::new().await;
    let certs = kafka().certificates().unwrap();
    let with = |l, f: &dyn Fn(&mut KafkaConfig)| { let mut c = place.by(l); f(&mut c); c };
    let m = misconfigured(&[]);
    let ca = |c: &mut KafkaConfig| { c.tls = Some(true); c.ca_file = Some(certs.ca.clone()); };
    let wrong = |c: &mut KafkaConfig| { c.tls = Some(true); c.ca_file = Some(certs.wrong_ca.clone()); };
    let clear = |c: &mut KafkaConfig| { c.tls = Some(false); c.ca_file = None; };
    let cases = vec![
        ("wrong CA, ssl".into(), with(Listener::Ssl, &wrong), m),
        ("wrong CA, sasl_ssl".into(), place.signed(with(Listener::SaslSsl, &wrong), Sasl::Plain, USER), m),
        ("no CA".into(), with(Listener::Ssl, &|c| c.ca_file = None), m),
        ("tls to plain".into(), with(Listener::Plaintext, &ca), m),
        ("tls+sasl to sasl plain".into(), place.signed(with(Listener::SaslPlaintext, &ca), Sasl::Plain, USER), m),
        ("plain to tls".into(), with(Listener::Ssl, &clear), m),
        ("sasl plain to sasl tls".into(), place.signed(with(Listener::SaslSsl, &clear), Sasl::Plain, USER), m),
        ("scram to plain".into(), place.sign_in(Listener::Plaintext, Sasl::ScramSha512, USER), m),
        ("sasl tls to tls".into(), place.sign_in(Listener::Ssl, Sasl::Plain, USER), m),
        ("plain to sasl".into(), place.by(Listener::SaslPlaintext), m),
        ("tls to sasl tls".into(), place.by(Listener::SaslSsl), m),
        ("no certificate".into(), place.by(Listener::MutualSsl), m),
        ("ca file is no pem".into(), with(Listener::Ssl, &|c| c.ca_file = Some("/etc/hostname".into())), m),
        ("key no pem".into(), with(Listener::MutualSsl, &|c| {c.properties.insert("ssl.certificate.location".into(), "/etc/hostname".into()); c.properties.insert("ssl.key.location".into(), "/etc/hostname".into());}), m),
        ("wrong key".into(), with(Listener::MutualSsl, &|c| {c.properties.insert("ssl.certificate.location".into(), certs.user.certificate.display().to_string()); c.properties.insert("ssl.key.location".into(), certs.guest.key.display().to_string());}), m),
        ("wrong hostname".into(), with(Listener::Ssl, &|c| c.brokers = c.brokers.replace("127.0.0.1", "127.1")), m),
    ];
    all(cases).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn unreachable() {
    let place = Place::new().await;
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let silent = silent.local_addr().unwrap().to_string();
    let keep = TcpListener::bind("127.0.0.1:0").unwrap();
    let keep_at = keep.local_addr().unwrap().to_string();
    let u = unavailable(&[]);
    let tls = |mut c: KafkaConfig| { c.tls = Some(true); c };
    let clear = |mut c: KafkaConfig| { c.tls = Some(false); c };
    let cases = vec![
        ("refused".into(), place.at(&silent), u),
        ("silent".into(), place.at(&keep_at), u),
        ("silent tls".into(), tls(place.at(&keep_at)), u),
        ("silent sasl".into(), place.signed(place.at(&keep_at), Sasl::Plain, USER), u),
        ("no such host".into(), clear(place.at("no-such-host.invalid:9092")), u),
        ("no such host, one refused".into(), clear(place.at(&format!("no-such-host.invalid:9092,{silent}"))), u),
        ("no route".into(), clear(place.at("192.0.2.1:9092")), u),
        ("bad port".into(), clear(place.at("localhost:abc")), u),
    ];
    all(cases).await;
}
