//! A server that dies.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
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
    let mut server = start().await;
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
        server = restart(server).await;
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

/// InfluxDB loses what it acknowledges after a crash that tore its log, unless it is started twice: as it is here, and as the
/// README says.
#[tokio::test(flavor = "multi_thread")]
async fn a_torn_log_is_mended_by_starting_the_server_twice() {
    let mut server = start().await;
    let config = real::config(server.url());
    real::create(&config, None).await;
    let store = InfluxStore::open(config).await.unwrap();
    let points: Vec<_> = (0..200).map(|id| point(id, id as i32, "t")).collect();
    let (before, after) = points.split_at(100);

    store.write(before).await.unwrap();
    server.kill().unwrap();
    tear_log(server.data());
    server = restart(server).await;
    store.write(after).await.unwrap();
    server = restart(server).await;
    assert_eq!(all(&store).await.len(), 200);
    drop(server);
}

/// Leaves a log that ends in the midst of an entry.
fn tear_log(data: &Path) {
    let is_log = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "wal");
    let log = files(&data.join("engine/wal"))
        .into_iter()
        .find(is_log)
        .unwrap();
    let mut bytes = std::fs::read(&log).unwrap();
    bytes.extend_from_within(..60);
    std::fs::write(log, bytes).unwrap();
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(dir).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    paths
        .flat_map(|path| {
            if path.is_dir() {
                files(&path)
            } else {
                vec![path]
            }
        })
        .collect()
}

async fn start() -> Influx {
    let server = tokio::task::spawn_blocking(Influx::start).await;
    server.unwrap().unwrap()
}

async fn restart(mut server: Influx) -> Influx {
    let server = tokio::task::spawn_blocking(move || server.restart().map(|()| server)).await;
    server.unwrap().unwrap()
}
