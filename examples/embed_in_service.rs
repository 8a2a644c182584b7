//! Heartbeat inside a web service: it scores the posts it is sent, stores them, and tells the mood of a subject.
//!
//! ```sh
//! cargo run --example embed_in_service
//! curl -X POST localhost:3000/posts -H 'content-type: application/json' \
//!     -d '{"id": 1, "time": 1652073462, "task": "RU-UKR", "text": "We are absolutely loving this!"}'
//! curl localhost:3000/mood/RU-UKR
//! ```
#![allow(clippy::print_stdout, reason = "it says where it listens")]

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use heartbeat::sqlite::{SqliteStore, SqliteStoreConfig};
use heartbeat::vader::VaderAnalyzer;
use heartbeat::{
    Analyzer, Error, ErrorKind, Keyed, Query, Scores, Sentiment, Store, Tweet, TweetId,
};
use serde::{Deserialize, Serialize};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let store = SqliteStore::open(SqliteStoreConfig::default()).await?;
    let service = service(Arc::new(VaderAnalyzer::new()), Arc::new(store));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:3000").await?;
    println!("Listens on http://{}.", listener.local_addr()?);
    axum::serve(listener, service).await?;
    Ok(())
}

/// What the service works with: any analyzer and any store.
#[derive(Clone)]
struct Heart {
    analyzer: Arc<dyn Analyzer>,
    store: Arc<dyn Store>,
}

fn service(analyzer: Arc<dyn Analyzer>, store: Arc<dyn Store>) -> Router {
    Router::new()
        .route("/posts", post(score))
        .route("/mood/{task}", get(mood))
        .with_state(Heart { analyzer, store })
}

#[derive(Deserialize)]
struct Post {
    id: i64,
    time: i32,
    task: String,
    text: String,
}

/// Scores a post, stores it and tells its scores.
async fn score(State(heart): State<Heart>, Json(post): Json<Post>) -> Answer<Scores> {
    let scores = heart
        .analyzer
        .analyze(&[&post.text])
        .await
        .map_err(failed)?[0];
    let tweet = Tweet {
        time: post.time,
        content: post.text,
        task: post.task,
    };
    let point = Keyed {
        id: TweetId(post.id),
        value: Sentiment::new(tweet, scores),
    };
    let report = heart.store.write(&[point]).await.map_err(failed)?;
    match report.refused.into_iter().next() {
        Some(refused) => Err(failed(refused.error)),
        None => Ok(Json(scores)),
    }
}

#[derive(Debug, Serialize, Deserialize)]
struct Hour {
    start: i64,
    count: u64,
    net: f64,
}

/// The mood of a subject, hour by hour.
async fn mood(State(heart): State<Heart>, Path(task): Path<String>) -> Answer<Vec<Hour>> {
    let query = Query {
        task: Some(task),
        ..Query::default()
    };
    let hour = Duration::from_secs(3600);
    let buckets = heart.store.summarize(&query, hour).await.map_err(failed)?;
    let hours = buckets.into_iter().map(|bucket| Hour {
        start: bucket.start,
        count: bucket.count,
        net: bucket.pos - bucket.neg,
    });
    Ok(Json(hours.collect()))
}

type Answer<T> = Result<Json<T>, (StatusCode, String)>;

/// The error's kind decides what the caller is told.
fn failed(error: Error) -> (StatusCode, String) {
    let status = match error.kind() {
        ErrorKind::Invalid => StatusCode::UNPROCESSABLE_ENTITY,
        ErrorKind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    };
    (status, error.report())
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::{Body, to_bytes};
    use axum::http::Request;
    use heartbeat::Label;
    use tower::ServiceExt;

    async fn call(service: &Router, request: Request<Body>) -> (StatusCode, Vec<u8>) {
        let answer = service.clone().oneshot(request).await.unwrap();
        let status = answer.status();
        let body = to_bytes(answer.into_body(), 1 << 20).await.unwrap();
        (status, body.to_vec())
    }

    fn post(text: &str, task: &str, id: i64) -> Request<Body> {
        let body = serde_json::json!({"id": id, "time": 1_652_073_462, "task": task, "text": text});
        Request::post("/posts")
            .header("content-type", "application/json")
            .body(Body::from(body.to_string()))
            .unwrap()
    }

    #[tokio::test]
    async fn posts_are_scored_stored_and_summed_up() {
        let folder = tempfile::tempdir().unwrap();
        let config = SqliteStoreConfig {
            path: folder.path().join("heartbeat.db"),
            ..SqliteStoreConfig::default()
        };
        let store = SqliteStore::open(config).await.unwrap();
        let service = service(Arc::new(VaderAnalyzer::new()), Arc::new(store));

        let texts = [
            "We are absolutely loving this!",
            "This is terrible",
            "It is what it is",
        ];
        let mut labels = Vec::new();
        for (id, text) in (1..).zip(texts) {
            let (status, body) = call(&service, post(text, "RU-UKR", id)).await;
            assert_eq!(status, StatusCode::OK);
            labels.push(serde_json::from_slice::<Scores>(&body).unwrap().label);
        }
        assert_eq!(labels, [Label::Positive, Label::Negative, Label::Neutral]);
        let (status, body) = call(&service, post("fine", "", 9)).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{body:?}");

        let request = Request::get("/mood/RU-UKR").body(Body::empty()).unwrap();
        let (status, body) = call(&service, request).await;
        assert_eq!(status, StatusCode::OK);
        let hours: Vec<Hour> = serde_json::from_slice(&body).unwrap();
        assert_eq!((hours.len(), hours[0].count), (1, 3), "{hours:?}");
    }
}
