//! By itself: batches, a stream of single texts, latency at half load, and the tokenizer.

use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, SamplingMode, Throughput};

use crate::fixtures::{Fixtures, Texts};
use crate::latency;
use crate::ours::Ours;
use crate::protocol::Result;

pub(crate) fn run(fixtures: &Fixtures) -> Result<()> {
    let texts = Texts::read(&fixtures.model)?.texts;
    let model = fixtures
        .model
        .to_str()
        .ok_or("the model's path is not UTF-8")?;
    let mut criterion = Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_secs(3))
        .measurement_time(Duration::from_secs(20))
        .configure_from_args();
    for precision in ["fp32", "int8"] {
        let ours = Ours::open(model, precision)?;
        batches(&mut criterion, precision, &ours, &texts);
        if precision == "fp32" {
            latency::at_half_load(&ours, &texts)?;
            tokenizer(&mut criterion, &ours, &texts);
        }
    }
    criterion.final_summary();
    Ok(())
}

fn batches(criterion: &mut Criterion, precision: &str, ours: &Ours, texts: &[String]) {
    let mut group = criterion.benchmark_group(format!("speed/{precision}"));
    group.sampling_mode(SamplingMode::Flat);
    let borrowed: Vec<&str> = texts.iter().map(String::as_str).collect();
    for size in [1, 8, 32, 128] {
        group.throughput(Throughput::Elements(size as u64));
        group.bench_function(format!("batches of {size}"), |b| {
            let mut batches = borrowed.chunks_exact(size).cycle();
            b.iter(|| {
                batches
                    .next()
                    .map(|batch| ours.score(batch).expect("scores"))
            });
        });
    }
    group.throughput(Throughput::Elements(texts.len() as u64));
    group.bench_function("stream of single texts", |b| {
        b.iter(|| latency::stream(ours, texts).expect("scores"));
    });
    group.finish();
}

/// On one thread.
fn tokenizer(criterion: &mut Criterion, ours: &Ours, texts: &[String]) {
    let mut group = criterion.benchmark_group("speed");
    group.throughput(Throughput::Elements(texts.len() as u64));
    group.bench_function("tokenizer alone", |b| {
        b.iter(|| {
            for text in texts {
                black_box(ours.analyzer.tokenize(text).expect("tokens"));
            }
        });
    });
    group.finish();
}
