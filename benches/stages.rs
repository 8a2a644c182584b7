//! What the stages themselves cost: an analyzer and a source that take no time, on each bus.
#![allow(missing_docs, reason = "criterion's macros make undocumented items")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use heartbeat_benches::{Tweets, buses, runtime};
use heartbeat_core::{
    Bus, Idle, Stage, StageOptions, Store, Topic, Topics, analyze, ingest, transfer,
};
use heartbeat_mock::{FreeAnalyzer, MemoryStore};
use heartbeat_sqlite::{SqliteStore, SqliteStoreConfig};

/// Messages in one measurement.
const MESSAGES: i64 = 50_000;

fn options(stage: Stage, run: u64) -> StageOptions {
    let name = |topic: &str| Topic::new(&format!("{topic}-{run}")).expect("a legal name");
    let mut options = StageOptions::new(stage);
    options.topics = Topics {
        ingest: name("ingest"),
        sentiment: name("sentiment"),
    };
    options.wait = Duration::ZERO;
    options.idle = Idle::AfterEmptyPolls(1);
    options
}

/// Runs the stages one after the other and tells how long each took.
async fn run(bus: &dyn Bus, store: Arc<dyn Store>, run: u64) -> [Duration; 3] {
    let started = Instant::now();
    let mut source = Tweets::new(MESSAGES);
    let summary = ingest(&mut source, bus, &options(Stage::Ingest, run)).await;
    assert_eq!(summary.expect("ingests").written, MESSAGES as u64);
    let ingested = started.elapsed();

    let started = Instant::now();
    let summary = analyze(bus, Arc::new(FreeAnalyzer), &options(Stage::Analyze, run)).await;
    assert_eq!(summary.expect("analyzes").written, MESSAGES as u64);
    let analyzed = started.elapsed();

    let started = Instant::now();
    let summary = transfer(bus, store, &options(Stage::Transfer, run)).await;
    assert_eq!(summary.expect("transfers").written, MESSAGES as u64);
    [ingested, analyzed, started.elapsed()]
}

fn stages(c: &mut Criterion) {
    let runtime = runtime();
    let mut runs = 0;
    for (name, bus, file) in runtime.block_on(buses()) {
        let mut group = c.benchmark_group(format!("stages/{name}"));
        group.throughput(Throughput::Elements(MESSAGES as u64));
        for (index, stage) in Stage::ALL.into_iter().enumerate() {
            group.bench_function(stage.as_str(), |b| {
                b.iter_custom(|rounds| {
                    runtime.block_on(async {
                        let mut took = Duration::ZERO;
                        for _ in 0..rounds {
                            runs += 1;
                            let store: Arc<dyn Store> = match &file {
                                None => Arc::new(MemoryStore::new()),
                                Some(file) => {
                                    let config = SqliteStoreConfig {
                                        path: file.path().join(format!("points-{runs}.db")),
                                        ..SqliteStoreConfig::default()
                                    };
                                    Arc::new(SqliteStore::open(config).await.expect("opens"))
                                }
                            };
                            took += run(bus.as_ref(), store, runs).await[index];
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
