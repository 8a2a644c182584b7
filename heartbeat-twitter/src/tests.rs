//! Staying connected, by a clock that waits for nobody.
//!
//! Such a clock leaps as soon as nobody has anything to do, and a network may just be about to give somebody something: so here the
//! server is asked without one. `tests/it` has one.

#[allow(dead_code, reason = "the tests on a network use more of it")]
#[path = "../tests/it/server.rs"]
mod server;

use std::time::SystemTime;

use axum::Router;
use axum::body::Body;
use heartbeat_core::{Error, PostParser, Result, Source};
use reqwest::{RequestBuilder, Response};
use tokio::time::Instant;
use tower::ServiceExt;

use self::server::{Answer, Double, Step, TOKEN, post, posts, refusal, send, wait};
use crate::client::Client;
use crate::config::TwitterConfig;
use crate::settings::Settings;
use crate::source::TwitterSource;

/// The answer of a server to a request.
pub(crate) async fn answer(server: Router, request: RequestBuilder) -> Response {
    let request = request.bearer_auth(TOKEN).build().unwrap();
    let request: axum::http::Request<reqwest::Body> = request.try_into().unwrap();
    let response = server.oneshot(request.map(Body::new)).await.unwrap();
    let body = |body: Body| reqwest::Body::wrap_stream(body.into_data_stream());
    response.map(body).into()
}

async fn open(double: &Double, config: TwitterConfig) -> Result<TwitterSource> {
    let mut client = Client::new(&Settings::new(&config, None)?)?;
    client.server = Some(double.router.clone());
    TwitterSource::over(client, config, PostParser::new(None)?).await
}

/// What a source gave until it ended: ids of posts, and why it ended.
async fn read_with(double: &Double, config: TwitterConfig) -> (Vec<i64>, Option<Error>) {
    let mut source = open(double, config).await.unwrap();
    source.resume(None).await.unwrap();
    let mut ids = Vec::new();
    loop {
        match source.next_batch(1000).await {
            Ok(Some(batch)) => ids.extend(batch.tweets.iter().map(|tweet| tweet.id.0)),
            Ok(None) => return (ids, None),
            Err(error) => return (ids, Some(error)),
        }
    }
}

/// The ids until the token is no longer good.
async fn read(double: &Double) -> Vec<i64> {
    let (ids, error) = read_with(double, config(double)).await;
    let error = error.unwrap().to_string();
    assert!(
        error.contains("does not accept the access token"),
        "{error}"
    );
    ids
}

fn config(double: &Double) -> TwitterConfig {
    double.config("http://x.test")
}

const MANY: &str = r#"{"title":"ConnectionException","detail":"This stream is currently at the maximum allowed connection limit.","connection_issue":"TooManyConnections","type":"https://api.x.com/2/problems/streaming-connection"}"#;

/// The seconds from each connection to the next.
fn waits(double: &Double) -> Vec<f64> {
    let seen = double.seen();
    let times = seen.connections.windows(2);
    times
        .map(|pair| (pair[1].0 - pair[0].0).as_secs_f64())
        .collect()
}

#[track_caller]
fn assert_waits(double: &Double, expected: &[f64]) {
    let waits = waits(double);
    let are_near = waits
        .iter()
        .zip(expected)
        .all(|(wait, expected)| (wait - expected).abs() < 0.05);
    assert!(
        are_near && waits.len() == expected.len(),
        "{waits:?}, not {expected:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_breaks_is_connected_again_at_once() {
    for end in [Step::Break, send("")] {
        let half = post(3)[..40].to_owned();
        let double = Double::new([
            Answer::Stream(vec![posts(1..=2), send(half), end.clone()]),
            Answer::Stream(vec![posts(3..=4), end]),
        ]);
        assert_eq!(read(&double).await, [1, 2, 3, 4]);
        assert_waits(&double, &[0.0, 0.0]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_without_a_sign_of_life_is_given_up_after_a_little_more_than_20_seconds() {
    let alive = std::iter::repeat_n([wait(20.0), send("\r\n")], 30).flatten();
    let double = Double::new([
        Answer::Stream(
            std::iter::once(posts([1]))
                .chain(alive)
                .chain([posts([2]), wait(1000.0)])
                .collect(),
        ),
        Answer::Stream(vec![wait(1000.0)]),
        Answer::Stream(vec![posts([3])]),
    ]);
    assert_eq!(read(&double).await, [1, 2, 3]);
    // The second never gave anything: it is counted as a failure of the network.
    assert_waits(&double, &[600.0 + 21.0, 21.0 + 0.25, 0.0]);
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_is_slow_is_alive() {
    let bytes = post(1).into_bytes();
    let slow = bytes.iter().flat_map(|byte| [send([*byte]), wait(20.0)]);
    let double = Double::new([Answer::Stream(slow.collect())]);
    assert_eq!(read(&double).await, [1]);
    assert_waits(&double, &[20.0 * bytes.len() as f64]);
}

#[tokio::test(start_paused = true)]
async fn failures_of_x_are_waited_for_from_5_seconds_to_320() {
    let failures = [500, 502, 503, 504, 408, 503, 503, 503].map(|status| refusal(status, "<html>"));
    let answers = failures
        .into_iter()
        .chain([Answer::Stream(vec![posts([1])]), refusal(503, "")]);
    let double = Double::new(answers);
    assert_eq!(read(&double).await, [1]);
    // Once it has worked, it begins with the shortest again.
    assert_waits(
        &double,
        &[5.0, 10.0, 20.0, 40.0, 80.0, 160.0, 320.0, 320.0, 0.0, 5.0],
    );
}

#[tokio::test(start_paused = true)]
async fn a_limit_is_waited_for_from_a_minute_on_or_until_it_is_reset() {
    let in_seconds = |seconds: u64| {
        let now = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap();
        let reset = ("x-rate-limit-reset", (now.as_secs() + seconds).to_string());
        Answer::Refusal(
            429,
            vec![reset],
            r#"{"title":"Too Many Requests"}"#.to_owned(),
        )
    };
    let double = Double::new([
        refusal(429, ""),
        refusal(420, ""),
        in_seconds(700),
        in_seconds(1),
    ]);
    read(&double).await;
    let waits = waits(&double);
    assert!(
        (waits[0] - 60.0).abs() < 0.05 && (waits[1] - 120.0).abs() < 0.05,
        "{waits:?}"
    );
    assert!(
        (698.0..701.0).contains(&waits[2]) && (waits[3] - 480.0).abs() < 0.05,
        "{waits:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_is_left_over_is_ended_once() {
    let double = Double::new([
        refusal(429, MANY),
        refusal(429, MANY),
        refusal(429, MANY),
        Answer::Stream(vec![posts([1])]),
        refusal(429, MANY),
    ]);
    assert_eq!(read(&double).await, [1]);
    // Only the first time: whoever is connected now is alive.
    assert_eq!(double.seen().ended, 1);
    assert_waits(&double, &[0.0, 60.0, 120.0, 0.0, 60.0]);

    let held = std::iter::repeat_n([wait(20.0), send("\r\n")], 46)
        .flatten()
        .collect();
    let double = Double::new([refusal(429, MANY), Answer::Stream(held), refusal(429, MANY)]);
    read(&double).await;
    assert_eq!(double.seen().ended, 2);
}

#[tokio::test(start_paused = true)]
async fn what_x_says_on_the_stream_ends_the_connection() {
    let disconnect = r#"{"errors":[{"title":"operational-disconnect","disconnect_type":"UpstreamOperationalDisconnect","detail":"This stream has been disconnected upstream for operational reasons.","type":"https://api.x.com/2/problems/operational-disconnect"}]}"#;
    let double = Double::new([
        Answer::Stream(vec![
            posts([1]),
            send(format!("{disconnect}\r\n")),
            wait(1000.0),
        ]),
        Answer::Stream(vec![posts([2]), send(format!("{MANY}\r\n")), wait(1000.0)]),
        Answer::Stream(vec![posts([3])]),
    ]);
    assert_eq!(read(&double).await, [1, 2, 3]);
    assert_eq!(double.seen().ended, 1);
    assert_waits(&double, &[0.0, 0.0, 0.0]);

    // Without anything else it is no stream.
    let only = || Answer::Stream(vec![send(format!("{disconnect}\r\n")), wait(1000.0)]);
    let double = Double::new([only(), only(), Answer::Stream(vec![posts([1])]), only()]);
    assert_eq!(read(&double).await, [1]);
    assert_waits(&double, &[0.25, 0.5, 0.0, 0.25]);
}

#[tokio::test(start_paused = true)]
async fn what_was_missed_is_asked_for_where_the_plan_has_that() {
    let answers = || {
        [
            Answer::Stream(vec![posts([1]), wait(1000.0)]),
            refusal(503, ""),
            refusal(503, ""),
            refusal(503, ""),
            Answer::Stream(vec![posts([2])]),
        ]
    };
    let double = Double::new(answers());
    let mut config = config(&double);
    config.backfill_minutes = 5;
    assert_eq!(read_with(&double, config).await.0, [1, 2]);
    let minutes = |double: &Double| -> Vec<String> {
        let seen = double.seen();
        let pairs = |query: &str| {
            url::form_urlencoded::parse(query.as_bytes())
                .into_owned()
                .collect::<Vec<_>>()
        };
        let asked = |(_, query): &(Instant, String)| {
            let minutes = pairs(query)
                .into_iter()
                .find(|(name, _)| name == "backfill_minutes");
            minutes.map_or_else(|| "none".to_owned(), |(_, minutes)| minutes)
        };
        seen.connections.iter().map(asked).collect()
    };
    // The clock on the wall stands still here, so each is of the last minute.
    assert_eq!(minutes(&double), ["none", "1", "1", "1", "1", "1"]);
    let query = double.seen().connections[0].1.clone();
    assert!(
        query.contains("expansions=referenced_tweets.id") && query.contains("created_at"),
        "{query}"
    );

    let double = Double::new(answers());
    read(&double).await;
    assert_eq!(minutes(&double), ["none"; 6]);
}
