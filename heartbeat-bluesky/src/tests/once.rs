//! No post is lost, and none comes twice.

use super::server::{Log, moment};
use super::*;

/// So many posts, 20 a second, and other messages between. Two hosts' clocks differ.
fn log(count: i64) -> Log {
    let mut messages = Vec::new();
    for n in 0..count {
        let at = time(0) + n * 50_000;
        messages.push((at, post(n, 0).replace("\"time_us\":0", "\"time_us\":TIME")));
        if n % 10 == 0 {
            let other = r#"{"did":"did:plc:b","time_us":TIME,"kind":"identity"}"#;
            messages.push((at + 1, other.to_owned()));
        }
    }
    Log {
        messages,
        ahead: vec![0, 1_300_000, -2_100_000],
    }
}

/// Breaks off at every thousand messages, within one.
fn pieces(count: usize) -> impl Iterator<Item = Answer> {
    let half = || Step::Send(frame(&post(1, 1))[..60].to_owned());
    (0..count).map(move |_| Answer::Stream(vec![Step::Log(1000), half()]))
}

#[tokio::test(start_paused = true)]
async fn a_hundred_thousand_posts_with_a_break_at_every_thousand_are_all_there_once() {
    // Now and then a host is away, and the next one sends some again.
    let answers = (0..13).flat_map(|_| pieces(8).chain([Answer::Refusal(503, None)]));
    let double = Double::with_log(log(100_000), answers);
    let mut config = hosts(3);
    config.since = Some(moment(time(0) - 10_000_000));
    let given = Given::from(&double, &config, None).await;
    let mut numbers = given.numbers();
    // Behind a rewind a host whose clock is behind has some later ones first.
    numbers.sort_unstable();
    assert!(
        numbers.iter().copied().eq(0..100_000),
        "{} came",
        numbers.len()
    );
    let seen = double.seen();
    assert_eq!(seen.connections.len(), 13 * 9 + 1);
    assert!((0..3).all(|host| seen.connections.iter().any(|asked| asked.host == host)));
}

#[tokio::test(start_paused = true)]
async fn a_restart_on_any_host_goes_on_behind_the_last_post() {
    let mut config = hosts(3);
    config.since = Some(moment(time(0) - 10_000_000));
    let all = Given::from(&Double::with_log(log(2000), []), &config, None).await;
    assert!(all.numbers().into_iter().eq(0..2000));
    let tweets = |given: &Given| -> Vec<_> {
        let batches = given.batches.iter();
        batches.flat_map(|batch| batch.tweets.clone()).collect()
    };
    for batch in &all.batches {
        let position = batch.position.clone();
        let behind = position.clone().unwrap().0;
        let behind: serde_json::Value = serde_json::from_str(&behind).unwrap();
        let given = usize::try_from(behind["given"].as_u64().unwrap()).unwrap();
        // At once, or by another host: its clock is ahead, or behind.
        for refusals in 0..3 {
            let refusals = (0..refusals).map(|_| Answer::Refusal(503, None));
            let double = Double::with_log(log(2000), refusals);
            let rest = Given::from(&double, &config, position.clone()).await;
            let ids = |tweets: Vec<heartbeat_core::Keyed<heartbeat_core::Tweet>>| -> Vec<i64> {
                tweets.into_iter().map(|tweet| tweet.id.0).collect()
            };
            assert_eq!(ids(tweets(&rest)), ids(tweets(&all)[given..].to_vec()));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_process_that_is_restarted_all_the_time_reads_each_post_once() {
    let mut config = hosts(3);
    config.since = Some(moment(time(0) - 10_000_000));
    let (mut position, mut numbers) = (None, Vec::new());
    for round in 0..1000 {
        // It begins with the host of the last run or with another, and changes it again while it reads.
        let away = |count: usize| (0..count).map(|_| Answer::Refusal(503, None));
        let piece = |most| Answer::Stream(vec![Step::Log(most), Step::Close]);
        let answers = away(round % 3)
            .chain([piece(round % 70)])
            .chain(away(round / 3 % 3))
            .chain([piece(150)])
            .chain(away(2));
        let double = Double::with_log(log(2000), answers);
        let mut source = open(double, &config);
        source.resume(position.clone()).await.unwrap();
        let mut given = Given::default();
        let mut ended = false;
        for _ in 0..=round % 4 {
            match source.next_batch(60).await.unwrap() {
                Some(batch) => given.batches.push(batch),
                None => ended = true,
            }
        }
        numbers.extend(given.numbers());
        position = given
            .batches
            .last()
            .map_or(position, |batch| batch.position.clone());
        if ended {
            numbers.sort_unstable();
            assert!(
                numbers.iter().copied().eq(0..2000),
                "{} came",
                numbers.len()
            );
            assert!(round > 10, "{round}");
            return;
        }
    }
    panic!("it does not end: {} came", numbers.len());
}

#[tokio::test(start_paused = true)]
async fn a_restart_goes_on_with_the_host_that_the_position_is_of() {
    let double = Double::new([
        Answer::Refusal(503, None),
        Answer::Stream(vec![posts(1..=9)]),
    ]);
    let given = Given::from(&double, &hosts(3), None).await;
    let position = given.batches.last().unwrap().position.clone();
    let text = position.clone().unwrap().0;
    assert!(
        text.starts_with(&format!(
            r#"{{"host":"h1.test","cursor":{},"given":9,"recent":[["#,
            time(9)
        )),
        "{text}"
    );

    let double = Double::new([Answer::Stream(vec![posts(9..=10)])]);
    let given = Given::from(&double, &hosts(3), position.clone()).await;
    assert_eq!(given.numbers(), [10]);
    assert_eq!(asked(&double)[0], (1, Some(9)));

    // That host is no longer one.
    let double = Double::new([Answer::Stream(vec![posts(4..=10)])]);
    let given = Given::from(&double, &hosts(1), position).await;
    assert_eq!(given.numbers(), [10]);
    assert_eq!(asked(&double)[0], (0, Some(4)));
}

#[tokio::test(start_paused = true)]
async fn a_host_that_goes_back_behind_the_cursor_gives_none_twice() {
    let config = hosts(1);
    let double = Double::new([
        Answer::Stream(vec![posts(0..=3000)]),
        Answer::Stream(vec![posts(1000..=3001), Step::Close]),
        // It breaks before it has come as far as it was.
        Answer::Stream(vec![posts(1000..=1500)]),
        // Late by its own clock, but not come before.
        Answer::Stream(vec![
            posts([1000, 3001]),
            send(&post(7777, time(3001) - 900_000)),
            posts([3002]),
        ]),
    ]);
    let given = Given::from(&double, &config, None).await;
    assert!(
        given
            .numbers()
            .into_iter()
            .eq((0..=3001).chain([7777, 3002]))
    );
    let cursors: Vec<_> = asked(&double)
        .into_iter()
        .map(|(_, cursor)| cursor)
        .take(4)
        .collect();
    assert_eq!(cursors, [None, Some(3000), Some(3001), Some(3001)]);

    // Another process knows only the last ones by their ids.
    let position = given.batches.last().unwrap().position.clone();
    let double = Double::new([Answer::Stream(vec![posts(500..=3003)])]);
    let given = Given::from(&double, &config, position).await;
    assert_eq!(given.numbers(), [3003]);
}

#[tokio::test(start_paused = true)]
async fn posts_that_come_unordered_or_twice_come_once() {
    let double = Double::new([
        Answer::Stream(vec![posts([3, 1, 3, 2, 1])]),
        Answer::Stream(vec![posts([2, 4, 3])]),
    ]);
    assert_eq!(read(&double, 1).await, [3, 1, 2, 4]);
}
