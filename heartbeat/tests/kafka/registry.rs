//! The schema registry dies while stages need it, and comes back.

use std::time::Duration;

use heartbeat::{Bus, Codec, Envelope, Output, Payload, TweetId};
use serde::Serialize;
use serde_json::Value;
use testbed::Registry;

use crate::world::{Making, World};

const PATIENCE: Duration = Duration::from_secs(60);

/// As a newer program writes tweets.
const NEWER: &str = r#"{"type":"record","namespace":"heartbeat","name":"tweet","fields":[{"name":"time","type":"int"},{"name":"content","type":"string"},{"name":"task","type":"string"},{"name":"lang","type":"string","default":"en"}]}"#;

#[derive(Serialize)]
#[serde(rename = "tweet")]
struct Newer {
    time: i32,
    content: String,
    task: String,
    lang: String,
}

/// A tweet as a newer program writes it, under the schema's id.
fn newer(world: &World, id: i64, schema: u32) -> Output {
    let codec = Codec::new(NEWER).expect("a schema");
    let datum = codec.encode(&Newer {
        time: 1_652_073_462,
        content: format!("good news {id}"),
        task: "t".to_owned(),
        lang: "en".to_owned(),
    });
    let mut framed = vec![0];
    framed.extend(schema.to_be_bytes());
    framed.extend(datum.expect("it fits"));
    let payload = Payload::Raw {
        bytes: framed.into(),
        reason: String::new(),
    };
    Output {
        topic: world.topics.ingest.clone(),
        envelope: Envelope::new(TweetId(id).to_key().to_vec().into(), payload),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_that_dies_is_waited_for() {
    let brokers = testbed::shared_brokers().expect("the shared broker");
    let mut registry = Registry::start(Some(&brokers)).expect("a registry");
    let mut world = World::new(Making {
        registry: registry.url(),
        batch: 10,
        ..Making::shared()
    })
    .await;
    let schema = world.python().register(&world.topics.ingest, NEWER);
    let ingest = world.start("ingest", &["ingest"]);
    let transfer = world.start("transfer", &["transfer"]);
    let mut at_work = world.start("at-work", &["analyze"]);
    world.until_stored(100, PATIENCE).await;

    registry.kill().expect("killed");
    // A schema that those at work have not seen yet.
    let last = *world.ids.last().expect("tweets");
    let ids = last + 1..last + 101;
    let outputs: Vec<_> = ids.clone().map(|id| newer(&world, id, schema)).collect();
    world.bus.publish(&outputs, None).await.expect("published");
    world.ids.extend(ids);
    let mut late = world.start("late", &["analyze"]);
    for process in [&mut at_work, &mut late] {
        process
            .until_logged("Trying the schema registry again", PATIENCE)
            .await;
        process
            .until_logged("Trying again after a failure that may pass.", PATIENCE)
            .await;
        let log = process.logged();
        assert!(log.contains(&registry.url()), "which registry?\n{log}");
    }

    let mut stopped = world.start("stopped", &["analyze"]);
    stopped
        .until_logged("Trying again after a failure that may pass.", PATIENCE)
        .await;
    assert_eq!(stopped.stop().await, Value::Null, "it never began");

    registry.restart().expect("back again");
    world.until_stored(world.ids.len(), PATIENCE).await;
    for process in [&mut at_work, &mut late] {
        process.until_logged("Works again.", PATIENCE).await;
    }
    for process in [ingest, at_work, late, transfer] {
        process.stop().await;
    }
    world.assert_everything_arrived_once().await;
}
