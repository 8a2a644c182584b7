//! Having a connection, and having none.

use std::time::Duration;

use heartbeat_bluesky::{BlueskyConfig, BlueskySource};
use heartbeat_core::{ErrorKind, Source};
use tokio::time::timeout;

use crate::server::{Answer, Asked, Double, Step, frame, post, posts, time, wait};
use crate::{Given, Hosts, read};

#[tokio::test]
async fn a_stream_that_breaks_goes_on_with_the_next_connection() {
    let half = Step::Send(frame(&post(3, time(3)))[..40].to_owned());
    for end in [half, wait(0.0), Step::Close] {
        let hosts = Hosts::new([
            Answer::Stream(vec![posts(1..=2), wait(0.05), end.clone()]),
            Answer::Stream(vec![posts(2..=4), wait(0.05), end]),
        ])
        .await;
        assert_eq!(read(&hosts).await.numbers(), [1, 2, 3, 4]);
        let seen = hosts.seen();
        let cursors: Vec<_> = seen.connections.iter().map(Asked::cursor).collect();
        assert_eq!(cursors, [None, Some(time(2)), Some(time(4))]);
    }
}

#[tokio::test]
async fn posts_come_whole_however_slowly_they_come() {
    let bytes: Vec<u8> = (1..=5).flat_map(|n| frame(&post(n, time(n)))).collect();
    let slow = bytes
        .iter()
        .flat_map(|byte| [Step::Send(vec![*byte]), wait(0.001)]);
    let hosts = Hosts::new([Answer::Stream(slow.collect())]).await;
    assert_eq!(read(&hosts).await.numbers(), [1, 2, 3, 4, 5]);
    assert_eq!(hosts.seen().connections.len(), 2);
}

#[tokio::test]
async fn a_host_that_is_not_there_is_passed_over() {
    let double = Double::new([Answer::Stream(vec![posts([1])])]);
    let hosts = Hosts::of(double, 2).await;
    let mut config = hosts.config();
    // Nobody listens there.
    hosts.tasks[0].abort();
    config.hosts[0] = "ws://127.0.0.1:9".into();
    assert_eq!(Given::by(&config, None).await.numbers(), [1]);
    assert!(hosts.seen().connections.iter().all(|asked| asked.host == 1));
}

#[tokio::test]
async fn a_server_that_refuses_the_stream_ends_the_source_with_what_to_do() {
    let hosts = Hosts::new([Answer::Refusal(404, None)]).await;
    let error = Given::by(&hosts.config(), None).await.error.unwrap();
    assert_eq!(error.kind(), ErrorKind::Misconfigured);
    assert!(error.advice().unwrap().contains("`hosts`"), "{error:?}");
}

#[tokio::test]
async fn what_cannot_work_is_said_before_anything_is_asked() {
    let mut words = BlueskyConfig::default();
    words.words.insert("A".into(), vec!["a".into()]);
    let mut hosts = words.clone();
    hosts.hosts.clear();
    for config in [BlueskyConfig::default(), hosts] {
        let error = BlueskySource::open(&config).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Misconfigured);
        assert!(error.advice().is_some(), "{error:?}");
    }
}

#[tokio::test]
async fn the_first_server_that_begins_a_stream_is_told() {
    let no = || Answer::Refusal(503, None);
    let hosts = Hosts::of(
        Double::new([no(), Answer::Stream(vec![wait(1.0)]), no(), no()]),
        2,
    )
    .await;
    let source = BlueskySource::open(&hosts.config()).await.unwrap();
    let name = hosts.config().hosts[1].replace("ws://", "");
    assert_eq!(source.reach().await.unwrap(), name);
    let error = source.reach().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(
        error.to_string().contains(&format!("host {name}")),
        "{error}"
    );
}

#[tokio::test]
async fn a_read_that_is_given_up_loses_nothing_and_a_source_can_be_moved() {
    let stream = || Answer::Stream(vec![posts(1..=3), wait(1000.0)]);
    let hosts = Hosts::new([stream(), stream()]).await;
    let mut source = BlueskySource::open(&hosts.config()).await.unwrap();
    assert!(source.next_batch(10).await.is_err(), "it is not resumed");
    source.resume(None).await.unwrap();
    let mut count = 0;
    while count < 3 {
        let batch = source.next_batch(1).await.unwrap().unwrap();
        count += batch.tweets.len();
    }
    let nothing = timeout(Duration::from_millis(50), source.next_batch(10)).await;
    assert!(nothing.is_err());
    source.resume(None).await.unwrap();
    assert!(source.next_batch(10).await.unwrap().is_some());
    assert_eq!(hosts.seen().connections.len(), 2);
}
