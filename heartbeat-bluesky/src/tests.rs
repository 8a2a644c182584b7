//! Staying connected, by a clock that waits for nobody.
//!
//! Such a clock leaps as soon as nobody has anything to do, and a network may just be about to give somebody something: so here
//! bytes go through memory. `tests/it` has a network.

#[allow(dead_code, reason = "the tests on a network use more of it")]
#[path = "../tests/it/server.rs"]
mod server;

mod counts;
mod hosts;
mod log;
mod once;
mod tls;

use std::io;
use std::sync::Arc;

use async_trait::async_trait;
use heartbeat_core::{Position, Source};
use tokio::io::duplex;

use self::server::{
    Answer, Double, Given, Step, config, frame, post, posts, send, sleeps, time, wait,
};
use crate::config::BlueskyConfig;
use crate::dial::{Dial, Pipe};
use crate::filter::PostFilter;
use crate::settings::{Host, Settings};
use crate::source::BlueskySource;

/// Pipes to the double, in memory. Its hosts are `h0.test`, `h1.test` and so on.
#[async_trait]
impl Dial for Double {
    async fn dial(&self, host: &Host) -> io::Result<Box<dyn Pipe>> {
        let (ours, theirs) = duplex(64 << 10);
        let (double, host) = (self.clone(), host.name[1..2].parse().unwrap());
        tokio::spawn(async move { double.serve(host, theirs).await });
        Ok(Box::new(ours))
    }
}

/// So many hosts.
fn hosts(count: usize) -> BlueskyConfig {
    let hosts = (0..count).map(|index| format!("ws://h{index}.test"));
    config(&hosts.collect::<Vec<_>>())
}

fn open(dial: impl Dial + 'static, config: &BlueskyConfig) -> BlueskySource {
    let settings = Settings::new(config).unwrap();
    let filter = PostFilter::new(config).unwrap();
    BlueskySource::over(Arc::new(dial), settings, filter)
}

impl Given {
    /// Everything until it ends.
    async fn from(double: &Double, config: &BlueskyConfig, position: Option<Position>) -> Self {
        Self::of(&mut open(double.clone(), config), position).await
    }
}

/// The numbers of all posts, of so many hosts.
async fn read(double: &Double, count: usize) -> Vec<i64> {
    let given = Given::from(double, &hosts(count), None).await;
    assert!(given.error.is_none(), "{given:?}");
    given.numbers()
}

/// The seconds from each connection to the next.
fn waits(double: &Double) -> Vec<f64> {
    let seen = double.seen();
    let pairs = seen.connections.windows(2);
    pairs
        .map(|pair| (pair[1].at - pair[0].at).as_secs_f64())
        .collect()
}

/// Which hosts were asked, and from where on: from the `n`th post.
fn asked(double: &Double) -> Vec<(usize, Option<i64>)> {
    let seen = double.seen();
    let second = |cursor: i64| {
        assert_eq!(cursor % 1_000_000, 0, "it is not exact");
        (cursor - time(0)) / 1_000_000
    };
    let connections = seen.connections.iter();
    connections
        .map(|asked| (asked.host, asked.cursor().map(second)))
        .collect()
}

/// Each wait is as long as given, or, where it is a back-off, up to twice as long.
#[track_caller]
fn assert_waits(double: &Double, expected: &[(f64, bool)]) {
    let waits = waits(double);
    let fit = |(wait, (least, has_jitter)): (&f64, &(f64, bool))| {
        let most = if *has_jitter { 2.0 * least } else { *least };
        (least - 0.01..=most + 0.01).contains(wait)
    };
    assert!(
        waits.len() == expected.len() && waits.iter().zip(expected).all(fit),
        "{waits:?}, not {expected:?}"
    );
}

const AT_ONCE: (f64, bool) = (0.0, false);

fn backoff(seconds: f64) -> (f64, bool) {
    (seconds, true)
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_breaks_is_connected_again_at_once() {
    let half = Step::Send(frame(&post(3, time(3)))[..40].to_owned());
    for end in [vec![half], vec![], vec![Step::Close, wait(1.0)]] {
        let answer = |numbers| Answer::Stream([vec![posts(numbers)], end.clone()].concat());
        let double = Double::new([answer(1..=2), answer(3..=4)]);
        assert_eq!(read(&double, 2).await, [1, 2, 3, 4]);
        assert_waits(&double, &[AT_ONCE, AT_ONCE]);
        assert_eq!(asked(&double), [(0, None), (0, Some(2)), (0, Some(4))]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_without_a_sign_of_life_is_given_up_after_30_seconds() {
    let double = Double::new([
        // It answers pings for ten minutes, then no more.
        Answer::Stream(vec![posts([1]), wait(601.0), sleeps(40.0)]),
        Answer::Stream(vec![sleeps(40.0)]),
        Answer::Stream(vec![posts([2]), sleeps(29.0), posts([3]), sleeps(29.0)]),
    ]);
    assert_eq!(read(&double, 1).await, [1, 2, 3]);
    // The last pong comes when ten minutes are over; the second never gave anything.
    let waits = waits(&double);
    assert!((629.9..=630.1).contains(&waits[0]), "{waits:?}");
    assert!((31.0..=32.1).contains(&waits[1]), "{waits:?}");
    assert!((57.9..=58.1).contains(&waits[2]), "{waits:?}");
    // One every 15 seconds.
    assert_eq!(double.seen().pings, 40 + 1 + 1 + 3);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_asks_for_a_sign_of_life_gets_it() {
    let ping = || Step::Send(vec![0x89, 0]);
    let double = Double::new([Answer::Stream(vec![
        posts([1]),
        ping(),
        wait(1.0),
        ping(),
        wait(1.0),
    ])]);
    assert_eq!(read(&double, 1).await, [1]);
    assert_eq!(double.seen().pongs, 2);
}

#[tokio::test(start_paused = true)]
async fn time_in_which_nobody_takes_posts_is_no_silence() {
    let double = Double::new([Answer::Stream(vec![posts(1..=1000), wait(10_000.0)])]);
    let config = hosts(1);
    let mut source = open(double.clone(), &config);
    source.resume(None).await.unwrap();
    let mut count = 0;
    while count < 1000 {
        tokio::time::sleep(std::time::Duration::from_secs(100)).await;
        count += source.next_batch(100).await.unwrap().unwrap().tweets.len();
    }
    assert_eq!((count, double.seen().connections.len()), (1000, 1));
}

#[tokio::test(start_paused = true)]
async fn failures_are_waited_for_from_1_second_to_a_minute() {
    let failures = [503, 500, 408, 429, 302, 200, 503].map(|status| Answer::Refusal(status, None));
    let answers = failures.into_iter().chain([
        Answer::Stream(vec![]),
        Answer::Stream(vec![send("<html>"), Step::Close]),
        Answer::Stream(vec![posts([1])]),
        Answer::Refusal(503, None),
        // What comes again is nothing new.
        Answer::Stream(vec![posts([1])]),
    ]);
    let double = Double::new(answers);
    assert_eq!(read(&double, 1).await, [1]);
    let mut expected: Vec<_> = [1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0, 30.0, 30.0]
        .map(backoff)
        .into();
    // Once it has worked, it begins with the shortest again.
    expected.extend([AT_ONCE, backoff(1.0), backoff(2.0)]);
    assert_waits(&double, &expected);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_says_nothing_is_given_up_after_20_seconds() {
    let double = Double::new([Answer::Silence, Answer::Stream(vec![posts([1])])]);
    assert_eq!(read(&double, 2).await, [1]);
    let waits = waits(&double);
    assert!((21.0..22.1).contains(&waits[0]), "{waits:?}");
    assert_eq!(asked(&double)[1], (1, None));
}
