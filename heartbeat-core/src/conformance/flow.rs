//! What the three stages promise over a bus and a store: everything arrives once, whatever happens.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

use super::bus::{BusHarness, patience};
use super::{PLENTY, decoded, poll_count, random, raw, tweet, unique};
use crate::analyzer::{Analyzer, Scores};
use crate::bus::{Bus, Subscription};
use crate::dead_letter::{DeadLetter, header};
use crate::error::{Error, Result};
use crate::message::{Message, Output, Topic};
use crate::record::{Keyed, Sentiment, TweetId};
use crate::source::{Position, Rejected, Source, SourceBatch};
use crate::stage::{Idle, Stage, StageOptions, Summary, Topics, analyze, ingest, transfer};
use crate::store::{Page, Query, Store};

/// Every promise, one after the other. The store holds no points yet.
pub async fn all(harness: &dyn BusHarness, store: Arc<dyn Store>) {
    println!("flow: everything_arrives_once");
    everything_arrives_once(harness, store).await;
    println!("flow: killed_stages_lose_and_double_nothing");
    killed_stages_lose_and_double_nothing(harness).await;
    println!("flow: a_failing_analyzer_is_tried_again");
    a_failing_analyzer_is_tried_again(harness).await;
    println!("flow: a_stop_gives_back_what_is_in_flight");
    a_stop_gives_back_what_is_in_flight(harness).await;
}

/// Counts up to an end; every tenth piece of input is no post.
#[derive(Debug)]
struct Numbers {
    name: String,
    next: i64,
    end: i64,
}

impl Numbers {
    fn new(end: i64) -> Self {
        Self {
            name: unique("numbers"),
            next: 0,
            end,
        }
    }
}

#[async_trait]
impl Source for Numbers {
    fn name(&self) -> &str {
        &self.name
    }

    async fn resume(&mut self, from: Option<Position>) -> Result<()> {
        self.next = from.map_or(0, |position| position.0.parse().unwrap());
        Ok(())
    }

    async fn next_batch(&mut self, max: usize) -> Result<Option<SourceBatch>> {
        tokio::time::sleep(Duration::from_micros(200)).await;
        if self.next == self.end {
            return Ok(None);
        }
        let mut batch = SourceBatch::default();
        while batch.tweets.len() < max && self.next < self.end {
            if self.next % 10 == 9 {
                batch.rejected.push(Rejected {
                    raw: Bytes::from(format!("line {}", self.next)),
                    line: self.next.unsigned_abs() + 1,
                    error: Error::invalid("no post"),
                });
            } else {
                batch.tweets.push(tweet(self.next));
            }
            self.next += 1;
        }
        batch.position = Some(Position(self.next.to_string()));
        Ok(Some(batch))
    }
}

/// Finds ids that end in 7 too hard, and panics at those that end in 70.
#[derive(Debug)]
struct Picky {
    delay: Duration,
}

#[async_trait]
impl Analyzer for Picky {
    async fn analyze(&self, texts: &[&str]) -> Result<Vec<Scores>> {
        tokio::time::sleep(self.delay).await;
        assert!(
            !texts.iter().any(|text| text.ends_with("70")),
            "a text the analyzer panics at"
        );
        if texts.iter().any(|text| text.ends_with('7')) {
            return Err(Error::invalid("too hard"));
        }
        Ok(texts.iter().map(|text| scores(text)).collect())
    }
}

fn scores(text: &str) -> Scores {
    let pos = (text.len() % 5) as f32 / 8.0;
    Scores::new(0.0, 1.0 - pos, pos).unwrap()
}

/// Names of topics and groups that no other test uses.
struct World {
    topics: Topics,
    suffix: String,
}

impl World {
    async fn new(harness: &dyn BusHarness) -> Self {
        let suffix = unique("flow");
        let topics = Topics {
            ingest: Topic::new(&format!("ingest-{suffix}")).unwrap(),
            sentiment: Topic::new(&format!("sentiment-{suffix}")).unwrap(),
        };
        harness.create_topic(&topics.ingest, 4).await;
        harness.create_topic(&topics.sentiment, 4).await;
        Self { topics, suffix }
    }

    fn options(&self, stage: Stage) -> StageOptions {
        let mut options = StageOptions::new(stage);
        options.topics = self.topics.clone();
        options.group = format!("{stage}-{}", self.suffix);
        options.max.messages = 20;
        options.in_flight.messages = 60;
        options.wait = Duration::from_millis(50);
        options.idle = Idle::AfterEmptyPolls(2);
        options.retry.first = Duration::from_millis(1);
        options.retry.longest = Duration::from_millis(20);
        options
    }
}

async fn read_topic(
    bus: &dyn Bus,
    topic: &Topic,
    count: usize,
    patience: Duration,
) -> Vec<Message> {
    let mut reader = bus.subscribe(topic, &unique("reader")).await.unwrap();
    let batch = poll_count(reader.as_mut(), count, patience).await;
    // A moment longer: nothing may follow.
    let more = reader
        .poll(PLENTY, Duration::from_millis(200))
        .await
        .unwrap();
    assert!(
        more.messages.is_empty(),
        "{topic}: more than {count} messages"
    );
    close(reader).await;
    batch.messages
}

async fn close(subscription: Box<dyn Subscription>) {
    subscription.close().await.unwrap();
}

/// The posts whose sentiment is expected: those that are posts and that [`Picky`] can score.
fn scorable(end: i64) -> Vec<i64> {
    (0..end)
        .filter(|id| id % 10 != 9 && id % 10 != 7 && id % 100 != 70)
        .collect()
}

fn ids<'a>(messages: impl IntoIterator<Item = &'a Message>) -> Vec<i64> {
    let mut ids: Vec<i64> = messages
        .into_iter()
        .map(|message| TweetId::from_key(&message.envelope.key).unwrap().0)
        .collect();
    ids.sort_unstable();
    ids
}

/// Posts, poison and refused points go through: each ends as one point or one dead letter.
pub async fn everything_arrives_once(harness: &dyn BusHarness, store: Arc<dyn Store>) {
    const END: i64 = 200;
    let world = World::new(harness).await;
    let bus = harness.open().await;
    let patience = patience(harness);
    let poison = [
        raw(&world.topics.ingest, b"", vec![]),
        raw(&world.topics.ingest, b"12345678", vec![0, 0, 0]),
        raw(
            &world.topics.sentiment,
            b"\0\0\0\0\0\0\0\x01",
            vec![0xff; 100],
        ),
        Output {
            // A point that no store takes.
            topic: world.topics.sentiment.clone(),
            envelope: Keyed {
                id: TweetId(5000),
                value: Sentiment {
                    time: 0,
                    task: "t".into(),
                    pos: f32::NAN,
                    neu: 0.0,
                    neg: 0.0,
                },
            }
            .to_envelope()
            .unwrap(),
        },
        Output {
            // Another record than the stage reads.
            topic: world.topics.sentiment.clone(),
            envelope: tweet(5001).to_envelope().unwrap(),
        },
    ];
    bus.publish(&poison, None).await.unwrap();

    let (ingested, analyzed, transferred) = run(&world, bus.as_ref(), store.clone(), END).await;
    let lines = (END / 10) as u64;
    assert_eq!(
        (ingested.written, ingested.dead_letters),
        (END as u64 - lines, lines)
    );
    let good = scorable(END);
    let hard = END as u64 - lines - good.len() as u64;
    assert_eq!(
        (analyzed.written, analyzed.dead_letters),
        (good.len() as u64, hard + 2)
    );
    assert_eq!(
        (transferred.written, transferred.dead_letters),
        (good.len() as u64, 3)
    );

    let points = store
        .read(&Query::default(), &Page::first(10_000))
        .await
        .unwrap();
    let mut stored: Vec<i64> = points.iter().map(|point| point.id.0).collect();
    stored.sort_unstable();
    assert_eq!(stored, good);
    for point in &points {
        let tweet = tweet(point.id.0).value;
        let scores = scores(&tweet.content);
        assert_eq!(point.value, Sentiment::new(tweet, scores));
    }

    let dead = world.topics.ingest.dead_letters();
    let dead = read_topic(bus.as_ref(), &dead, (lines + hard + 2) as usize, patience).await;
    let mut by_stage: BTreeMap<Stage, usize> = BTreeMap::new();
    for message in &dead {
        let letter = DeadLetter::from_message(message).unwrap();
        assert_eq!(letter.topic, world.topics.ingest);
        assert!(!letter.error.is_empty());
        *by_stage.entry(letter.stage).or_default() += 1;
        if letter.stage == Stage::Ingest {
            assert!(
                letter.error.contains(&format!("line {}", letter.offset)),
                "{letter:?}"
            );
        }
        let headers = &message.envelope.headers;
        assert_eq!(
            headers
                .iter()
                .filter(|(name, _)| name.starts_with("heartbeat."))
                .count(),
            9
        );
        assert_eq!(headers.text(header::KIND), Some("invalid"));
    }
    assert_eq!(by_stage[&Stage::Ingest] as u64, lines);
    assert_eq!(by_stage[&Stage::Analyze] as u64, hard + 2);
    let dead = world.topics.sentiment.dead_letters();
    read_topic(bus.as_ref(), &dead, 3, patience).await;
}

/// Runs the three stages one after the other, each until it is idle.
async fn run(
    world: &World,
    bus: &dyn Bus,
    store: Arc<dyn Store>,
    end: i64,
) -> (Summary, Summary, Summary) {
    let mut source = Numbers::new(end);
    let ingested = ingest(&mut source, bus, &world.options(Stage::Ingest))
        .await
        .unwrap();
    // Read again: it goes on where it stopped, and there is nothing more.
    let again = ingest(&mut source, bus, &world.options(Stage::Ingest))
        .await
        .unwrap();
    assert_eq!(again, Summary::default());
    let picky = Arc::new(Picky {
        delay: Duration::ZERO,
    });
    let analyzed = analyze(bus, picky, &world.options(Stage::Analyze))
        .await
        .unwrap();
    let transferred = transfer(bus, store, &world.options(Stage::Transfer))
        .await
        .unwrap();
    (ingested, analyzed, transferred)
}

/// Stages that vanish at random moments, several of each at once, lose and double nothing.
pub async fn killed_stages_lose_and_double_nothing(harness: &dyn BusHarness) {
    const END: i64 = 600;
    let world = World::new(harness).await;
    let bus = harness.open().await;
    let patience = patience(harness);
    let name = unique("numbers");
    for round in 0..8 {
        let mut stages = tokio::task::JoinSet::new();
        for _ in 0..2 {
            let (bus, options) = (harness.open().await, world.options(Stage::Ingest));
            let mut source = Numbers {
                name: name.clone(),
                next: 0,
                end: END,
            };
            stages.spawn(async move { ingest(&mut source, bus.as_ref(), &options).await });
            let (bus, options) = (harness.open().await, world.options(Stage::Analyze));
            let picky = Arc::new(Picky {
                delay: Duration::from_millis(random() % 5),
            });
            stages.spawn(async move { analyze(bus.as_ref(), picky, &options).await });
        }
        if round < 7 {
            tokio::time::sleep(Duration::from_millis(random() % 60)).await;
            // Dropped at an await, as a killed process stops between two answers.
            stages.shutdown().await;
        } else {
            for outcome in stages.join_all().await {
                outcome.unwrap();
            }
        }
    }
    // The last ones may have found the topic idle before the last ingest was through.
    let picky = Arc::new(Picky {
        delay: Duration::ZERO,
    });
    analyze(bus.as_ref(), picky, &world.options(Stage::Analyze))
        .await
        .unwrap();

    let good = scorable(END);
    let sentiments = read_topic(bus.as_ref(), &world.topics.sentiment, good.len(), patience).await;
    assert_eq!(ids(&sentiments), good);
    let tweets = END as usize - END as usize / 10;
    let published = read_topic(bus.as_ref(), &world.topics.ingest, tweets, patience).await;
    assert_eq!(published.len(), tweets);
    let dead = world.topics.ingest.dead_letters();
    read_topic(bus.as_ref(), &dead, END as usize - good.len(), patience).await;
}

/// Fails a few times in a way that may pass.
#[derive(Debug, Default)]
struct Flaky {
    calls: std::sync::atomic::AtomicUsize,
}

#[async_trait]
impl Analyzer for Flaky {
    async fn analyze(&self, texts: &[&str]) -> Result<Vec<Scores>> {
        let call = self
            .calls
            .fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        if call % 3 != 2 {
            return Err(Error::unavailable("busy").retry_after(Duration::from_millis(2)));
        }
        Ok(texts.iter().map(|text| scores(text)).collect())
    }
}

/// What may pass is tried again; nothing becomes a dead letter for it.
pub async fn a_failing_analyzer_is_tried_again(harness: &dyn BusHarness) {
    let world = World::new(harness).await;
    let bus = harness.open().await;
    let outputs: Vec<Output> = (0..50)
        .map(|id| super::output(&world.topics.ingest, id))
        .collect();
    bus.publish(&outputs, None).await.unwrap();
    let options = world.options(Stage::Analyze);
    let summary = analyze(bus.as_ref(), Arc::new(Flaky::default()), &options)
        .await
        .unwrap();
    assert_eq!((summary.written, summary.dead_letters), (50, 0));
    assert!(summary.retries >= 2, "{summary:?}");
    let patience = patience(harness);
    let sentiments = read_topic(bus.as_ref(), &world.topics.sentiment, 50, patience).await;
    for message in &sentiments {
        let sentiment = decoded::<Sentiment>(message);
        let tweet = tweet(sentiment.id.0).value;
        let scores = scores(&tweet.content);
        assert_eq!(sentiment.value, Sentiment::new(tweet, scores));
    }
}

/// A stage that is told to stop returns in time; what it could not finish, the next one does.
pub async fn a_stop_gives_back_what_is_in_flight(harness: &dyn BusHarness) {
    let world = World::new(harness).await;
    let bus = harness.open().await;
    let outputs: Vec<Output> = (0..50)
        .map(|id| super::output(&world.topics.ingest, id * 10))
        .collect();
    bus.publish(&outputs, None).await.unwrap();

    let mut options = world.options(Stage::Analyze);
    options.idle = Idle::Never;
    options.drain = Duration::from_millis(300);
    let stuck = Arc::new(Picky {
        delay: Duration::from_secs(3600),
    });
    let (shutdown, started) = (options.shutdown.clone(), tokio::time::Instant::now());
    let stop = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        shutdown.cancel();
    };
    let (summary, ()) = tokio::join!(analyze(bus.as_ref(), stuck, &options), stop);
    assert_eq!(summary.unwrap().written, 0);
    assert!(
        started.elapsed() < Duration::from_secs(20),
        "{:?}",
        started.elapsed()
    );

    let quick = Arc::new(Flaky::default());
    let summary = analyze(bus.as_ref(), quick, &world.options(Stage::Analyze))
        .await
        .unwrap();
    assert_eq!(summary.written, 50);
}
