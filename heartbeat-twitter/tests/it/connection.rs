//! Having a connection, and having none.

use std::time::Duration;

use heartbeat_core::{ErrorKind, Source};
use heartbeat_twitter::TwitterSource;
use tokio::net::TcpListener;
use tokio::time::{Instant, timeout};

use crate::server::{Answer, Step, TOKEN, config, post, posts, refusal, send, wait};
use crate::{Given, X, read};

#[tokio::test]
async fn a_stream_that_breaks_goes_on_with_the_next_connection() {
    for end in [Step::Break, wait(0.0)] {
        let half = post(3)[..40].to_owned();
        let answers = [
            Answer::Stream(vec![posts(1..=2), send(half), wait(0.1), end.clone()]),
            Answer::Gzip(vec![posts(3..=4), wait(0.1), end]),
        ];
        assert_eq!(read(&X::new(answers).await).await.ids(), [1, 2, 3, 4]);
    }
}

#[tokio::test]
async fn a_network_that_fails_is_tried_a_quarter_of_a_second_later_each_time() {
    let x = X::new([]).await;
    let mut source = x.source().await;
    let address = x.config().base_url.replace("http://", "");
    drop(x);
    // From now on it hangs up.
    let listener = loop {
        match TcpListener::bind(&address).await {
            Ok(listener) => break listener,
            Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
        }
    };
    source.resume(None).await.unwrap();
    let reading = tokio::spawn(async move { source.next_batch(10).await });
    let mut times = Vec::new();
    while times.len() < 5 {
        drop(listener.accept().await.unwrap());
        times.push(Instant::now());
    }
    reading.abort();
    let waits = times
        .windows(2)
        .map(|pair| (pair[1] - pair[0]).as_secs_f64());
    for (index, wait) in waits.enumerate() {
        let shortest = 0.25 * (index + 1) as f64;
        assert!(
            (shortest - 0.02..shortest + 2.0).contains(&wait),
            "{wait}, not {shortest}"
        );
    }
}

#[tokio::test]
async fn what_a_person_must_mend_ends_the_source_with_what_to_do() {
    for (answer, says) in [
        (
            refusal(401, r#"{"title":"Unauthorized"}"#),
            "HEARTBEAT_TWITTER_TOKEN",
        ),
        (
            refusal(
                403,
                r#"{"title":"Client Forbidden","reason":"client-not-enrolled"}"#,
            ),
            "plan",
        ),
        (
            refusal(402, r#"{"title":"CreditsDepleted"}"#),
            "--source bluesky",
        ),
        (
            refusal(409, r#"{"title":"RuleConfigurationIssue"}"#),
            "heartbeat rules set",
        ),
        (refusal(200, ""), "nothing"),
        (
            Answer::Refusal(
                200,
                vec![("content-type", "text/html".into())],
                "<html>".into(),
            ),
            "base_url",
        ),
        (
            Answer::Stream(vec![send("{\"title\":\"UsageCapExceeded\"}\n"), wait(9.0)]),
            "developer portal",
        ),
    ] {
        let x = X::new([answer.clone()]).await;
        let error = Given::by(&mut x.source().await).await.error.unwrap();
        assert_eq!(error.kind(), ErrorKind::Misconfigured, "{error:?}");
        if says != "nothing" {
            assert!(
                error.advice().unwrap().contains(says),
                "{answer:?}: {error:?}"
            );
        }
        assert!(!format!("{error:?}").contains(TOKEN), "{error:?}");
    }
    let x = X::new([]).await;
    std::fs::write(x.dir.path().join("token"), "s3cret-and-wrong").unwrap();
    let error = TwitterSource::open(x.config()).await.unwrap_err();
    assert!(error.to_string().contains("does not accept"), "{error}");
    assert!(!format!("{error:?}").contains("s3cret"), "{error:?}");
    x.seen().rules.clear();
    std::fs::write(x.dir.path().join("token"), TOKEN).unwrap();
    let error = TwitterSource::open(x.config()).await.unwrap_err();
    assert!(
        error.advice().unwrap().contains("heartbeat rules set"),
        "{error:?}"
    );

    let config = config("http://127.0.0.1:9", &x.dir);
    // X is away: that is waited for as on the way.
    let mut source = TwitterSource::open(config).await.unwrap();
    source.resume(None).await.unwrap();
    let waits = timeout(Duration::from_millis(300), source.next_batch(1)).await;
    assert!(waits.is_err(), "{waits:?}");
}

/// The end of the process must not leave a connection that is in the next one's way.
#[tokio::test]
async fn a_source_that_is_dropped_lets_go_of_its_connection() {
    let x = X::new([Answer::Stream(vec![posts([1]), wait(1000.0)])]).await;
    let mut source = x.source().await;
    source.resume(None).await.unwrap();
    source.next_batch(10).await.unwrap().unwrap();
    let pending = timeout(Duration::from_millis(50), source.next_batch(10)).await;
    assert!(pending.is_err());
    drop(source);
}
