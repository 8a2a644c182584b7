//! Programs in Python, with Confluent's client, write what heartbeat reads and read what it writes.

use std::collections::BTreeMap;
use std::time::Duration;

use heartbeat::vader::VaderAnalyzer;
use heartbeat::{Analyzer, JsonlConfig, JsonlSource, Keyed, Sentiment, Source, Tweet};
use serde_json::{Map, Value, json};

use crate::python::{SENTIMENT, TWEET};
use crate::world::{Making, World};

const PATIENCE: Duration = Duration::from_secs(60);

/// The tweets of the world's source.
async fn tweets(world: &World) -> Vec<Keyed<Tweet>> {
    let mut source = JsonlSource::open(JsonlConfig::new(world.folder.path().join("tweets.jsonl")))
        .expect("the tweets");
    source.resume(None).await.expect("the beginning");
    let mut tweets = Vec::new();
    while let Some(batch) = source.next_batch(1000).await.expect("tweets") {
        tweets.extend(batch.tweets);
    }
    assert_eq!(tweets.len(), world.ids.len());
    tweets
}

/// What Python has read, by the number in its 8 bytes of key.
fn by_id(read: &[Value]) -> BTreeMap<i64, &Value> {
    let key = |message: &Value| {
        let key = message["key"].as_str().expect("a key");
        assert_eq!(key.len(), 16, "{message}");
        i64::from_str_radix(key, 16).expect("hexadecimal")
    };
    let by_id: BTreeMap<i64, &Value> = read
        .iter()
        .map(|message| (key(message), &message["value"]))
        .collect();
    assert_eq!(by_id.len(), read.len(), "a key is there twice");
    by_id
}

#[tokio::test(flavor = "multi_thread")]
async fn python_writes_tweets_and_reads_their_sentiments() {
    let world = World::new(Making::shared()).await;
    let mut tweets = tweets(&world).await;
    tweets.truncate(300);
    // Every other one has an id that takes 8 bytes.
    for tweet in tweets.iter_mut().step_by(2) {
        tweet.id.0 += 1 << 40;
    }
    let lines = tweets.iter().map(|tweet| {
        let width = if tweet.id.0 < 1 << 31 { 4 } else { 8 };
        let Tweet {
            time,
            content,
            task,
        } = &tweet.value;
        json!({"key": tweet.id.0, "width": width, "value": {"time": time, "content": content, "task": task}})
    });
    let lines: Vec<_> = lines.collect();
    let python = world.python();
    let ingest = world.topics.ingest.as_str();
    python.run(&["write", ingest, TWEET.trim_end()], &lines);

    let analyze = world.start("analyze", &["analyze", "--until-idle"]);
    let done = analyze.end(PATIENCE).await;
    assert_eq!(done["scored"], tweets.len(), "{}", world.logs());
    assert_eq!(done["dead_letters"], 0, "{}", world.logs());

    let sentiment = world.topics.sentiment.as_str();
    let count = tweets.len().to_string();
    let read = python.run(&["read", sentiment, SENTIMENT.trim_end(), &count], &[]);
    let by_id = by_id(&read);
    let texts: Vec<&str> = tweets.iter().map(|it| it.value.content.as_str()).collect();
    let scores = VaderAnalyzer::new().analyze(&texts).await.expect("scores");
    for (tweet, scores) in tweets.into_iter().zip(scores) {
        let expected = Sentiment::new(tweet.value, scores);
        let read = by_id.get(&tweet.id.0).expect("its sentiment");
        assert_eq!(read.as_object().map(Map::len), Some(5), "{read}");
        let read: Sentiment = serde_json::from_value((*read).clone()).expect("a sentiment");
        assert_eq!(read, expected, "tweet {}", tweet.id);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn python_reads_what_is_ingested() {
    let world = World::new(Making::shared()).await;
    let ingest = world.start("ingest", &["ingest"]).end(PATIENCE).await;
    assert_eq!(ingest["published"], world.ids.len(), "{}", world.logs());

    let topic = world.topics.ingest.as_str();
    let count = world.ids.len().to_string();
    let read = world
        .python()
        .run(&["read", topic, TWEET.trim_end(), &count], &[]);
    let read = by_id(&read);
    for Keyed { id, value } in tweets(&world).await {
        let Tweet {
            time,
            content,
            task,
        } = value;
        let expected = json!({"time": time, "content": content, "task": task});
        assert_eq!(read.get(&id.0), Some(&&expected), "tweet {id}");
    }
}
