//! Three brokers, each of which is killed and comes back while the stages work.

use std::time::{Duration, Instant};

use testbed::{Kafka, KafkaOptions};

use crate::world::{Making, World};

const PATIENCE: Duration = Duration::from_secs(120);

#[tokio::test(flavor = "multi_thread")]
async fn each_broker_killed_in_turn_loses_and_doubles_nothing() {
    let mut kafka = Kafka::start(&KafkaOptions {
        brokers: 3,
        ..KafkaOptions::default()
    })
    .expect("three brokers");
    let world = World::new(Making {
        brokers: kafka.bootstrap(),
        replication: 3,
        batch: 15,
        ..Making::shared()
    })
    .await;
    let processes = [
        // The slowest, so that it is at work to the end.
        world.start("ingest", &["ingest", "--batch", "5"]),
        world.start("analyze", &["analyze"]),
        world.start("transfer", &["transfer"]),
    ];
    let part = world.ids.len() / 6;
    let started = Instant::now();
    for broker in 0..3 {
        world.until_stored(part * (2 * broker + 1), PATIENCE).await;
        let stored = world.stored().await.len();
        assert!(stored < world.ids.len(), "the work was over too soon");
        kafka.kill(broker).expect("killed");
        // It goes on without.
        world
            .until_stored(world.ids.len().min(stored + 200), PATIENCE)
            .await;
        kafka.restart(broker).expect("back again");
        println!(
            "broker {broker} killed at {stored}; back after {:.1?}",
            started.elapsed()
        );
    }
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
