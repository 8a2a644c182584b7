//! The client against registries that answer as told.

mod failures;
mod ids;
mod schemas;
mod tls;

#[path = "../../../tests/double/mod.rs"]
mod double;

use std::sync::Arc;
use std::time::Duration;

use heartbeat_core::{Error, ErrorKind, Record, Schema, Sentiment, Topic, Tweet};
use serde_json::{Value, json};
use wiremock::matchers::{method, path};
use wiremock::{Mock, MockBuilder, MockServer, ResponseTemplate};

use super::tries::Waits;
use super::{Registry, RegistryConfig};

fn config(url: impl Into<String>) -> RegistryConfig {
    RegistryConfig {
        url: url.into(),
        ..RegistryConfig::default()
    }
}

/// A client in a hurry, so that tests are quick.
fn open(config: &RegistryConfig) -> Registry {
    let waits = Waits {
        first: Duration::from_millis(2),
        within: Duration::from_millis(60),
    };
    Registry::with(config, |_| None, waits).unwrap()
}

fn client(server: &MockServer) -> Arc<Registry> {
    Arc::new(open(&config(server.uri())))
}

fn get(at: &str) -> MockBuilder {
    Mock::given(method("GET")).and(path(at))
}

fn post(at: &str) -> MockBuilder {
    Mock::given(method("POST")).and(path(at))
}

fn told(answer: Value) -> ResponseTemplate {
    ResponseTemplate::new(200).set_body_json(answer)
}

fn refused(status: u16, code: u32, message: &str) -> ResponseTemplate {
    let body = json!({ "error_code": code, "message": message });
    ResponseTemplate::new(status).set_body_json(body)
}

fn held(schema: &Schema) -> ResponseTemplate {
    told(json!({ "schema": schema.text() }))
}

fn tweet() -> &'static Arc<Schema> {
    Tweet::codec().schema()
}

fn sentiment() -> &'static Arc<Schema> {
    Sentiment::codec().schema()
}

fn topic(name: &str) -> Topic {
    Topic::new(name).unwrap()
}

/// How often the registry was asked.
async fn requests(server: &MockServer) -> usize {
    server.received_requests().await.unwrap().len()
}

/// What was asked, in order.
async fn asked(server: &MockServer) -> Vec<String> {
    let requests = server.received_requests().await.unwrap();
    let line = |request: &wiremock::Request| format!("{} {}", request.method, request.url.path());
    requests.iter().map(line).collect()
}

#[track_caller]
fn misconfigured(error: &Error, says: &str) {
    assert_eq!(error.kind(), ErrorKind::Misconfigured, "{error:?}");
    assert!(error.report().contains(says), "{says}: {}", error.report());
    assert!(error.advice().is_some(), "what can a person do? {error:?}");
}

#[track_caller]
fn unavailable(error: &Error, says: &str) {
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");
    assert!(error.report().contains(says), "{says}: {}", error.report());
}
