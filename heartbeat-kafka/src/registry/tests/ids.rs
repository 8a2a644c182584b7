//! From schemas to ids.

use wiremock::matchers::{body_json, header, headers, query_param};

use super::*;
use crate::registry::WriterSchema;

#[tokio::test]
async fn a_schema_is_registered_on_first_use_and_asked_for_once() {
    let server = double::start().await;
    let registry = client(&server);
    assert_eq!(registry.id_of(&topic("ingest"), tweet()).await.unwrap(), 1);
    assert_eq!(registry.id_of(&topic("ingest"), tweet()).await.unwrap(), 1);
    assert_eq!(
        asked(&server).await,
        [
            "POST /subjects/ingest-value",
            "POST /compatibility/subjects/ingest-value/versions/latest",
            "POST /subjects/ingest-value/versions",
        ]
    );

    // Another client finds it, and what is written can be read.
    let another = client(&server);
    assert_eq!(another.id_of(&topic("ingest"), tweet()).await.unwrap(), 1);
    assert_eq!(requests(&server).await, 4);
    let read = another.schema(&WriterSchema::Id(1)).await.unwrap();
    assert_eq!(read.as_ref(), Ok(tweet()));

    // Ids are kept by subject and text.
    assert_eq!(another.id_of(&topic("copy"), tweet()).await.unwrap(), 1);
    let id = another.id_of(&topic("ingest"), sentiment()).await.unwrap();
    assert_eq!(id, 2);
}

#[tokio::test]
async fn requests_are_as_the_registry_wants_them() {
    let server = MockServer::start().await;
    let kind = "application/vnd.schemaregistry.v1+json";
    let schema = json!({ "schema": tweet().text() });
    post("/apis/ccompat/v7/subjects/a-value")
        .and(header("content-type", kind))
        .and(headers("accept", vec![kind, "application/json"]))
        .and(body_json(&schema))
        .respond_with(refused(404, 40403, "no such schema"))
        .mount(&server)
        .await;
    post("/apis/ccompat/v7/compatibility/subjects/a-value/versions/latest")
        .and(query_param("verbose", "true"))
        .and(body_json(&schema))
        .respond_with(told(json!({ "is_compatible": true })))
        .mount(&server)
        .await;
    post("/apis/ccompat/v7/subjects/a-value/versions")
        .and(body_json(&schema))
        .respond_with(told(json!({ "id": 4_000_000_000_u32 })))
        .mount(&server)
        .await;
    for base in ["/apis/ccompat/v7", "/apis/ccompat/v7/"] {
        let registry = open(&config(server.uri() + base));
        let id = registry.id_of(&topic("a"), tweet()).await.unwrap();
        assert_eq!(id, 4_000_000_000);
    }
}

#[tokio::test]
async fn without_leave_to_register_a_schema_is_only_looked_up() {
    let server = double::start().await;
    let config = RegistryConfig {
        register: false,
        ..config(server.uri())
    };
    let registry = open(&config);
    let error = registry.id_of(&topic("a"), tweet()).await.unwrap_err();
    misconfigured(&error, "subject a-value");
    misconfigured(&error, "register = true");
    assert_eq!(asked(&server).await, ["POST /subjects/a-value"]);

    // That is not remembered: somebody registers it by hand.
    client(&server).id_of(&topic("a"), tweet()).await.unwrap();
    assert_eq!(registry.id_of(&topic("a"), tweet()).await.unwrap(), 1);
}

#[tokio::test]
async fn where_compatibility_does_not_matter_it_is_no_hindrance() {
    for (level, registered) in [("NONE", true), ("BACKWARD", false)] {
        let server = MockServer::start().await;
        post("/subjects/a-value")
            .respond_with(refused(404, 40403, "no such schema"))
            .mount(&server)
            .await;
        post("/compatibility/subjects/a-value/versions/latest")
            .respond_with(told(json!({ "is_compatible": false })))
            .mount(&server)
            .await;
        get("/config/a-value")
            .respond_with(told(json!({ "compatibilityLevel": level })))
            .mount(&server)
            .await;
        post("/subjects/a-value/versions")
            .respond_with(told(json!({ "id": 7 })))
            .mount(&server)
            .await;
        let id = client(&server).id_of(&topic("a"), tweet()).await;
        assert_eq!(id.ok(), registered.then_some(7), "{level}");
    }
}

#[tokio::test]
async fn what_is_not_compatible_is_told_and_not_registered() {
    let server = MockServer::start().await;
    post("/subjects/a-value")
        .respond_with(refused(404, 40403, "no such schema"))
        .mount(&server)
        .await;
    let difference = "READER_FIELD_MISSING_DEFAULT_VALUE at /fields/1";
    post("/compatibility/subjects/a-value/versions/latest")
        .respond_with(told(
            json!({ "is_compatible": false, "messages": [difference, "another"] }),
        ))
        .mount(&server)
        .await;
    post("/subjects/a-value/versions")
        .respond_with(told(json!({ "id": 1 })))
        .expect(0)
        .mount(&server)
        .await;
    let error = client(&server)
        .id_of(&topic("a"), tweet())
        .await
        .unwrap_err();
    misconfigured(&error, difference);
    misconfigured(&error, "subject a-value");
}

#[tokio::test]
async fn the_registry_may_refuse_a_schema_when_it_is_registered() {
    for (status, code, says) in [
        (409, 409, "not compatible with its subject's versions"),
        (422, 42201, "the registry does not take the schema"),
        (400, 40_000, "refuses a request"),
    ] {
        let server = MockServer::start().await;
        for at in [
            "/subjects/a-value",
            "/compatibility/subjects/a-value/versions/latest",
        ] {
            post(at)
                .respond_with(refused(404, 40401, "no such subject"))
                .mount(&server)
                .await;
        }
        post("/subjects/a-value/versions")
            .respond_with(refused(status, code, "its own words"))
            .mount(&server)
            .await;
        let error = client(&server)
            .id_of(&topic("a"), tweet())
            .await
            .unwrap_err();
        misconfigured(&error, says);
        misconfigured(&error, "its own words");
        misconfigured(&error, "subject a-value");
        assert_eq!(requests(&server).await, 3, "it is not tried again");
    }
}

#[tokio::test]
async fn a_dead_letter_keeps_the_id_it_was_read_with() {
    let server = MockServer::start().await;
    get("/schemas/ids/77")
        .respond_with(held(sentiment()))
        .mount(&server)
        .await;
    post("/subjects/ingest-value")
        .respond_with(told(json!({ "id": 5 })))
        .mount(&server)
        .await;
    let registry = client(&server);
    registry
        .schema(&WriterSchema::Id(77))
        .await
        .unwrap()
        .unwrap();
    let dead = topic("ingest").dead_letters();
    // By its text, not by where it lies in memory.
    let again = Schema::parse(sentiment().text()).unwrap();
    assert_eq!(registry.id_of(&dead, &again).await.unwrap(), 77);
    assert_eq!(requests(&server).await, 1);

    // Elsewhere it is looked up, and so is what was never read.
    assert_eq!(registry.id_of(&topic("ingest"), &again).await.unwrap(), 5);
    assert_eq!(registry.id_of(&dead, tweet()).await.unwrap(), 5);
    assert_eq!(
        asked(&server).await[1..],
        ["POST /subjects/ingest-value"; 2]
    );
}

#[tokio::test]
async fn callers_that_come_together_cause_one_request() {
    let server = MockServer::start().await;
    let slowly = told(json!({ "id": 5 })).set_delay(Duration::from_millis(50));
    post("/subjects/a-value")
        .respond_with(slowly)
        .mount(&server)
        .await;
    let registry = client(&server);
    let callers: Vec<_> = (0..8)
        .map(|_| {
            let registry = registry.clone();
            tokio::spawn(async move { registry.id_of(&topic("a"), tweet()).await })
        })
        .collect();
    for caller in callers {
        assert_eq!(caller.await.unwrap().unwrap(), 5);
    }
    assert_eq!(requests(&server).await, 1);
}
