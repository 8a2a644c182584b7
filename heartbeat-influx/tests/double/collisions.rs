//! What a server tells of those who are at the places of tweets, or does not tell.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use heartbeat_core::Store;
use heartbeat_influx::{InfluxConfig, InfluxStore};
use wiremock::matchers::path;
use wiremock::{Mock, Request, ResponseTemplate};

use crate::server::{Double, told};
use crate::{point, points};

#[tokio::test]
async fn a_write_goes_on_where_nobody_tells_who_is_there() {
    for answer in [
        ResponseTemplate::new(404),
        told(403, "insufficient permissions"),
        told(503, "busy"),
        ResponseTemplate::new(200).set_body_string("<html>"),
        ResponseTemplate::new(200).set_delay(Duration::from_secs(3)),
    ] {
        let store = Double::queries(answer.clone()).await.store().await;
        assert!(store.write(&points(3)).await.unwrap().refused.is_empty());
        assert_eq!(store.unchecked(), 3, "{answer:?}");
        // Those that it stored itself it knows, though.
        let report = store.write(&[point(1_000_000_002, "t")]).await.unwrap();
        assert_eq!(
            (report.refused.len(), store.collisions()),
            (1, 1),
            "{answer:?}"
        );
    }
}

#[tokio::test]
async fn ids_of_x_need_no_question() {
    let double = Double::queries(ResponseTemplate::new(503)).await;
    let store = double.store().await;
    let id = (1_652_073_462_000 - 1_288_834_974_657) << 22;
    store
        .write(&[point(id, "t"), point(id + 1, "t")])
        .await
        .unwrap();
    store.close().await.unwrap();
    assert_eq!(store.unchecked(), 0);
}

/// Another process stores a tweet after this one has asked: it is found by the next write that is late enough.
#[tokio::test]
async fn a_tweet_that_is_replaced_is_counted_by_a_later_write() {
    static REPLACED: AtomicBool = AtomicBool::new(false);
    let double = Double::writes(|_| ResponseTemplate::new(204)).await;
    let answer = |request: &Request| {
        let body: serde_json::Value = request.body_json().unwrap();
        let is_count = body["query"].as_str().unwrap().contains("count");
        let csv = match (REPLACED.load(Relaxed), is_count) {
            (false, _) => "\r\n",
            (true, true) => ",result,table,_value\r\n,,0,1\r\n",
            (true, false) => {
                ",result,table,_time,_value,task\r\n,,0,2022-05-09T05:17:42.000000001Z,1000000001,t\r\n"
            }
        };
        ResponseTemplate::new(200).set_body_string(csv)
    };
    Mock::given(path("/api/v2/query"))
        .respond_with(answer)
        .mount(&double.server)
        .await;
    let config = InfluxConfig {
        timeout: Duration::from_millis(200),
        ..double.config()
    };
    let store = InfluxStore::open(config).await.unwrap();
    store.write(&points(3)).await.unwrap();
    REPLACED.store(true, Relaxed);
    tokio::time::sleep(Duration::from_millis(500)).await;
    store.write(&[]).await.unwrap();
    assert_eq!(store.collisions(), 1);
    // It is known from now on who is there.
    let report = store.write(&[point(1, "t")]).await.unwrap();
    let text = report.refused[0].error.to_string();
    assert!(text.contains("other 1000000001,"), "{text}");
    assert_eq!((store.collisions(), store.unchecked()), (2, 0));
}
