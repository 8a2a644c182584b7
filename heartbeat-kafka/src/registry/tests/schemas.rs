//! From ids to schemas.

use super::*;
use crate::registry::WriterSchema;

const GUID: &str = "a0a1a2a3-a4a5-a6a7-a8a9-aaabacadaeaf";

fn guid() -> WriterSchema {
    WriterSchema::Guid(std::array::from_fn(|index| index as u8 + 0xa0))
}

#[tokio::test]
async fn a_schema_is_fetched_once_and_kept() {
    let server = MockServer::start().await;
    get("/schemas/ids/7")
        .respond_with(held(tweet()))
        .mount(&server)
        .await;
    let registry = client(&server);
    let seven = WriterSchema::Id(7);
    assert!(registry.cached(&seven).is_none());
    for _ in 0..3 {
        let read = registry.schema(&seven).await.unwrap();
        assert_eq!(read.as_ref(), Ok(tweet()));
    }
    assert_eq!(registry.cached(&seven).unwrap().as_ref(), Ok(tweet()));
    assert_eq!(requests(&server).await, 1);
}

#[tokio::test]
async fn a_missing_schema_is_a_reason_and_asked_for_again() {
    let server = MockServer::start().await;
    get("/schemas/ids/77")
        .respond_with(refused(404, 40403, "Schema 77 not found"))
        .up_to_n_times(1)
        .mount(&server)
        .await;
    get("/schemas/ids/77")
        .respond_with(held(tweet()))
        .with_priority(6)
        .mount(&server)
        .await;
    let registry = client(&server);
    let writer = WriterSchema::Id(77);
    let reason = registry.schema(&writer).await.unwrap().unwrap_err();
    assert_eq!(reason, "the registry has no schema 77");
    assert!(registry.cached(&writer).is_none());
    assert_eq!(
        registry.schema(&writer).await.unwrap().as_ref(),
        Ok(tweet())
    );
}

#[tokio::test]
async fn a_path_that_nobody_knows_is_not_a_missing_schema() {
    // As a wrong `url` answers: no message becomes a dead letter for that.
    let server = MockServer::start().await;
    get("/schemas/ids/77")
        .respond_with(refused(404, 404, "HTTP 404 Not Found"))
        .mount(&server)
        .await;
    let error = client(&server)
        .schema(&WriterSchema::Id(77))
        .await
        .unwrap_err();
    misconfigured(&error, "HTTP 404 Not Found");
    misconfigured(&error, "GET http://");
    misconfigured(&error, "/schemas/ids/77");
}

#[tokio::test]
async fn a_schema_is_found_by_guid_and_its_dead_letters_have_an_id() {
    let server = MockServer::start().await;
    get(&format!("/schemas/guids/{GUID}"))
        .respond_with(held(sentiment()))
        .mount(&server)
        .await;
    get(&format!("/schemas/guids/{GUID}/ids"))
        .respond_with(told(
            json!([{ "context": ".other", "id": 3 }, { "context": ".", "id": 9 }]),
        ))
        .mount(&server)
        .await;
    let registry = client(&server);
    let read = registry.schema(&guid()).await.unwrap();
    assert_eq!(read.as_ref(), Ok(sentiment()));
    let dead = topic("ingest").dead_letters();
    assert_eq!(registry.id_of(&dead, sentiment()).await.unwrap(), 9);
    assert!(registry.cached(&guid()).is_some());
    assert_eq!(requests(&server).await, 2);
}

#[tokio::test]
async fn an_older_registry_finds_no_schema_by_guid() {
    let server = double::start().await;
    let reason = client(&server).schema(&guid()).await.unwrap().unwrap_err();
    assert!(reason.contains(GUID), "{reason}");
    assert!(reason.contains("does not find schemas by GUID"), "{reason}");

    // One that has the schema and no list of its ids is good enough for reading.
    let server = MockServer::start().await;
    get(&format!("/schemas/guids/{GUID}"))
        .respond_with(held(tweet()))
        .mount(&server)
        .await;
    get(&format!("/schemas/guids/{GUID}/ids"))
        .respond_with(refused(404, 404, "HTTP 404 Not Found"))
        .mount(&server)
        .await;
    client(&server).schema(&guid()).await.unwrap().unwrap();
}

#[tokio::test]
async fn what_cannot_be_used_has_a_reason_and_is_kept() {
    let reference = json!([{ "name": "a", "subject": "a-value", "version": 1 }]);
    let long = format!(
        "{{\"type\":\"string\",\"doc\":\"{}\"}}",
        "x".repeat(2 << 20)
    );
    for (answer, says) in [
        (
            json!({ "schema": "syntax = \"proto3\";", "schemaType": "PROTOBUF" }),
            "schema 7 is not an Avro schema but of type PROTOBUF",
        ),
        (
            json!({ "schema": "{}", "schemaType": "JSON" }),
            "schema 7 is not an Avro schema but of type JSON",
        ),
        (
            json!({ "schema": tweet().text(), "references": reference }),
            "schema 7 refers to other schemas",
        ),
        (
            json!({ "schema": "{\"type\":\"recor\"}" }),
            "schema 7 cannot be read: not an Avro schema",
        ),
        (json!({ "schema": long }), "schema 7 is longer than 1 MiB"),
    ] {
        let server = MockServer::start().await;
        get("/schemas/ids/7")
            .respond_with(told(answer))
            .mount(&server)
            .await;
        let registry = client(&server);
        for _ in 0..2 {
            let reason = registry.schema(&WriterSchema::Id(7)).await;
            let reason = reason.unwrap().unwrap_err();
            assert!(reason.starts_with(says), "{says}: {reason}");
        }
        assert_eq!(requests(&server).await, 1);
    }
}

#[tokio::test]
async fn what_may_be_said_or_left_out_changes_nothing() {
    for answer in [
        json!({ "schema": tweet().text(), "schemaType": "AVRO", "references": [], "guid": GUID }),
        json!({ "schema": tweet().text(), "schemaType": null, "references": null }),
    ] {
        let server = MockServer::start().await;
        get("/schemas/ids/7")
            .respond_with(told(answer))
            .mount(&server)
            .await;
        let read = client(&server).schema(&WriterSchema::Id(7)).await.unwrap();
        assert_eq!(read.as_ref(), Ok(tweet()));
    }
}

#[tokio::test]
async fn a_large_schema_is_kept_and_the_cache_is_bounded() {
    let schemas = crate::registry::schemas();
    let text = format!(
        "{{\"type\":\"string\",\"doc\":\"{}\"}}",
        "x".repeat(1 << 20)
    );
    // However many processors there are: a part of it might not hold a large schema.
    assert_eq!(schemas.num_shards(), 1);
    let large = Schema::parse(&text).unwrap();
    schemas.insert(WriterSchema::Id(0), Ok(large));
    assert!(schemas.get(&WriterSchema::Id(0)).is_some());
    for id in 1..20_000 {
        schemas.insert(WriterSchema::Id(id), Err("no".to_owned()));
    }
    let kept = (0..20_000).filter(|id| schemas.get(&WriterSchema::Id(*id)).is_some());
    let kept = kept.count();
    assert!((1000..=11_000).contains(&kept), "{kept}");
}

#[tokio::test]
async fn a_caller_that_goes_away_leaves_the_others_their_answer() {
    let server = MockServer::start().await;
    let slowly = held(tweet()).set_delay(Duration::from_millis(50));
    get("/schemas/ids/7")
        .respond_with(slowly)
        .mount(&server)
        .await;
    let registry = client(&server);
    let seven = WriterSchema::Id(7);
    let soon = Duration::from_millis(10);
    let (gone, stays) = tokio::join!(
        tokio::time::timeout(soon, registry.schema(&seven)),
        registry.schema(&seven),
    );
    assert!(gone.is_err());
    assert_eq!(stays.unwrap().as_ref(), Ok(tweet()));
    // With nobody else there, the next one begins anew.
    let registry = client(&server);
    let gone = tokio::time::timeout(soon, registry.schema(&seven)).await;
    assert!(gone.is_err());
    assert_eq!(registry.schema(&seven).await.unwrap().as_ref(), Ok(tweet()));
}
