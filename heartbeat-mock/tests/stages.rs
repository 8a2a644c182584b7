//! The stages under faults told in advance, on a clock of their own.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use heartbeat_core::{
    Analyzer, Bus, DeadLetter, Envelope, Error, ErrorKind, Idle, Output, Payload, Result, Scores,
    Sentiment, Stage, StageOptions, Store, Summary, Topic, Topics, TweetId, analyze, ingest,
    transfer,
};
use heartbeat_core::{Bucket, Keyed, Page, Query, WriteReport};
use heartbeat_mock::{
    Call, FailingAnalyzer, FakeConfig, FakeSource, FreeAnalyzer, MemoryBus, MemoryStore,
    SlowAnalyzer,
};
use tokio::time::Instant;

const SECOND: Duration = Duration::from_secs(1);

fn source(count: u64) -> FakeSource {
    let config = FakeConfig {
        seed: Some(1),
        count: Some(count),
        rate: 0.0,
        ..FakeConfig::default()
    };
    FakeSource::new(config).expect("a source")
}

fn options(stage: Stage) -> StageOptions {
    let mut options = StageOptions::new(stage);
    options.idle = Idle::AfterEmptyPolls(1);
    options
}

/// A bus whose topic of tweets holds `count` of them.
async fn bus_of(count: u64) -> MemoryBus {
    let bus = MemoryBus::default();
    let summary = ingest(&mut source(count), &bus, &options(Stage::Ingest)).await;
    assert_eq!(summary.expect("ingested").written, count);
    bus
}

/// A bus whose topic of sentiments holds `count` of them.
async fn scored(count: u64) -> MemoryBus {
    let bus = bus_of(count).await;
    let summary = analyze(&bus, Arc::new(FreeAnalyzer), &options(Stage::Analyze)).await;
    assert_eq!(summary.expect("analyzed").written, count);
    bus
}

fn held(bus: &MemoryBus, topic: &Topic) -> u64 {
    bus.messages(topic).len() as u64
}

async fn lag(bus: &MemoryBus, topic: &Topic, options: &StageOptions) -> u64 {
    let lag = bus.lag(topic, &options.group).await.expect("a lag");
    lag.iter().map(|partition| partition.messages).sum()
}

#[tokio::test(start_paused = true)]
async fn whatever_may_pass_is_tried_again_and_nothing_is_doubled() {
    let Topics {
        ingest: tweets,
        sentiment,
    } = Topics::default();
    let bus = MemoryBus::default();
    let away = || Error::unavailable("the broker is away");
    bus.faults().fail(Call::Position, 2, away());
    bus.faults().fail(Call::Publish, 3, away());
    bus.faults().lose_answer(Call::Publish, 2, away());
    let summary = ingest(&mut source(50), &bus, &options(Stage::Ingest))
        .await
        .unwrap();
    assert_eq!((summary.written, summary.retries), (50, 2 + 3 + 2));
    assert_eq!(held(&bus, &tweets), 50);

    bus.faults().fail(Call::Subscribe, 2, away());
    bus.faults().fail(Call::Poll, 3, away());
    bus.faults().fail(Call::Commit, 2, away());
    bus.faults().lose_answer(Call::Commit, 2, away());
    bus.faults().fail(Call::Lag, 1, away());
    let summary = analyze(&bus, Arc::new(FreeAnalyzer), &options(Stage::Analyze))
        .await
        .unwrap();
    assert_eq!((summary.written, summary.retries), (50, 2 + 3 + 4 + 1));
    assert_eq!(held(&bus, &sentiment), 50);

    let store = MemoryStore::new();
    store.faults().fail(Call::Write, 2, away());
    store.faults().lose_answer(Call::Write, 1, away());
    let summary = transfer(&bus, Arc::new(store.clone()), &options(Stage::Transfer))
        .await
        .unwrap();
    assert_eq!(
        (summary.written, summary.dead_letters, summary.retries),
        (50, 0, 3)
    );
    let points = store
        .read(&Query::default(), &Page::first(100))
        .await
        .unwrap();
    assert_eq!(points.len(), 50);
}

#[tokio::test(start_paused = true)]
async fn the_wait_that_was_asked_for_is_kept() {
    let bus = bus_of(5).await;
    let busy = Error::unavailable("busy").retry_after(90 * SECOND);
    let analyzer = FailingAnalyzer::first_calls(FreeAnalyzer, 2, busy);
    let started = Instant::now();
    let summary = analyze(&bus, Arc::new(analyzer), &options(Stage::Analyze))
        .await
        .unwrap();
    assert_eq!(summary.written, 5);
    assert!(
        (180 * SECOND..200 * SECOND).contains(&started.elapsed()),
        "{:?}",
        started.elapsed()
    );
}

#[tokio::test(start_paused = true)]
async fn waits_grow_up_to_the_longest() {
    let bus = bus_of(5).await;
    let analyzer = FailingAnalyzer::first_calls(FreeAnalyzer, 20, Error::unavailable("busy"));
    let mut options = options(Stage::Analyze);
    options.retry.longest = 10 * SECOND;
    let started = Instant::now();
    analyze(&bus, Arc::new(analyzer), &options).await.unwrap();
    // 0.1 s doubling seven times to 10 s, then 10 s each, all with jitter.
    let elapsed = started.elapsed();
    assert!(
        (100 * SECOND..300 * SECOND).contains(&elapsed),
        "{elapsed:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn what_cannot_pass_stops_the_stage_and_passes_nothing() {
    for error in [
        Error::misconfigured("a wrong token"),
        Error::internal("a bug"),
    ] {
        let bus = bus_of(5).await;
        let analyzer = FailingAnalyzer::first_calls(FreeAnalyzer, usize::MAX, error.clone());
        let options = options(Stage::Analyze);
        let stopped = analyze(&bus, Arc::new(analyzer), &options)
            .await
            .unwrap_err();
        assert_eq!(stopped.to_string(), error.to_string());
        assert_eq!(lag(&bus, &options.topics.ingest, &options).await, 5);
        assert_eq!(held(&bus, &options.topics.sentiment), 0);
        assert_eq!(held(&bus, &options.topics.ingest.dead_letters()), 0);
    }
}

/// Gives fewer scores than it is given texts.
#[derive(Debug)]
struct Short;

#[async_trait]
impl Analyzer for Short {
    async fn analyze(&self, texts: &[&str]) -> Result<Vec<Scores>> {
        texts[1..]
            .iter()
            .map(|_| Scores::new(0.0, 1.0, 0.0))
            .collect()
    }
}

/// Gives scores that are no shares.
#[derive(Debug)]
struct Nonsense;

#[async_trait]
impl Analyzer for Nonsense {
    async fn analyze(&self, texts: &[&str]) -> Result<Vec<Scores>> {
        let mut scores = Scores::new(0.0, 1.0, 0.0)?;
        scores.pos = f32::NAN;
        Ok(vec![scores; texts.len()])
    }
}

#[tokio::test(start_paused = true)]
async fn an_analyzer_that_breaks_its_contract_is_found_out() {
    let bus = bus_of(5).await;
    let error = analyze(&bus, Arc::new(Short), &options(Stage::Analyze))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Internal);
    assert!(error.to_string().contains("texts 5, scores 4"), "{error}");

    let summary = analyze(&bus, Arc::new(Nonsense), &options(Stage::Analyze))
        .await
        .unwrap();
    assert_eq!((summary.written, summary.dead_letters), (0, 5));
}

#[tokio::test(start_paused = true)]
async fn one_bad_text_is_found_in_few_calls() {
    #[derive(Debug, Default)]
    struct Counting(AtomicUsize);

    #[async_trait]
    impl Analyzer for Counting {
        async fn analyze(&self, texts: &[&str]) -> Result<Vec<Scores>> {
            self.0.fetch_add(1, Relaxed);
            FreeAnalyzer.analyze(texts).await
        }
    }

    let bus = bus_of(1000).await;
    let bad = bus.messages(&Topics::default().ingest)[500].clone();
    let bad: Keyed<heartbeat_core::Tweet> = Keyed::from_message(&bad).unwrap().unwrap();
    let counting = Arc::new(Counting::default());

    #[derive(Debug)]
    struct Shared(Arc<Counting>, String);

    #[async_trait]
    impl Analyzer for Shared {
        async fn analyze(&self, texts: &[&str]) -> Result<Vec<Scores>> {
            let scores = self.0.analyze(texts).await?;
            if texts.contains(&self.1.as_str()) {
                return Err(Error::invalid("too hard"));
            }
            Ok(scores)
        }
    }

    let analyzer = Shared(counting.clone(), bad.value.content);
    let summary = analyze(&bus, Arc::new(analyzer), &options(Stage::Analyze))
        .await
        .unwrap();
    assert_eq!((summary.written, summary.dead_letters), (999, 1));
    let calls = counting.0.load(Relaxed);
    assert!(
        calls <= 2 * 10 + 1 + 4,
        "{calls} calls for one of 1,000 texts"
    );
}

/// Counts how much is asked of it at once.
#[derive(Debug, Default)]
struct Watched {
    now: AtomicUsize,
    most: AtomicUsize,
}

#[async_trait]
impl Analyzer for Watched {
    async fn analyze(&self, texts: &[&str]) -> Result<Vec<Scores>> {
        let now = self.now.fetch_add(texts.len(), Relaxed) + texts.len();
        self.most.fetch_max(now, Relaxed);
        let slow = SlowAnalyzer::new(FreeAnalyzer, SECOND, Duration::ZERO);
        let scores = slow.analyze(texts).await;
        self.now.fetch_sub(texts.len(), Relaxed);
        scores
    }
}

#[tokio::test(start_paused = true)]
async fn work_in_flight_is_bounded_by_messages_and_by_tokens() {
    for (messages, tokens, most, seconds) in [
        (30, usize::MAX, 30, 10),
        (usize::MAX, 600, 20, 15),
        // A single batch is worked on however large it is.
        (1, 1, 10, 30),
    ] {
        let bus = bus_of(300).await;
        let mut options = options(Stage::Analyze);
        options.max.messages = 10;
        options.in_flight.messages = messages;
        options.in_flight.tokens = tokens;
        let watched = Arc::new(Watched::default());
        let started = Instant::now();
        let summary = analyze(&bus, watched.clone(), &options).await.unwrap();
        assert_eq!(summary.written, 300);
        let seen = watched.most.load(Relaxed);
        assert!(
            seen <= most.max(10) && seen * 2 >= most,
            "{seen} of {messages}, {tokens}"
        );
        let took = started.elapsed();
        assert!(took < Duration::from_secs(seconds + 5), "{took:?}");
    }
}

/// Remembers how many points each write brought.
#[derive(Debug, Default)]
struct Sizes(Mutex<Vec<usize>>);

#[async_trait]
impl Store for Sizes {
    async fn write(&self, points: &[Keyed<Sentiment>]) -> Result<WriteReport> {
        self.0.lock().expect("nobody panicked").push(points.len());
        Ok(WriteReport::default())
    }

    async fn read(&self, _: &Query, _: &Page) -> Result<Vec<Keyed<Sentiment>>> {
        Ok(Vec::new())
    }

    async fn summarize(&self, _: &Query, _: Duration) -> Result<Vec<Bucket>> {
        Ok(Vec::new())
    }

    async fn close(&self) -> Result<()> {
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn a_batch_waits_to_be_filled_as_long_as_it_may() {
    let all = scored(30).await;
    let bus = MemoryBus::default();
    let sentiment = Topics::default().sentiment;
    // One message every 100 ms.
    let trickle = async {
        for message in all.messages(&sentiment) {
            tokio::time::sleep(SECOND / 10).await;
            let output = Output {
                topic: sentiment.clone(),
                envelope: message.envelope,
            };
            bus.publish(&[output], None).await.unwrap();
        }
    };
    let mut options = options(Stage::Transfer);
    options.max.messages = 12;
    options.linger = 10 * SECOND;
    let sizes = Arc::new(Sizes::default());
    let (summary, ()) = tokio::join!(transfer(&bus, sizes.clone(), &options), trickle);
    assert_eq!(summary.unwrap().written, 30);
    assert_eq!(*sizes.0.lock().unwrap(), [12, 12, 6]);
}

#[tokio::test(start_paused = true)]
async fn an_output_the_bus_refuses_becomes_a_dead_letter_and_the_rest_goes_through() {
    let bus = MemoryBus::default();
    let too_large = Error::invalid("larger than the broker takes").at_item(3);
    bus.faults().fail(Call::Publish, 1, too_large);
    let options = options(Stage::Ingest);
    let summary = ingest(&mut source(10), &bus, &options).await.unwrap();
    assert_eq!((summary.written, summary.dead_letters), (9, 1));
    let dead = bus.messages(&options.topics.ingest.dead_letters());
    let letter = DeadLetter::from_message(&dead[0]).unwrap();
    assert_eq!(letter.error, "larger than the broker takes");
    assert_eq!(letter.reader, "fake:1");

    // Without a word on which one it is there is nothing to be done.
    bus.faults()
        .fail(Call::Commit, 1, Error::invalid("too large"));
    let options = self::options(Stage::Analyze);
    let error = analyze(&bus, Arc::new(FreeAnalyzer), &options)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
}

#[tokio::test(start_paused = true)]
async fn a_dead_letter_the_bus_refuses_is_cut_short_and_counted_once() {
    let bus = MemoryBus::default();
    let options = options(Stage::Analyze);
    let huge = Payload::Raw {
        bytes: vec![b'x'; 1 << 20].into(),
        reason: String::new(),
    };
    let output = Output {
        topic: options.topics.ingest.clone(),
        envelope: Envelope::new(TweetId(1).to_key().to_vec().into(), huge),
    };
    bus.publish(&[output], None).await.expect("published");
    let too_large = Error::invalid("larger than the broker takes").at_item(0);
    bus.faults().fail(Call::Commit, 1, too_large);
    let summary = analyze(&bus, Arc::new(FreeAnalyzer), &options).await;
    let summary = summary.expect("analyzed");
    assert_eq!((summary.written, summary.dead_letters), (0, 1));
    let dead = bus.messages(&options.topics.ingest.dead_letters());
    assert!((1..1 << 20).contains(&dead[0].envelope.payload.len()));
    let letter = DeadLetter::from_message(&dead[0]).unwrap();
    assert_ne!(letter.error, "larger than the broker takes");
}

#[tokio::test(start_paused = true)]
async fn a_batch_that_moved_to_another_member_is_not_counted() {
    let bus = bus_of(10).await;
    bus.faults()
        .fail(Call::Commit, 1, Error::rebalanced("moved"));
    let mut options = options(Stage::Analyze);
    options.idle = Idle::Never;
    let stop = async {
        tokio::time::sleep(5 * SECOND).await;
        options.shutdown.cancel();
    };
    let (summary, ()) = tokio::join!(analyze(&bus, Arc::new(FreeAnalyzer), &options), stop);
    let summary = summary.unwrap();
    assert_eq!((summary.written, summary.rebalances), (0, 1));
    // The next member has it.
    let next = analyze(&bus, Arc::new(FreeAnalyzer), &self::options(Stage::Analyze)).await;
    assert_eq!(next.unwrap().written, 10);
}

/// One that gives a post at once, and the next after a quarter of an hour.
fn slow_source() -> FakeSource {
    let config = FakeConfig {
        rate: 0.001,
        ..FakeConfig::default()
    };
    FakeSource::new(config).expect("a source")
}

#[tokio::test(start_paused = true)]
async fn what_becomes_of_a_post_does_not_wait_for_the_next() {
    let bus = MemoryBus::default();
    bus.faults()
        .fail(Call::Publish, 1, Error::misconfigured("no such topic"));
    let started = Instant::now();
    let ended = ingest(&mut slow_source(), &bus, &options(Stage::Ingest)).await;
    assert_eq!(ended.unwrap_err().kind(), ErrorKind::Misconfigured);
    assert!(started.elapsed() < SECOND, "{:?}", started.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_source_that_waits_for_posts_stops_at_once() {
    let bus = MemoryBus::default();
    let options = options(Stage::Ingest);
    let stop = async {
        tokio::time::sleep(2 * SECOND).await;
        assert_eq!(options.counters.summary().written, 1, "told at once");
        options.shutdown.cancel();
    };
    let started = Instant::now();
    let mut slow = slow_source();
    let (summary, ()) = tokio::join!(ingest(&mut slow, &bus, &options), stop);
    assert_eq!(summary.unwrap().written, 1);
    assert!(started.elapsed() < 3 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn a_stop_while_the_bus_is_away_is_no_error() {
    let bus = bus_of(5).await;
    bus.faults()
        .fail(Call::Poll, 1000, Error::unavailable("away"));
    let mut options = options(Stage::Analyze);
    options.idle = Idle::Never;
    let stop = async {
        tokio::time::sleep(60 * SECOND).await;
        options.shutdown.cancel();
    };
    let started = Instant::now();
    let (summary, ()) = tokio::join!(analyze(&bus, Arc::new(FreeAnalyzer), &options), stop);
    let summary: Summary = summary.unwrap();
    assert_eq!(summary.written, 0);
    assert!(summary.retries > 3, "{summary:?}");
    assert!(started.elapsed() < 80 * SECOND, "{:?}", started.elapsed());
}
