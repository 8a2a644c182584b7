//! A schema registry in memory, as far as heartbeat speaks to one.
//!
//! Ids rise from 1, a text has the same id under every subject, and every version is compatible.
//! Schemas are not found by GUID, as in registries before that was invented.

use std::collections::HashMap;
use std::sync::Mutex;

use serde_json::{Value, json};
use wiremock::matchers::any;
use wiremock::{Mock, MockServer, Request, Respond, ResponseTemplate};

/// Starts a registry, which lives as long as what is returned; its address is `uri()`.
pub(crate) async fn start() -> MockServer {
    let server = MockServer::start().await;
    let registry = Registry::default();
    Mock::given(any())
        .respond_with(registry)
        .mount(&server)
        .await;
    server
}

#[derive(Debug, Default)]
struct Registry(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// The schema of id 1 first.
    texts: Vec<String>,
    subjects: HashMap<String, Vec<usize>>,
}

impl Respond for Registry {
    fn respond(&self, request: &Request) -> ResponseTemplate {
        let mut state = self.0.lock().expect("no request panicked");
        let path: Vec<_> = request.url.path_segments().into_iter().flatten().collect();
        let schema = || {
            let body: Value = request.body_json().ok()?;
            Some(body.get("schema")?.as_str()?.to_owned())
        };
        match (request.method.as_str(), path.as_slice()) {
            ("GET", ["schemas", "types"]) => told(json!(["AVRO"])),
            ("GET", ["schemas", "ids", id]) => {
                let index = id.parse::<usize>().ok().and_then(|id| id.checked_sub(1));
                match index.and_then(|index| state.texts.get(index)) {
                    Some(text) => told(json!({ "schema": text })),
                    None => refused(404, 40403, "Schema not found"),
                }
            }
            ("POST", ["subjects", subject]) => match schema() {
                Some(text) => state.look_up(subject, &text),
                None => refused(422, 42201, "Invalid schema"),
            },
            ("POST", ["subjects", subject, "versions"]) => match schema() {
                Some(text) => state.register(subject, text),
                None => refused(422, 42201, "Invalid schema"),
            },
            ("POST", ["compatibility", "subjects", subject, "versions", "latest"]) => {
                if state.subjects.contains_key(*subject) {
                    told(json!({ "is_compatible": true, "messages": [] }))
                } else {
                    refused(404, 40401, "Subject not found")
                }
            }
            _ => refused(404, 404, "HTTP 404 Not Found"),
        }
    }
}

impl State {
    fn id(&self, text: &str) -> Option<usize> {
        let index = self.texts.iter().position(|known| known == text)?;
        Some(index + 1)
    }

    fn look_up(&self, subject: &str, text: &str) -> ResponseTemplate {
        let Some(versions) = self.subjects.get(subject) else {
            return refused(404, 40401, "Subject not found");
        };
        let id = self.id(text).filter(|id| versions.contains(id));
        let version = versions.iter().position(|known| Some(*known) == id);
        match (id, version) {
            (Some(id), Some(index)) => told(json!({
                "subject": subject, "version": index + 1, "id": id, "schema": text,
            })),
            _ => refused(404, 40403, "Schema not found"),
        }
    }

    fn register(&mut self, subject: &str, text: String) -> ResponseTemplate {
        let id = self.id(&text).unwrap_or_else(|| {
            self.texts.push(text);
            self.texts.len()
        });
        let versions = self.subjects.entry(subject.to_owned()).or_default();
        if !versions.contains(&id) {
            versions.push(id);
        }
        told(json!({ "id": id }))
    }
}

fn told(answer: Value) -> ResponseTemplate {
    answered(200, &answer)
}

fn refused(status: u16, code: u32, message: &str) -> ResponseTemplate {
    answered(status, &json!({ "error_code": code, "message": message }))
}

fn answered(status: u16, body: &Value) -> ResponseTemplate {
    let kind = "application/vnd.schemaregistry.v1+json";
    ResponseTemplate::new(status).set_body_raw(body.to_string(), kind)
}
