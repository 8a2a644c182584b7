//! The three stages, each a process, under `kill -9`.

use std::env;
use std::time::Duration;

use tokio::time::sleep;

use crate::world::{Making, World, random};

const STAGES: [&str; 3] = ["ingest", "analyze", "transfer"];

/// A killed member's partitions and what it left half done wait for two or three seconds, so that many kills take long.
const MOST: u32 = 30;

/// How long the work may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

fn kills() -> u32 {
    let kills = env::var("HEARTBEAT_KILLS").map_or(5, |kills| {
        kills.parse().expect("HEARTBEAT_KILLS is a number")
    });
    kills.min(MOST)
}

#[tokio::test(flavor = "multi_thread")]
async fn three_processes_make_a_point_of_every_tweet() {
    let world = World::new(Making::shared()).await;
    let [ingest, analyze, transfer] = STAGES.map(|stage| world.start(stage, &[stage]));
    assert_eq!(
        ingest.end(PATIENCE).await["published"],
        world.ids.len(),
        "{}",
        world.logs()
    );
    world.until_stored(world.ids.len(), PATIENCE).await;
    assert_eq!(analyze.stop().await["scored"], world.ids.len());
    assert_eq!(transfer.stop().await["stored"], world.ids.len());
    world.assert_everything_arrived_once().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn processes_without_names_killed_at_any_moment_lose_and_double_nothing() {
    survives_kills(false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn processes_with_names_killed_at_any_moment_lose_and_double_nothing() {
    survives_kills(true).await;
}

async fn survives_kills(named: bool) {
    let world = World::new(Making {
        batch: 5,
        named,
        ..Making::shared()
    })
    .await;
    let mut processes = STAGES.map(|stage| world.start(stage, &[stage]));
    let mut at_work = 0;
    for _ in 0..kills() {
        sleep(Duration::from_millis(random(1200))).await;
        let victim = usize::try_from(random(STAGES.len() as u64)).expect("small");
        if world.stored().await.len() < world.ids.len() {
            at_work += 1;
        }
        // An `ingest` that is through with its file has ended by itself.
        processes[victim].kill();
        processes[victim] = world.start(STAGES[victim], &[STAGES[victim]]);
    }
    world.until_stored(world.ids.len(), PATIENCE).await;
    assert!(
        2 * at_work >= kills(),
        "the work was over too soon: {at_work}"
    );
    for process in processes {
        process.stop().await;
    }
    world.assert_everything_arrived_once().await;
}
