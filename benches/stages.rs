//! What the stages themselves cost: an analyzer and a source that take no time, on each bus.
#![allow(missing_docs, reason = "criterion's macros make undocumented items")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use heartbeat_benches::{BUSES, Tweets, bus, runtime};
use heartbeat_core::{Idle, Stage, StageOptions, Store, analyze, ingest, transfer};
use heartbeat_mock::{FreeAnalyzer, MemoryStore};
use heartbeat_sqlite::{SqliteStore, SqliteStoreConfig};
use tempfile::TempDir;

/// Messages in one measurement.
const MESSAGES: i64 = 50_000;

fn options(stage: Stage) -> StageOptions {
    let mut options = StageOptions::new(stage);
    options.wait = Duration::ZERO;
    options.idle = Idle::AfterEmptyPolls(1);
    options
}

/// A new, empty store: in the bus's folder, if it has one.
async fn store(folder: Option<&TempDir>) -> Arc<dyn Store> {
    let Some(folder) = folder else {
        return Arc::new(MemoryStore::new());
    };
    let config = SqliteStoreConfig {
        path: folder.path().join("points.db"),
        ..SqliteStoreConfig::default()
    };
    Arc::new(SqliteStore::open(config).await.expect("opens"))
}

/// Runs the stages one after the other and tells how long each took.
async fn run(name: &str) -> [Duration; 3] {
    let (bus, folder) = bus(name).await;
    let store = store(folder.as_ref()).await;

    let started = Instant::now();
    let mut source = Tweets::new(MESSAGES);
    let summary = ingest(&mut source, bus.as_ref(), &options(Stage::Ingest)).await;
    assert_eq!(summary.expect("ingests").written, MESSAGES as u64);
    let ingested = started.elapsed();

    let started = Instant::now();
    let analyzer = Arc::new(FreeAnalyzer);
    let summary = analyze(bus.as_ref(), analyzer, &options(Stage::Analyze)).await;
    assert_eq!(summary.expect("analyzes").written, MESSAGES as u64);
    let analyzed = started.elapsed();

    let started = Instant::now();
    let summary = transfer(bus.as_ref(), store, &options(Stage::Transfer)).await;
    assert_eq!(summary.expect("transfers").written, MESSAGES as u64);
    [ingested, analyzed, started.elapsed()]
}

fn stages(c: &mut Criterion) {
    let runtime = runtime();
    for name in BUSES {
        let mut group = c.benchmark_group(format!("stages/{name}"));
        group.throughput(Throughput::Elements(MESSAGES as u64));
        for (index, stage) in Stage::ALL.into_iter().enumerate() {
            group.bench_function(stage.as_str(), |b| {
                b.iter_custom(|rounds| {
                    runtime.block_on(async {
                        let mut took = Duration::ZERO;
                        for _ in 0..rounds {
                            took += run(name).await[index];
                        }
                        took
                    })
                });
            });
        }
        group.finish();
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(100))
        .measurement_time(Duration::from_secs(5));
    targets = stages
}
criterion_main!(benches);
