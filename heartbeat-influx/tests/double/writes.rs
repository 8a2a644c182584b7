//! Writes that go well, or well but for some points.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use heartbeat_core::{ErrorKind, Store};
use heartbeat_influx::{InfluxConfig, InfluxStore};
use wiremock::ResponseTemplate;

use crate::server::{Double, refusing, told};
use crate::{point, points};

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
