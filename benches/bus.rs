//! What each bus takes for a publish, a poll and a commit, one message and a thousand at a time.
#![allow(missing_docs, reason = "criterion's macros make undocumented items")]

use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use heartbeat_benches::{BUSES, runtime, tweet};
use heartbeat_core::{Bus, Max, Output, Subscription, Topic};

const SIZES: [usize; 2] = [1, 1000];

fn outputs(topic: &Topic, count: usize) -> Vec<Output> {
    (0..)
        .take(count)
        .map(|id| Output {
            topic: topic.clone(),
            envelope: tweet(id).to_envelope().expect("a tweet fits its schema"),
        })
        .collect()
}

/// Publishes, polls and commits `count` messages, and tells how long the step asked for took.
async fn round(
    bus: &dyn Bus,
    subscription: &mut dyn Subscription,
    inputs: &[Output],
    results: &[Output],
    step: &str,
) -> Duration {
    let started = Instant::now();
    bus.publish(inputs, None).await.expect("publishes");
    let published = started.elapsed();

    let max = Max {
        messages: inputs.len(),
        bytes: usize::MAX,
    };
    let started = Instant::now();
    let mut batch = subscription.poll(max, Duration::ZERO).await.expect("polls");
    while batch.messages.len() < inputs.len() {
        let wait = Duration::from_secs(1);
        batch.append(subscription.poll(max, wait).await.expect("polls"));
    }
    let polled = started.elapsed();

    let started = Instant::now();
    subscription
        .commit(&batch.checkpoint, results)
        .await
        .expect("commits");
    match step {
        "publish" => published,
        "poll" => polled,
        _ => started.elapsed(),
    }
}

fn bus(c: &mut Criterion) {
    let runtime = runtime();
    for name in BUSES {
        let (bus, _file) = runtime.block_on(heartbeat_benches::bus(name));
        let mut group = c.benchmark_group(format!("bus/{name}"));
        for size in SIZES {
            for step in ["publish", "poll", "commit"] {
                let topic = Topic::new(&format!("{step}-{size}")).expect("a legal name");
                let results = Topic::new(&format!("{step}-{size}-out")).expect("a legal name");
                let (inputs, results) = (outputs(&topic, size), outputs(&results, size));
                let mut subscription = runtime
                    .block_on(bus.subscribe(&topic, "bench"))
                    .expect("subscribes");
                group.throughput(Throughput::Elements(size as u64));
                group.bench_function(BenchmarkId::new(step, size), |b| {
                    b.iter_custom(|rounds| {
                        runtime.block_on(async {
                            let mut took = Duration::ZERO;
                            for _ in 0..rounds {
                                let subscription = subscription.as_mut();
                                took += round(bus.as_ref(), subscription, &inputs, &results, step)
                                    .await;
                            }
                            took
                        })
                    });
                });
            }
        }
        group.finish();
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2));
    targets = bus
}
criterion_main!(benches);
