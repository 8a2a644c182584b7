//! A server that does what X's documents say, and what a script wants.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::io::{self, Write};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, Response, StatusCode};
use axum::routing::{delete, get};
use flate2::Compression;
use flate2::write::GzEncoder;
use futures_util::stream;
use heartbeat_twitter::TwitterConfig;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

pub(crate) const TOKEN: &str = "s3cret-token";

/// What one connection to the stream gets.
#[derive(Debug, Clone)]
pub(crate) enum Answer {
    Stream(Vec<Step>),
    /// Compressed, each step by itself.
    Gzip(Vec<Step>),
    Refusal(u16, Vec<(&'static str, String)>, String),
}

/// What happens on a stream. Behind the last one it ends in good order.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    Send(Vec<u8>),
    Wait(Duration),
    /// The connection breaks.
    Break,
}

pub(crate) fn send(text: impl Into<Vec<u8>>) -> Step {
    Step::Send(text.into())
}

pub(crate) fn wait(seconds: f64) -> Step {
    Step::Wait(Duration::from_secs_f64(seconds))
}

pub(crate) fn refusal(status: u16, body: &str) -> Answer {
    Answer::Refusal(status, Vec::new(), body.to_owned())
}

/// The line of a post.
pub(crate) fn post(id: i64) -> String {
    post_of(id, &["T"])
}

pub(crate) fn post_of(id: i64, tags: &[&str]) -> String {
    let rules: Vec<Value> = tags
        .iter()
        .map(|tag| json!({"id": "1", "tag": tag}))
        .collect();
    let data = json!({
        "id": id.to_string(), "text": format!("post {id}"), "created_at": "2026-11-28T12:00:00.000Z",
        "edit_history_tweet_ids": [id.to_string()],
    });
    format!("{}\r\n", json!({"data": data, "matching_rules": rules}))
}

pub(crate) fn posts(ids: impl IntoIterator<Item = i64>) -> Step {
    send(ids.into_iter().map(post).collect::<String>())
}

/// What the server has seen and will do.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    answers: VecDeque<Answer>,
    /// When there were connections to the stream, and how they asked.
    pub(crate) connections: Vec<(Instant, String)>,
    /// How often all connections were ended.
    pub(crate) ended: usize,
    pub(crate) rules: Vec<Value>,
    /// The changes of rules that were asked for.
    pub(crate) changes: Vec<(String, Value)>,
}

/// The server, and a folder for what a source writes.
pub(crate) struct Double {
    pub(crate) router: Router,
    seen: Arc<Mutex<Seen>>,
    pub(crate) dir: TempDir,
}

impl Double {
    /// Answers one connection after the other. When there are no answers left, the token is no longer good.
    pub(crate) fn new(answers: impl IntoIterator<Item = Answer>) -> Self {
        let seen = Arc::new(Mutex::new(Seen {
            answers: answers.into_iter().collect(),
            rules: vec![json!({"id": "1", "value": "cat", "tag": "T"})],
            ..Seen::default()
        }));
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("token"), TOKEN).unwrap();
        let router = Router::new()
            .route("/2/tweets/search/stream", get(connect))
            .route("/2/tweets/search/stream/rules", get(list).post(change))
            .route("/2/connections/all", delete(end_all))
            .with_state(seen.clone());
        Self { router, seen, dir }
    }

    pub(crate) fn config(&self, url: &str) -> TwitterConfig {
        config(url, &self.dir)
    }

    pub(crate) fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap()
    }
}

pub(crate) fn config(url: &str, dir: &TempDir) -> TwitterConfig {
    let text = format!(
        "base_url = '{url}'\ntoken_file = '{0}/token'\nbudget.file = '{0}/spent.json'",
        dir.path().display()
    );
    toml::from_str(&text).unwrap()
}

type Shared = State<Arc<Mutex<Seen>>>;

fn json_answer(status: u16, body: &Value) -> Response<Body> {
    let answer = Response::builder()
        .status(status)
        .header("content-type", "application/json");
    answer.body(body.to_string().into()).unwrap()
}

fn is_known(headers: &HeaderMap) -> bool {
    headers
        .get("authorization")
        .is_some_and(|value| value == &format!("Bearer {TOKEN}"))
}

fn unknown() -> Response<Body> {
    json_answer(
        401,
        &json!({"title": "Unauthorized", "type": "about:blank", "status": 401, "detail": "Unauthorized"}),
    )
}

async fn connect(
    State(seen): Shared,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response<Body> {
    let answer = {
        let mut seen = seen.lock().unwrap();
        seen.connections
            .push((Instant::now(), query.unwrap_or_default()));
        seen.answers.pop_front()
    };
    let Some(answer) = answer.filter(|_| is_known(&headers)) else {
        return unknown();
    };
    let begun = Response::builder().header("content-type", "application/json; charset=utf-8");
    match answer {
        Answer::Stream(steps) => begun.body(body(steps)).unwrap(),
        Answer::Gzip(steps) => {
            assert!(
                headers["accept-encoding"]
                    .to_str()
                    .unwrap()
                    .contains("gzip")
            );
            begun
                .header("content-encoding", "gzip")
                .body(body(compressed(steps)))
                .unwrap()
        }
        Answer::Refusal(status, headers, body) => {
            let mut answer = Response::builder().status(StatusCode::from_u16(status).unwrap());
            for (name, value) in headers {
                answer = answer.header(name, value);
            }
            answer.body(body.into()).unwrap()
        }
    }
}

fn body(steps: Vec<Step>) -> Body {
    Body::from_stream(stream::unfold(VecDeque::from(steps), |mut steps| async {
        loop {
            match steps.pop_front()? {
                // It would be the end.
                Step::Send(bytes) if bytes.is_empty() => {}
                Step::Send(bytes) => return Some((Ok(Bytes::from(bytes)), steps)),
                Step::Wait(time) => sleep(time).await,
                Step::Break => {
                    // What was sent is on its way by then.
                    sleep(Duration::from_millis(10)).await;
                    return Some((Err(io::Error::other("broken")), steps));
                }
            }
        }
    }))
}

fn compressed(steps: Vec<Step>) -> Vec<Step> {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
    let compress = |step| match step {
        Step::Send(bytes) => {
            gzip.write_all(&bytes).unwrap();
            gzip.flush().unwrap();
            send(std::mem::take(gzip.get_mut()))
        }
        other => other,
    };
    steps.into_iter().map(compress).collect()
}

async fn end_all(State(seen): Shared) -> Response<Body> {
    seen.lock().unwrap().ended += 1;
    json_answer(
        200,
        &json!({"data": {"successful_kills": 1, "failed_kills": 0}}),
    )
}

async fn list(State(seen): Shared, headers: HeaderMap) -> Response<Body> {
    if !is_known(&headers) {
        return unknown();
    }
    let rules = seen.lock().unwrap().rules.clone();
    let mut answer =
        json!({"meta": {"sent": "2026-11-28T12:00:00.000Z", "result_count": rules.len()}});
    if !rules.is_empty() {
        answer["data"] = rules.into();
    }
    json_answer(200, &answer)
}

/// A value is there once; what has an odd number of brackets is none.
async fn change(
    State(seen): Shared,
    RawQuery(query): RawQuery,
    body: String,
) -> Result<Response<Body>, Infallible> {
    let (query, change): (String, Value) = (
        query.unwrap_or_default(),
        serde_json::from_str(&body).unwrap(),
    );
    let dry_run = query.contains("dry_run=true");
    let mut seen = seen.lock().unwrap();
    seen.changes.push((query, change.clone()));
    let mut rules = seen.rules.clone();
    let (mut created, mut errors) = (Vec::new(), Vec::new());
    for rule in change["add"].as_array().into_iter().flatten() {
        let value = rule["value"].as_str().unwrap();
        if value.matches('(').count() != value.matches(')').count() {
            errors.push(json!({
                "value": value, "details": ["no viable alternative at '<EOF>' (at position 5)"],
                "title": "Invalid Rule", "type": "https://api.x.com/2/problems/invalid-rules",
            }));
        } else if let Some(same) = rules.iter().find(|other| other["value"] == value) {
            errors.push(json!({
                "value": value, "id": same["id"], "title": "DuplicateRule",
                "type": "https://api.x.com/2/problems/duplicate-rules",
            }));
        } else {
            let mut rule = rule.clone();
            rule["id"] = format!("{}-{}", seen.changes.len(), rules.len()).into();
            rules.push(rule.clone());
            created.push(rule);
        }
    }
    let ids: Vec<&Value> = change["delete"]["ids"]
        .as_array()
        .into_iter()
        .flatten()
        .collect();
    rules.retain(|rule| !ids.contains(&&rule["id"]));
    if !dry_run {
        seen.rules = rules;
    }
    let status = if created.is_empty() && !errors.is_empty() {
        400
    } else {
        201
    };
    let mut answer = json!({"meta": {"sent": "now", "summary": {"created": created.len()}}});
    if !created.is_empty() {
        answer["data"] = created.into();
    }
    if !errors.is_empty() {
        answer["errors"] = errors.into();
    }
    Ok(json_answer(status, &answer))
}
