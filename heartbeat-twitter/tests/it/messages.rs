//! What comes on the stream.

use std::time::{Duration, SystemTime};

use heartbeat_core::{ErrorKind, PostParser, recorded};
use heartbeat_twitter::TwitterSource;
use serde_json::json;

use crate::server::{Answer, Step, post, post_of, posts, send, wait};
use crate::{Given, X, read};

#[tokio::test]
async fn posts_come_whole_however_they_are_cut() {
    let text: String = (1..=20).map(post).collect();
    let bytes = text.as_bytes().iter();
    let slow = bytes.clone().flat_map(|byte| [send([*byte]), wait(0.001)]);
    let gzip = bytes.clone().map(|byte| send([*byte]));
    for answer in [
        Answer::Stream(slow.collect()),
        Answer::Gzip(gzip.collect()),
        Answer::Gzip(vec![send(text.clone()), wait(0.1), posts([21])]),
        Answer::Stream(text.as_bytes().chunks(1000).map(send).collect()),
    ] {
        let x = X::new([answer]).await;
        let ids = read(&x).await.ids();
        assert!((1..=20).eq(ids.iter().copied().take(20)), "{ids:?}");
        assert_eq!(x.seen().connections.len(), 2);
    }
}

#[tokio::test]
async fn what_is_no_post_is_told_and_nothing_else_is_lost() {
    let long = format!("{{\"data\":{{\"text\":\"{}\"}}}}\r\n", "x".repeat(2 << 20));
    let x = X::new([Answer::Stream(vec![
        posts([1]),
        send(long),
        posts([2]),
        send("{\"data\":{\"id\":\"3\"\r\n"),
        send("{\"data\":{\"id\":\"x\",\"text\":\"a\",\"created_at\":7}}\r\n"),
        send("\r\n{\"a new kind\":{}}\r\n{\"data\":{\"id\":\"4\",\"text\":\"no task\",\"created_at\":7}}\r\n"),
        posts([5]),
    ])])
    .await;
    let given = read(&x).await;
    assert_eq!(given.ids(), [1, 2, 5]);
    let rejected = given.batches.iter().flat_map(|batch| &batch.rejected);
    let told: Vec<(u64, String)> = rejected
        .map(|rejected| {
            assert_eq!(rejected.error.kind(), ErrorKind::Invalid);
            assert!(!rejected.raw.is_empty() && rejected.raw.len() <= 4096);
            (rejected.line, rejected.error.to_string())
        })
        .collect();
    let [(2, long), (4, cut), (5, id), (6, task)] = told.as_slice() else {
        panic!("{told:?}");
    };
    assert!(
        long.contains("too long") && cut.contains("cut short"),
        "{told:?}"
    );
    assert!(
        id.contains("field id") && task.contains("field task"),
        "{told:?}"
    );
}

#[tokio::test]
async fn posts_of_any_order_come_once_and_one_of_two_tasks_is_two_tweets() {
    let x = X::new([
        Answer::Stream(vec![
            posts([3, 1, 3, 2, 1]),
            send(post_of(7, &["A", "B", "A"])),
        ]),
        Answer::Stream(vec![posts([2, 4, 3])]),
    ])
    .await;
    let given = read(&x).await;
    assert_eq!(given.ids(), [3, 1, 2, 7, 7, 4]);
    let tweets = given.batches.iter().flat_map(|batch| &batch.tweets);
    let tasks: Vec<&str> = tweets.map(|tweet| tweet.value.task.as_str()).collect();
    assert_eq!(tasks, ["T", "T", "T", "A", "B", "T"]);
}

#[tokio::test]
async fn an_edit_of_a_post_that_was_given_is_passed_over() {
    let edited = |id: i64, versions: &[&str]| {
        let post = json!({"id": id.to_string(), "text": "a", "created_at": 7, "edit_history_post_ids": versions});
        send(format!(
            "{}\r\n",
            json!({"data": post, "matching_rules": [{"tag": "T"}]})
        ))
    };
    let x = X::new([Answer::Stream(vec![
        posts([1]),
        edited(2, &["1", "2"]),
        edited(3, &["1", "2", "3"]),
        // Its first version did not match.
        edited(12, &["11", "12"]),
        edited(13, &["11", "12", "13"]),
    ])])
    .await;
    assert_eq!(read(&x).await.ids(), [1, 12]);
}

#[tokio::test]
async fn a_hundred_thousand_posts_with_a_break_at_every_thousand_are_all_there_once() {
    // X sends some again, as after a backfill, and breaks off within a post.
    let connection = |first: i64| {
        let again = (first - 50).max(1)..first;
        let half = post(first + 1000)[..60].to_owned();
        Answer::Stream(vec![
            posts(again),
            posts(first..first + 1000),
            send(half),
            Step::Break,
        ])
    };
    let x = X::new((0..100).map(|index| connection(1 + index * 1000))).await;
    let given = read(&x).await;
    assert!(
        given.ids().into_iter().eq(1..=100_000),
        "{} came",
        given.ids().len()
    );
    assert_eq!(x.seen().connections.len(), 101);
}

#[tokio::test]
async fn messages_are_kept_as_they_came_for_a_recording() {
    let x = X::new([Answer::Stream(vec![
        send("\r\n"),
        send(post_of(7, &["A", "B"])),
        send("<html>\r\n"),
        posts([7, 8]),
    ])])
    .await;
    let mut config = x.config();
    config.keep_raw = true;
    let given = Given::by(&mut TwitterSource::open(config).await.unwrap()).await;
    let parser = PostParser::new(None).unwrap();
    let (mut kept, mut again) = (Vec::new(), Vec::new());
    for batch in &given.batches {
        let mut tweets = batch.tweets.as_slice();
        for raw in &batch.raw {
            let (its, rest) = tweets.split_at(raw.tweets);
            tweets = rest;
            kept.push(String::from_utf8(raw.bytes.to_vec()).unwrap() + "\n");
            let since = SystemTime::now().duration_since(raw.arrived).unwrap();
            assert!(since < Duration::from_secs(60));
            again.extend(
                parser
                    .parse(&recorded(raw.arrived, &raw.bytes, its))
                    .unwrap_or_default(),
            );
        }
        assert!(tweets.is_empty());
    }
    assert_eq!(
        kept,
        [post_of(7, &["A", "B"]), "<html>\r\n".to_owned(), post(8)]
    );
    let tweets: Vec<_> = given
        .batches
        .into_iter()
        .flat_map(|batch| batch.tweets)
        .collect();
    assert_eq!(again, tweets);
}
