//! What is said of a registry that does not let anybody in.

use std::net::TcpListener;

use heartbeat_core::ErrorKind::{Misconfigured, Unavailable};
use heartbeat_kafka::{KafkaBus, KafkaConfig, RegistryConfig};
use testbed::Listener;
use wiremock::matchers::any;
use wiremock::{Mock, MockServer, ResponseTemplate};

use crate::cluster::Place;
use crate::told::{WRONG, fails};

#[tokio::test]
async fn a_registry_that_refuses_the_password() {
    let place = Place::new().await;
    let registry = MockServer::start().await;
    let refusal = r#"{"error_code":401,"message":"Unauthorized, says the registry"}"#;
    Mock::given(any())
        .respond_with(ResponseTemplate::new(401).set_body_string(refusal))
        .mount(&registry)
        .await;
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), WRONG).unwrap();
    let config = KafkaConfig {
        registry: RegistryConfig {
            url: registry.uri(),
            username: Some("me".to_owned()),
            password_file: Some(file.path().to_owned()),
            ..RegistryConfig::default()
        },
        ..place.by(Listener::Plaintext)
    };
    let says = [
        "the schema registry refuses the credentials",
        &registry.uri(),
        "Unauthorized, says the registry",
        "HEARTBEAT_REGISTRY_PASSWORD or `password_file`",
    ];
    fails("the registry's password", KafkaBus::open(config), Misconfigured, &says).await;
}

#[tokio::test]
async fn a_registry_that_does_not_answer() {
    let place = Place::new().await;
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let closed = TcpListener::bind("127.0.0.1:0").unwrap();
    let [silent_at, closed_at] =
        [&silent, &closed].map(|it| format!("http://{}", it.local_addr().unwrap()));
    drop(closed);
    for (url, says) in [(silent_at, "is silent"), (closed_at, "Connection refused")] {
        let config = KafkaConfig {
            registry: RegistryConfig {
                url: url.clone(),
                ..RegistryConfig::default()
            },
            ..place.by(Listener::Plaintext)
        };
        let says = ["the schema registry", &url, says];
        fails("the registry", KafkaBus::open(config), Unavailable, &says).await;
    }
}
