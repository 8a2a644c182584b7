//! Records to Avro bytes and back.
#![allow(missing_docs, reason = "criterion's macros make undocumented items")]

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use heartbeat_benches::tweet;
use heartbeat_core::{Record, Schema, Scores, Sentiment, Tweet};

fn codec(c: &mut Criterion) {
    let tweet = tweet(7868).value;
    let scores = Scores::new(0.15, 0.83, 0.02).expect("shares that sum to 1");
    let sentiment = Sentiment::new(tweet.clone(), scores);
    let foreign = Schema::parse(
        r#"{"type":"record","namespace":"heartbeat","name":"tweet","fields":[{"name":"time","type":"long"},
        {"name":"content","type":"string"},{"name":"task","type":"string"}]}"#,
    )
    .expect("the schema above parses");

    let mut group = c.benchmark_group("codec");
    group.throughput(Throughput::Elements(1));
    let codec = Tweet::codec();
    let datum = codec.encode(&tweet).expect("a tweet fits its schema");
    group.bench_function("tweet/encode", |b| b.iter(|| codec.encode(&tweet)));
    group.bench_function("tweet/decode", |b| {
        b.iter(|| codec.decode::<Tweet>(codec.schema(), &datum));
    });
    group.bench_function("tweet/decode and resolve", |b| {
        b.iter(|| codec.decode::<Tweet>(&foreign, &datum));
    });
    let codec = Sentiment::codec();
    let datum = codec
        .encode(&sentiment)
        .expect("a sentiment fits its schema");
    group.bench_function("sentiment/encode", |b| b.iter(|| codec.encode(&sentiment)));
    group.bench_function("sentiment/decode", |b| {
        b.iter(|| codec.decode::<Sentiment>(codec.schema(), &datum));
    });
    group.finish();
}

criterion_group!(benches, codec);
criterion_main!(benches);
