//! What comes on the stream.

use std::time::{Duration, SystemTime};

use heartbeat_core::{ErrorKind, PostParser, recorded};
use serde_json::json;

use crate::server::{Answer, Step, frame, moment, post, post_of, posts, send, time};
use crate::{Given, Hosts, read};

#[tokio::test]
async fn what_is_no_post_is_told_and_nothing_else_is_lost() {
    let no_text = post(3, time(3)).replace("\"text\"", "\"tixt\"");
    let long = format!("[\"{}\"]", "x".repeat(10_000));
    // The same again, as after a rewind, is told once.
    let bad = [r#"{"did":"did:plc:a","#, &no_text, &long, &no_text];
    let bad = Step::Send(bad.into_iter().flat_map(frame).collect());
    let binary = Step::Send([&[0x82, 2], &b"<>"[..]].concat());
    let hosts = Hosts::new([Answer::Stream(vec![posts([1]), bad, posts([4]), binary])]).await;
    let given = read(&hosts).await;
    assert_eq!(given.numbers(), [1, 4]);
    let rejected = given.rejected();
    assert!(
        rejected
            .iter()
            .all(|it| it.error.kind() == ErrorKind::Invalid)
    );
    let told: Vec<_> = rejected
        .iter()
        .map(|it| (it.line, it.raw.len(), it.error.to_string()))
        .collect();
    let [
        (2, _, cut),
        (3, whole, text),
        (4, 4096, array),
        (6, 2, json),
    ] = told.as_slice()
    else {
        panic!("{told:?}");
    };
    assert!(
        cut.contains("cut short") && text.contains("commit.record.text"),
        "{told:?}"
    );
    assert!(
        array.contains("an array") && json.contains("not JSON"),
        "{told:?}"
    );
    assert_eq!(*whole, no_text.len());
}

#[tokio::test]
async fn messages_of_other_kinds_are_passed_over_and_move_the_cursor() {
    let of =
        |n, kind: &str| json!({"did": "did:plc:a", "time_us": time(n), "kind": kind}).to_string();
    let change =
        |n, operation: &str| post(n, time(n)).replace("\"create\"", &format!("{operation:?}"));
    let like = post(6, time(6)).replace("app.bsky.feed.post", "app.bsky.feed.like");
    let others = [
        of(2, "identity"),
        of(3, "account"),
        change(4, "update"),
        change(5, "delete"),
        like,
        post_of(7, time(7), "nothing of interest"),
        post_of(8, time(8), "ukrainex 8"),
        of(9, "something new"),
    ];
    let others = Step::Send(others.iter().flat_map(|it| frame(it)).collect());
    let hosts = Hosts::new([Answer::Stream(vec![posts([1]), others])]).await;
    let given = read(&hosts).await;
    assert_eq!(given.numbers(), [1]);
    assert!(given.rejected().is_empty());
    assert_eq!(hosts.seen().connections[1].cursor(), Some(time(9)));
}

#[tokio::test]
async fn a_post_of_two_tasks_is_two_tweets_and_long_ones_are_whole() {
    let long = format!("{} ukraine 2", "x".repeat(2 << 20));
    let hosts = Hosts::new([Answer::Stream(vec![
        send(&post_of(1, time(1), "ukraine, both 1")),
        send(&post_of(2, time(2), &long)),
    ])])
    .await;
    let given = read(&hosts).await;
    let tweets: Vec<_> = given.batches.iter().flat_map(|it| &it.tweets).collect();
    let tasks: Vec<_> = tweets.iter().map(|it| it.value.task.as_str()).collect();
    assert_eq!(tasks, ["A", "T", "T"]);
    assert!(tweets[0].id == tweets[1].id && tweets[1].id != tweets[2].id);
    assert_eq!(tweets[2].value.content, long);
    assert_eq!(i64::from(tweets[2].value.time), time(2) / 1_000_000);
    assert_eq!(hosts.seen().connections.len(), 2);
}

#[tokio::test]
async fn a_past_hour_is_replayed_from_any_position() {
    let messages: Vec<_> = (0..600).map(|n| (time(n), post(n, time(n)))).collect();
    let hosts = Hosts::with_log(messages).await;
    let mut config = hosts.config();
    config.since = Some(moment(time(100)));
    config.until = Some(moment(time(500)));
    let all = Given::by(&config, None).await;
    assert!(all.numbers().into_iter().eq(100..500));
    for batch in &all.batches {
        let text = &batch.tweets.last().unwrap().value.content;
        let last: i64 = text.rsplit(' ').next().unwrap().parse().unwrap();
        let rest = Given::by(&config, batch.position.clone()).await;
        assert!(
            rest.numbers().into_iter().eq(last + 1..500),
            "behind {last}"
        );
    }
}

#[tokio::test]
async fn messages_are_kept_as_they_came_for_a_recording() {
    let both = post_of(7, time(7), "ukraine, both 7");
    let hosts = Hosts::new([Answer::Stream(vec![
        send(&both),
        send("<html>"),
        posts([7, 8]),
    ])])
    .await;
    let mut config = hosts.config();
    config.keep_raw = true;
    let given = Given::by(&config, None).await;
    let parser = PostParser::new(None).unwrap();
    let (mut kept, mut again) = (Vec::new(), Vec::new());
    for batch in &given.batches {
        let mut tweets = batch.tweets.as_slice();
        for raw in &batch.raw {
            let (its, rest) = tweets.split_at(raw.tweets);
            tweets = rest;
            kept.push(String::from_utf8(raw.bytes.to_vec()).unwrap());
            let since = SystemTime::now().duration_since(raw.arrived).unwrap();
            assert!(since < Duration::from_secs(60));
            let line = recorded(raw.arrived, &raw.bytes, its);
            again.extend(parser.parse(&line).unwrap_or_default());
        }
        assert!(tweets.is_empty());
    }
    assert_eq!(kept, [both, "<html>".to_owned(), post(8, time(8))]);
    let tweets = given.batches.into_iter().flat_map(|batch| batch.tweets);
    assert_eq!(again, tweets.collect::<Vec<_>>());
}
