//! What the store does of what a server may answer, over a local double.
#![expect(clippy::unwrap_used, reason = "a test may stop where it stands")]

use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use flate2::read::GzDecoder;
use heartbeat_core::{
    Bus, Error, ErrorKind, Idle, Keyed, Output, Page, PointKey, Query, Sentiment, Stage,
    StageOptions, Store, TweetId, transfer,
};
use heartbeat_influx::{InfluxAdmin, InfluxConfig, InfluxStore};
use heartbeat_mock::MemoryBus;
use tempfile::NamedTempFile;
use wiremock::matchers::{header, method, path, query_param};
use wiremock::{Mock, MockServer, Request, Respond, ResponseTemplate};

const TOKEN: &str = "s3cret-token";

fn point(id: i64, task: &str) -> Keyed<Sentiment> {
    let (time, task, pos, neu, neg) = (1_652_073_462, task.to_owned(), 0.5, 0.5, 0.0);
    Keyed {
        id: TweetId(id),
        value: Sentiment {
            time,
            task,
            pos,
            neu,
            neg,
        },
    }
}

fn points(count: i64) -> Vec<Keyed<Sentiment>> {
    (0..count).map(|id| point(id, "t")).collect()
}

/// A server that answers writes by a function of their lines; an empty one, which only looks whether all is there, is good.
struct Double {
    server: MockServer,
    token: NamedTempFile,
}

struct Answers<F>(F);

impl<F: Fn(&[String]) -> ResponseTemplate + Send + Sync> Respond for Answers<F> {
    fn respond(&self, request: &Request) -> ResponseTemplate {
        match lines(request).as_slice() {
            [] => ResponseTemplate::new(204),
            lines => self.0(lines),
        }
    }
}

fn lines(request: &Request) -> Vec<String> {
    let mut text = String::new();
    GzDecoder::new(request.body.as_slice())
        .read_to_string(&mut text)
        .unwrap();
    text.lines().map(str::to_owned).collect()
}

fn told(status: u16, message: &str) -> ResponseTemplate {
    ResponseTemplate::new(status)
        .set_body_json(serde_json::json!({"code": "any", "message": message}))
}

impl Double {
    async fn new() -> Self {
        let token = NamedTempFile::new().unwrap();
        std::fs::write(&token, TOKEN).unwrap();
        let server = MockServer::start().await;
        Self { server, token }
    }

    async fn writes(
        answer: impl Fn(&[String]) -> ResponseTemplate + Send + Sync + 'static,
    ) -> Self {
        let double = Self::new().await;
        Mock::given(method("POST"))
            .and(path("/api/v2/write"))
            .and(query_param("org", "o"))
            .and(query_param("bucket", "b & c"))
            .and(query_param("precision", "ns"))
            .and(header("authorization", format!("Token {TOKEN}").as_str()))
            .and(header("content-encoding", "gzip"))
            .respond_with(Answers(answer))
            .mount(&double.server)
            .await;
        double
    }

    async fn queries(answer: ResponseTemplate) -> Self {
        let double = Self::writes(|_| ResponseTemplate::new(204)).await;
        let query = Mock::given(method("POST"))
            .and(path("/api/v2/query"))
            .and(query_param("org", "o"));
        query.respond_with(answer).mount(&double.server).await;
        double
    }

    fn config(&self) -> InfluxConfig {
        InfluxConfig {
            url: self.server.uri(),
            org: "o".to_owned(),
            bucket: "b & c".to_owned(),
            token_file: Some(self.token.path().to_owned()),
            timeout: Duration::from_millis(500),
            query_timeout: Duration::from_millis(500),
            ..InfluxConfig::default()
        }
    }

    async fn store(&self) -> InfluxStore {
        InfluxStore::open(self.config()).await.unwrap()
    }

    /// The lines of each write so far, but the first one's, which has none.
    async fn written(&self) -> Vec<Vec<String>> {
        let requests = self.server.received_requests().await.unwrap();
        let writes = requests
            .iter()
            .filter(|request| request.url.path() == "/api/v2/write");
        writes.map(lines).skip(1).collect()
    }
}

async fn write_error(
    answer: impl Fn(&[String]) -> ResponseTemplate + Send + Sync + 'static,
) -> Error {
    let double = Double::writes(answer).await;
    let error = double.store().await.write(&points(3)).await.unwrap_err();
    assert!(!format!("{error:?}").contains(TOKEN), "{error:?}");
    error
}

#[tokio::test]
async fn points_are_lines_in_few_compressed_requests() {
    let double = Double::writes(|_| ResponseTemplate::new(204)).await;
    let config = InfluxConfig {
        batch: 400.try_into().unwrap(),
        ..double.config()
    };
    let store = InfluxStore::open(config).await.unwrap();
    let points = points(1000);
    assert!(store.write(&points).await.unwrap().refused.is_empty());
    assert!(store.write(&[]).await.unwrap().refused.is_empty());
    let mut written = double.written().await;
    written.sort_by_key(|lines| std::cmp::Reverse(lines.len()));
    assert_eq!(
        written.iter().map(Vec::len).collect::<Vec<_>>(),
        [400, 400, 200]
    );
    assert_eq!(store.requests(), 3);
    let mut lines = written.concat();
    lines.sort_by_key(|line| {
        line.split("id=")
            .nth(1)
            .unwrap()
            .split('i')
            .next()
            .unwrap()
            .parse::<i64>()
            .unwrap()
    });
    assert_eq!(
        lines[7],
        "sentiment,task=t id=7i,neg=0,neu=0.5,pos=0.5 1652073462000000007"
    );
    assert_eq!(lines.len(), 1000);
}

#[tokio::test(flavor = "multi_thread")]
async fn so_many_requests_are_in_flight_and_no_more() {
    static IN_FLIGHT: AtomicUsize = AtomicUsize::new(0);
    let double = Double::writes(|_| {
        IN_FLIGHT.fetch_add(1, Relaxed);
        ResponseTemplate::new(204).set_delay(Duration::from_millis(100))
    })
    .await;
    let config = InfluxConfig {
        batch: 10.try_into().unwrap(),
        requests: 3.try_into().unwrap(),
        timeout: Duration::from_secs(10),
        ..double.config()
    };
    let store = InfluxStore::open(config).await.unwrap();
    let (points, started) = (points(120), Instant::now());
    let watch = async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        // The first ones, of which none is answered yet.
        IN_FLIGHT.load(Relaxed)
    };
    let (report, at_once) = tokio::join!(store.write(&points), watch);
    assert!(report.unwrap().refused.is_empty());
    assert_eq!(at_once, 3);
    assert!(
        started.elapsed() >= Duration::from_millis(400),
        "{:?}",
        started.elapsed()
    );
    assert_eq!(double.written().await.len(), 12);
}

#[tokio::test]
async fn what_may_pass_is_unavailable_with_the_time_the_server_asks_for() {
    for status in [408, 425, 429, 500, 502, 503, 504] {
        let error =
            write_error(move |_| told(status, "busy").append_header("Retry-After", "17")).await;
        assert!(error.is_retryable(), "{status}: {error:?}");
        assert_eq!(
            error.wait_before_retry(),
            Some(Duration::from_secs(17)),
            "{status}"
        );
    }
    let silent =
        write_error(|_| ResponseTemplate::new(204).set_delay(Duration::from_secs(3))).await;
    assert!(
        silent.is_retryable() && silent.to_string().contains("silent"),
        "{silent:?}"
    );
}

#[tokio::test]
async fn what_a_person_must_mend_is_misconfigured_and_says_what_to_do() {
    for (status, body, says) in [
        (
            401,
            r#"{"code":"unauthorized","message":"unauthorized access"}"#,
            "HEARTBEAT_INFLUX_TOKEN",
        ),
        (
            403,
            r#"{"code":"forbidden","message":"insufficient permissions for write"}"#,
            "insufficient permissions",
        ),
        (
            404,
            r#"{"code":"not found","message":"bucket \"b\" not found"}"#,
            "heartbeat influx setup",
        ),
        (
            404,
            r#"{"code":"not found","message":"organization name \"o\" not found"}"#,
            "no organization of this name",
        ),
        (
            404,
            "<html>nginx</html>",
            "does not answer as InfluxDB does",
        ),
        (
            401,
            "<html>please sign in</html>",
            "does not answer as InfluxDB does",
        ),
        (
            200,
            "<html>welcome</html>",
            "does not answer as InfluxDB does",
        ),
        (302, "", "does not answer as InfluxDB does"),
        (
            418,
            r#"{"code":"teapot","message":"short and stout"}"#,
            "short and stout",
        ),
    ] {
        let error = write_error(move |_| ResponseTemplate::new(status).set_body_string(body)).await;
        assert_eq!(
            error.kind(),
            ErrorKind::Misconfigured,
            "{status}: {error:?}"
        );
        assert!(error.report().contains(says), "{status}: {error:?}");
        assert!(error.to_string().contains("/api/v2/write"), "{error}");
    }
}

/// Refuses the lines of such ids and tells as InfluxDB 2 does: by prose and a count.
fn refusing(bad: &'static [i64]) -> impl Fn(&[String]) -> ResponseTemplate + Send + Sync {
    move |lines| {
        let is_bad = |line: &&String| bad.iter().any(|id| line.contains(&format!(" id={id}i,")));
        match lines.iter().filter(is_bad).count() {
            0 => ResponseTemplate::new(204),
            dropped => told(
                422,
                &format!("failure writing points to database: partial write: no dropped={dropped}"),
            ),
        }
    }
}

#[tokio::test]
async fn refused_points_are_found_and_the_others_sent_once_more() {
    let double = Double::writes(refusing(&[3, 70, 71, 499])).await;
    let store = double.store().await;
    let report = store.write(&points(500)).await.unwrap();
    let refused: Vec<usize> = report.refused.iter().map(|refused| refused.index).collect();
    assert_eq!(refused, [3, 70, 71, 499]);
    for refused in &report.refused {
        assert_eq!(refused.error.kind(), ErrorKind::Invalid);
        assert!(
            refused
                .error
                .to_string()
                .contains("partial write: no dropped=1"),
            "{refused:?}"
        );
    }
    // Only an answer without a refusal says that all of a request is stored.
    let written = double.written().await;
    assert_eq!(written.last().unwrap().len(), 496);
    assert_eq!(store.requests(), written.len() as u64);
    assert!(written.len() < 4 * 9, "{} requests", written.len());
}

#[tokio::test]
async fn a_server_that_takes_nothing_of_a_request_with_a_bad_line_gets_all_others() {
    // As InfluxDB 2 with lines that it cannot read, and InfluxDB 3.
    for body in [
        r#"{"code":"invalid","message":"unable to parse 'x'"}"#,
        r#"{"error":"partial write of line protocol occurred","data":[]}"#,
    ] {
        let double =
            Double::writes(
                move |lines| match lines.iter().any(|line| line.contains(" id=42i,")) {
                    true => ResponseTemplate::new(400).set_body_string(body),
                    false => ResponseTemplate::new(204),
                },
            )
            .await;
        let report = double.store().await.write(&points(100)).await.unwrap();
        assert_eq!(report.refused.len(), 1);
        assert_eq!(report.refused[0].index, 42);
        assert_eq!(double.written().await.last().unwrap().len(), 99);
    }
}

#[tokio::test]
async fn a_request_that_is_too_long_is_sent_in_pieces() {
    let double = Double::writes(|lines| match lines.len() > 30 || lines[0].len() > 200 {
        true => told(413, "too large"),
        false => ResponseTemplate::new(204),
    })
    .await;
    let store = double.store().await;
    assert!(store.write(&points(100)).await.unwrap().refused.is_empty());
    let stored: usize = double
        .written()
        .await
        .iter()
        .map(Vec::len)
        .filter(|lines| *lines <= 30)
        .sum();
    assert_eq!(stored, 100);
    // One that is too long by itself is nobody's fault but its own.
    let report = store.write(&[point(1, &"x".repeat(300))]).await.unwrap();
    assert!(
        report.refused[0].error.to_string().contains("too large"),
        "{report:?}"
    );
}

#[tokio::test]
async fn an_open_store_has_seen_its_bucket_and_one_may_read_only() {
    for (answer, opens) in [
        (told(401, "unauthorized access"), false),
        (told(404, "bucket \"b\" not found"), false),
        (ResponseTemplate::new(200).set_body_string("<html>"), false),
        (told(403, "insufficient permissions for write"), true),
        (ResponseTemplate::new(403).set_body_string("<html>"), false),
        (ResponseTemplate::new(204), true),
    ] {
        let double = Double::new().await;
        Mock::given(path("/api/v2/write"))
            .respond_with(answer.clone())
            .mount(&double.server)
            .await;
        let opened = InfluxStore::open(double.config()).await;
        assert_eq!(opened.is_ok(), opens, "{answer:?}: {opened:?}");
    }
}

#[tokio::test]
async fn nobody_listens_or_speaks_http() {
    let config = |port| InfluxConfig {
        url: format!("http://127.0.0.1:{port}"),
        ..InfluxConfig::default()
    };
    let token = NamedTempFile::new().unwrap();
    std::fs::write(&token, TOKEN).unwrap();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let grumbler = std::thread::spawn(move || {
        use std::io::Write;
        let (mut stream, _) = listener.accept().unwrap();
        stream.write_all(b"SSH-2.0-OpenSSH_9.2\r\n").unwrap();
    });
    // The grumbler first: then nobody listens there any more.
    for _ in 0..2 {
        let config = InfluxConfig {
            token_file: Some(token.path().to_owned()),
            ..config(port)
        };
        let error = InfluxStore::open(config).await.unwrap_err();
        assert!(error.is_retryable(), "{error:?}");
        assert!(error.report().contains("cannot be reached"), "{error:?}");
        assert!(!format!("{error:?}").contains(TOKEN), "{error:?}");
        assert!(error.advice().is_some());
    }
    grumbler.join().unwrap();
}

#[tokio::test]
async fn a_task_stands_beside_a_query_and_never_in_it() {
    let double = Double::queries(ResponseTemplate::new(200).set_body_string("\r\n")).await;
    let store = double.store().await;
    let task = "x\") |> drop() // \u{1F499}";
    let query = Query {
        task: Some(task.to_owned()),
        from: Some(0),
        to: Some(7),
    };
    let after = PointKey {
        time: 1,
        id: TweetId(i64::MIN),
        task: task.to_owned(),
    };
    let page = Page {
        after: Some(after),
        limit: 5,
    };
    assert!(store.read(&query, &page).await.unwrap().is_empty());
    assert!(
        store
            .summarize(&query, Duration::from_secs(60))
            .await
            .unwrap()
            .is_empty()
    );
    let requests = double.server.received_requests().await.unwrap();
    let queries: Vec<serde_json::Value> = requests
        .iter()
        .filter(|request| request.url.path() == "/api/v2/query")
        .map(|request| request.body_json().unwrap())
        .collect();
    assert!(queries.len() >= 2);
    for query in queries {
        assert!(
            !query["query"].as_str().unwrap().contains("drop"),
            "{query}"
        );
        assert!(
            query["extern"]
                .to_string()
                .contains(r#""value":"x\") |> drop() // 💙""#),
            "{query}"
        );
    }
}

#[tokio::test]
async fn answers_to_queries_that_are_none_are_errors() {
    for (answer, kind) in [
        (
            ResponseTemplate::new(200).set_body_string("<html>\r\n<b>a, b</b>"),
            ErrorKind::Misconfigured,
        ),
        (
            ResponseTemplate::new(200).set_body_string(",result,table,_time\r\n,,0,\r\n"),
            ErrorKind::Misconfigured,
        ),
        (
            ResponseTemplate::new(200).set_body_string("error,reference\r\nout of memory,897\r\n"),
            ErrorKind::Unavailable,
        ),
        (told(400, "compilation failed"), ErrorKind::Misconfigured),
        (told(401, "unauthorized"), ErrorKind::Misconfigured),
        (told(404, "could not find bucket"), ErrorKind::Misconfigured),
        (told(503, "busy"), ErrorKind::Unavailable),
        (
            ResponseTemplate::new(200).set_delay(Duration::from_secs(3)),
            ErrorKind::Unavailable,
        ),
    ] {
        let double = Double::queries(answer.clone()).await;
        let error = double
            .store()
            .await
            .read(&Query::default(), &Page::first(1))
            .await
            .unwrap_err();
        assert_eq!(error.kind(), kind, "{answer:?}: {error:?}");
        assert!(!format!("{error:?}").contains(TOKEN), "{error:?}");
    }
}

#[tokio::test]
async fn a_server_that_is_none_does_not_confuse_the_set_up() {
    for (answer, kind, says) in [
        (
            ResponseTemplate::new(200).set_body_string("<html>"),
            ErrorKind::Misconfigured,
            "does not answer as",
        ),
        (
            ResponseTemplate::new(404).set_body_string("<html>"),
            ErrorKind::Misconfigured,
            "does not answer as",
        ),
        (
            told(401, "unauthorized"),
            ErrorKind::Misconfigured,
            "access token",
        ),
        (
            told(404, "organization name \"o\" not found"),
            ErrorKind::Misconfigured,
            "no organization",
        ),
        (
            told(500, "internal"),
            ErrorKind::Unavailable,
            "out of order",
        ),
        (
            ResponseTemplate::new(200).set_body_string(r#"{"orgs":[]}"#),
            ErrorKind::Misconfigured,
            "no organization of this name",
        ),
        (
            ResponseTemplate::new(200).set_delay(Duration::from_secs(3)),
            ErrorKind::Unavailable,
            "silent",
        ),
    ] {
        let double = Double::new().await;
        Mock::given(path("/api/v2/orgs"))
            .respond_with(answer.clone())
            .mount(&double.server)
            .await;
        let error = InfluxAdmin::connect(double.config()).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{answer:?}: {error:?}");
        assert!(error.to_string().contains(says), "{answer:?}: {error}");
        assert!(!format!("{error:?}").contains(TOKEN), "{error:?}");
    }
}

#[tokio::test]
async fn the_token_is_nowhere_in_debug() {
    let double = Double::writes(|_| ResponseTemplate::new(204)).await;
    let store = double.store().await;
    assert!(!format!("{store:#?} {:#?}", double.config()).contains(TOKEN));
}

/// The stage waits as long as it is asked to and goes on; what is refused becomes a dead letter, and nothing is committed
/// for a store that is wrong.
#[tokio::test]
async fn a_stage_outlasts_a_busy_server_and_stops_for_a_wrong_one() {
    static CALLS: AtomicUsize = AtomicUsize::new(0);
    let double = Double::writes(|lines| match CALLS.fetch_add(1, Relaxed) {
        0 => told(429, "slow down").append_header("Retry-After", "1"),
        1 => told(503, "away"),
        2 => ResponseTemplate::new(204).set_delay(Duration::from_secs(2)),
        _ => refusing(&[5])(lines),
    })
    .await;
    let bus = MemoryBus::default();
    let mut options = StageOptions::new(Stage::Transfer);
    options.idle = Idle::AfterEmptyPolls(1);
    options.wait = Duration::from_millis(50);
    let outputs: Vec<Output> = (0..20)
        .map(|id| Output {
            topic: options.topics.sentiment.clone(),
            envelope: point(id, "t").to_envelope().unwrap(),
        })
        .collect();
    bus.publish(&outputs, None).await.unwrap();
    let started = Instant::now();
    let summary = transfer(&bus, Arc::new(double.store().await), &options)
        .await
        .unwrap();
    assert_eq!(
        (summary.written, summary.dead_letters, summary.retries),
        (19, 1, 3)
    );
    assert!(
        started.elapsed() >= Duration::from_secs(1),
        "{:?}",
        started.elapsed()
    );

    let wrong = Double::writes(|_| told(403, "insufficient permissions for write")).await;
    let mut options = options.clone();
    options.group = "another".to_owned();
    let error = transfer(&bus, Arc::new(wrong.store().await), &options)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Misconfigured);
    let lag = bus.lag(&options.topics.sentiment, "another").await.unwrap();
    assert_eq!(
        lag.iter().map(|partition| partition.messages).sum::<u64>(),
        20
    );
}
