//! What is asked of a server, and what it may answer.

use std::time::Duration;

use heartbeat_core::{ErrorKind, Page, PointKey, Query, Store, TweetId};
use wiremock::ResponseTemplate;

use crate::server::{Double, TOKEN, told};

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
