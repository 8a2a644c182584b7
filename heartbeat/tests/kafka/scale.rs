//! Processes of one stage come and go while it works.

use std::time::Duration;

use tokio::task::JoinSet;

use crate::world::{Making, World};

const PATIENCE: Duration = Duration::from_secs(120);

#[tokio::test(flavor = "multi_thread")]
async fn analyzers_come_and_go_and_every_tweet_is_scored_once() {
    let world = World::new(Making {
        batch: 8,
        ..Making::shared()
    })
    .await;
    let ingest = world.start("ingest", &["ingest"]);
    let transfer = world.start("transfer", &["transfer"]);
    let mut analyzers = Vec::new();
    for at_once in [1, 2, 4] {
        while analyzers.len() < at_once {
            let name = format!("analyze-{}", analyzers.len());
            analyzers.push(world.start(&name, &["analyze", "-v"]));
        }
        for analyzer in &mut analyzers {
            analyzer.until_logged("Committed a batch.", PATIENCE).await;
        }
    }
    world.until_stored(world.ids.len() / 2, PATIENCE).await;
    let last = analyzers.remove(0);
    let mut stopped = JoinSet::new();
    for analyzer in analyzers {
        stopped.spawn(analyzer.stop());
    }
    let mut done = stopped.join_all().await;
    let stored = world.stored().await.len();
    assert!(stored < world.ids.len(), "nothing is left for one alone");

    world.until_stored(world.ids.len(), PATIENCE).await;
    done.push(last.stop().await);
    let scored: Vec<u64> = done
        .iter()
        .map(|done| done["scored"].as_u64().expect("a number"))
        .collect();
    println!("scored by each: {scored:?}");
    assert!(scored.iter().all(|scored| *scored > 0), "{scored:?}");
    let total: u64 = scored.iter().sum();
    assert_eq!(
        total,
        world.ids.len() as u64,
        "{scored:?}\n{}",
        world.logs()
    );
    ingest.stop().await;
    transfer.stop().await;
    world.assert_everything_arrived_once().await;
}
