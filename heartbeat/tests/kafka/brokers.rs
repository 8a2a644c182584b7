//! Three brokers, each of which is killed and comes back while the stages work.

use std::time::{Duration, Instant};

use testbed::{Kafka, KafkaOptions};

use crate::world::{Making, World};

const PATIENCE: Duration = Duration::from_secs(120);

/// So many tweets are there for each broker's death,
const PART: usize = 1000;

/// and so many of them are on their way when it comes.
const IN_FLIGHT: usize = 700;

#[tokio::test(flavor = "multi_thread")]
async fn each_broker_killed_in_turn_loses_and_doubles_nothing() {
    let mut kafka = Kafka::start(&KafkaOptions {
        brokers: 3,
        ..KafkaOptions::default()
    })
    .expect("three brokers");
    let mut world = World::new(Making {
        brokers: kafka.bootstrap(),
        replication: 3,
        batch: 15,
        fed: true,
        ..Making::shared()
    })
    .await;
    let processes = ["analyze", "transfer"].map(|stage| world.start(stage, &[stage]));
    let started = Instant::now();
    let mut fed = 0;
    for broker in 0..3 {
        world.feed(PART);
        fed += PART;
        // The slowest, so that there is work to the end.
        let ingest = world.start("ingest", &["ingest", "--batch", "5"]);
        world.until_stored(fed - IN_FLIGHT, PATIENCE).await;
        let stored = world.stored().await.len();
        assert!(stored < fed, "nothing is in flight");
        kafka.kill(broker).expect("killed");
        // It goes on without.
        world.until_stored(fed, PATIENCE).await;
        ingest.end(PATIENCE).await;
        kafka.restart(broker).expect("back again");
        println!(
            "broker {broker} killed at {stored}; back after {:.1?}",
            started.elapsed()
        );
    }
    world.feed(usize::MAX);
    world.start("ingest", &["ingest"]).end(PATIENCE).await;
    world.until_stored(world.ids.len(), PATIENCE).await;
    println!("all stored after {:.1?}", started.elapsed());
    for process in processes {
        process.stop().await;
    }
    let logs = world.logs();
    for said in [
        "Trying again after a failure that may pass.",
        "Works again.",
    ] {
        assert!(logs.contains(said), "nobody says {said:?}\n{logs}");
    }
    world.assert_everything_arrived_once().await;
}
