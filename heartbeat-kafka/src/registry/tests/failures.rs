//! What may pass, what cannot, and what is never shown.

use std::ffi::OsString;
use std::time::Instant;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use wiremock::matchers::{any, basic_auth, bearer_token};

use super::*;
use crate::registry::WriterSchema;

const SEVEN: WriterSchema = WriterSchema::Id(7);

/// A registry that always answers so.
async fn always(answer: ResponseTemplate) -> MockServer {
    let server = MockServer::start().await;
    Mock::given(any()).respond_with(answer).mount(&server).await;
    server
}

#[tokio::test]
async fn whatever_may_pass_is_tried_again() {
    for status in [408, 429, 500, 502, 503, 504] {
        let server = MockServer::start().await;
        Mock::given(any())
            .respond_with(ResponseTemplate::new(status))
            .up_to_n_times(2)
            .mount(&server)
            .await;
        get("/schemas/ids/7")
            .respond_with(held(tweet()))
            .with_priority(6)
            .mount(&server)
            .await;
        client(&server).schema(&SEVEN).await.unwrap().unwrap();
        assert_eq!(requests(&server).await, 3, "{status}");
    }
}

#[tokio::test]
async fn the_registry_says_how_long_to_wait() {
    let server = MockServer::start().await;
    Mock::given(any())
        .respond_with(ResponseTemplate::new(429).insert_header("retry-after", "1"))
        .up_to_n_times(1)
        .mount(&server)
        .await;
    get("/schemas/ids/7")
        .respond_with(held(tweet()))
        .with_priority(6)
        .mount(&server)
        .await;
    let waits = Waits {
        first: Duration::from_millis(2),
        ..Waits::default()
    };
    let registry = Registry::with(&config(server.uri()), |_| None, waits).unwrap();
    let start = Instant::now();
    registry.schema(&SEVEN).await.unwrap().unwrap();
    assert!(start.elapsed() >= Duration::from_secs(1));

    // Longer than it is tried here: the caller is told.
    let server = always(ResponseTemplate::new(503).insert_header("retry-after", "60")).await;
    let error = client(&server).schema(&SEVEN).await.unwrap_err();
    unavailable(&error, "status 503");
    assert_eq!(error.wait_before_retry(), Some(Duration::from_secs(60)));
    assert_eq!(requests(&server).await, 1);
}

#[tokio::test]
async fn a_registry_that_stays_down_is_unavailable_and_nothing_is_remembered() {
    let server = always(refused(503, 50003, "no leader\nyet")).await;
    let registry = client(&server);
    let error = registry.schema(&SEVEN).await.unwrap_err();
    unavailable(&error, "no leader\\nyet");
    unavailable(&error, &server.uri());
    assert!(requests(&server).await > 2);
    let error = registry.id_of(&topic("a"), tweet()).await.unwrap_err();
    unavailable(&error, "/subjects/a-value");

    server.reset().await;
    get("/schemas/ids/7")
        .respond_with(held(tweet()))
        .mount(&server)
        .await;
    post("/subjects/a-value")
        .respond_with(told(json!({ "id": 5 })))
        .mount(&server)
        .await;
    registry.schema(&SEVEN).await.unwrap().unwrap();
    assert_eq!(registry.id_of(&topic("a"), tweet()).await.unwrap(), 5);
}

#[tokio::test]
async fn a_registry_that_is_away_or_silent_is_unavailable() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = closed.local_addr().unwrap();
    drop(closed);
    let registry = open(&config(format!("http://{address}")));
    let error = registry.check().await.unwrap_err();
    unavailable(&error, "cannot be reached");
    unavailable(&error, &address.to_string());
    unavailable(&error, "refused");

    let server = always(held(tweet()).set_delay(Duration::from_secs(5))).await;
    let registry = open(&RegistryConfig {
        timeout: Duration::from_millis(30),
        ..config(server.uri())
    });
    let start = Instant::now();
    let error = registry.schema(&SEVEN).await.unwrap_err();
    unavailable(&error, "silent");
    assert!(start.elapsed() < Duration::from_secs(2));
}

#[tokio::test]
async fn credentials_are_sent_and_a_refusal_of_them_says_which() {
    let server = MockServer::start().await;
    let fine = || told(json!(["JSON", "AVRO"]));
    for mock in [
        get("/schemas/types").and(basic_auth("me", "s3cret")),
        get("/schemas/types").and(bearer_token("s3cret")),
    ] {
        mock.respond_with(fine()).mount(&server).await;
    }
    Mock::given(any())
        .respond_with(refused(401, 40101, "Unauthorized"))
        .with_priority(6)
        .mount(&server)
        .await;
    let user = RegistryConfig {
        username: Some("me".to_owned()),
        ..config(server.uri())
    };
    let none = config(server.uri());
    let (password, token) = ("HEARTBEAT_REGISTRY_PASSWORD", "HEARTBEAT_REGISTRY_TOKEN");
    for (config, variable, secret, hint) in [
        (&user, password, "s3cret", None),
        (&none, token, "s3cret", None),
        (
            &user,
            password,
            "wr0ng",
            Some("HEARTBEAT_REGISTRY_PASSWORD"),
        ),
        (&none, token, "wr0ng", Some("HEARTBEAT_REGISTRY_TOKEN")),
        (&none, "", "", Some("Set `username`")),
    ] {
        let given = |name: &str| (name == variable).then(|| OsString::from(secret));
        let registry = Registry::with(config, given, Waits::default()).unwrap();
        let before = requests(&server).await;
        match (registry.check().await, hint) {
            (Ok(()), None) => {}
            (Err(error), Some(hint)) => {
                misconfigured(&error, "refuses the credentials");
                misconfigured(&error, hint);
                let shown = format!("{error:?} {}", error.report());
                assert!(secret.is_empty() || !shown.contains(secret), "{shown}");
            }
            (other, _) => panic!("{variable} {secret}: {other:?}"),
        }
        assert_eq!(requests(&server).await, before + 1, "it is not tried again");
        let shown = format!("{registry:?} {config:?}");
        assert!(secret.is_empty() || !shown.contains(secret), "{shown}");
    }
    let forbidden = always(refused(403, 40301, "no access to this subject")).await;
    let error = client(&forbidden)
        .id_of(&topic("a"), tweet())
        .await
        .unwrap_err();
    misconfigured(&error, "no access to this subject");
}

#[tokio::test]
async fn a_page_for_people_is_shown_in_part() {
    let page = format!("<html>\n<h1>Please log in</h1>{}</html>", "x".repeat(9000));
    for status in [200, 404] {
        let server = always(ResponseTemplate::new(status).set_body_string(&page)).await;
        let error = client(&server).schema(&SEVEN).await.unwrap_err();
        misconfigured(&error, "<html>\\n<h1>Please log in</h1>");
        assert!(error.report().len() < 1500, "{}", error.report());
        assert_eq!(requests(&server).await, 1);
    }
    let server = always(ResponseTemplate::new(502).set_body_string(&page)).await;
    let error = client(&server).schema(&SEVEN).await.unwrap_err();
    unavailable(&error, "<html>\\n<h1>Please log in</h1>");
}

#[tokio::test]
async fn an_endless_answer_is_cut_off() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let _ = stream.read(&mut [0; 4096]).await;
        let mut sent = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await;
        while sent.is_ok() {
            sent = stream.write_all(&[b'x'; 1 << 16]).await;
        }
    });
    let registry = open(&RegistryConfig {
        timeout: Duration::from_secs(2),
        ..config(url)
    });
    misconfigured(&registry.check().await.unwrap_err(), "longer than 1 MiB");

    for status in [200, 400] {
        let body = "x".repeat(2 << 20);
        let server = always(ResponseTemplate::new(status).set_body_string(body)).await;
        let error = client(&server).check().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Misconfigured);
        assert!(error.report().len() < 1500, "{}", error.report());
    }
}

#[tokio::test]
async fn a_redirect_is_told_and_not_followed() {
    let elsewhere = double::start().await;
    let to = format!("{}/schemas/ids/7?token=s3cret", elsewhere.uri());
    let to = to.replace("http://", "http://me:s3cret@");
    let server = always(ResponseTemplate::new(307).insert_header("location", &*to)).await;
    let error = client(&server).schema(&SEVEN).await.unwrap_err();
    misconfigured(&error, &format!("to {}/schemas/ids/7)", elsewhere.uri()));
    assert!(!format!("{error:?}").contains("s3cret"), "{error:?}");
    assert_eq!(requests(&elsewhere).await, 0);

    let server = always(ResponseTemplate::new(302)).await;
    let error = client(&server).check().await.unwrap_err();
    misconfigured(&error, "to nowhere");
}

#[tokio::test]
async fn a_check_finds_what_is_no_registry_of_avro_schemas() {
    client(&double::start().await).check().await.unwrap();
    for (answer, says) in [
        (told(json!({ "hello": 1 })), "does not answer as"),
        (told(json!(["JSON"])), "schema types JSON"),
        (
            refused(404, 404, "HTTP 404 Not Found"),
            "HTTP 404 Not Found",
        ),
    ] {
        let server = always(answer).await;
        let error = client(&server).check().await.unwrap_err();
        misconfigured(&error, says);
    }
}
