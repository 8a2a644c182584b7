//! Servers that are busy, wrong or none.

use std::time::Duration;

use heartbeat_core::{Error, ErrorKind, Store};
use heartbeat_influx::{InfluxAdmin, InfluxConfig, InfluxStore};
use tempfile::NamedTempFile;
use wiremock::matchers::path;
use wiremock::{Mock, ResponseTemplate};

use crate::points;
use crate::server::{Double, TOKEN, told};

async fn write_error(
    answer: impl Fn(&[String]) -> ResponseTemplate + Send + Sync + 'static,
) -> Error {
    let double = Double::writes(answer).await;
    let error = double.store().await.write(&points(3)).await.unwrap_err();
    assert!(!format!("{error:?}").contains(TOKEN), "{error:?}");
    error
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
