//! A server that dies.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use heartbeat_core::{Query, Store};
use heartbeat_influx::InfluxStore;
use testbed::Influx;

use crate::{all, point, real};

/// What was acknowledged is there, whenever the server dies.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_outlives_the_server() {
    let mut server = tokio::task::spawn_blocking(Influx::start)
        .await
        .unwrap()
        .unwrap();
    let mut config = real::config(server.url());
    config.timeout = Duration::from_secs(2);
    real::create(&config, None).await;
    let store = Arc::new(InfluxStore::open(config).await.unwrap());

    let done = Arc::new(AtomicBool::new(false));
    let writer = tokio::spawn({
        let (store, done) = (store.clone(), done.clone());
        async move {
            let (mut acknowledged, mut next) = (0, 0);
            while !done.load(Relaxed) {
                let batch: Vec<_> = (next..next + 500)
                    .map(|id| point(id, id as i32 / 100, "t"))
                    .collect();
                next += 500;
                match store.write(&batch).await {
                    Ok(report) => {
                        assert!(report.refused.is_empty());
                        acknowledged = next;
                    }
                    Err(error) => {
                        assert!(error.is_retryable(), "{error:?}");
                        // The same again, as the stage does.
                        next -= 500;
                        tokio::time::sleep(Duration::from_millis(20)).await;
                    }
                }
            }
            acknowledged
        }
    });
    for round in 0..4 {
        tokio::time::sleep(Duration::from_millis(300 + 150 * round)).await;
        server = tokio::task::spawn_blocking(move || {
            server.kill().unwrap();
            server.restart().unwrap();
            server
        })
        .await
        .unwrap();
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    done.store(true, Relaxed);
    let acknowledged = writer.await.unwrap();
    assert!(acknowledged > 2000, "only {acknowledged} were written");

    let stored = all(store.as_ref()).await;
    let ids: BTreeSet<i64> = stored.iter().map(|point| point.id.0).collect();
    assert_eq!(ids.len(), stored.len(), "some are there twice");
    assert!(
        (0..acknowledged).all(|id| ids.contains(&id)),
        "some are lost"
    );
    let windows = store
        .summarize(&Query::default(), Duration::from_secs(86_400))
        .await
        .unwrap();
    assert_eq!(
        windows.iter().map(|window| window.count).sum::<u64>(),
        stored.len() as u64
    );
}
