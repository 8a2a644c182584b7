//! Going on with another host.

use heartbeat_core::ErrorKind;

use super::server::moment;
use super::*;

#[tokio::test(start_paused = true)]
async fn each_failure_goes_on_to_the_next_host_a_little_before_where_it_was() {
    let double = Double::new([
        Answer::Stream(vec![posts(10..=20)]),
        // The same host, exactly there.
        Answer::Refusal(503, None),
        Answer::Silence,
        Answer::Stream(vec![posts(15..=30)]),
        Answer::Stream(vec![posts(30..=40)]),
        Answer::Refusal(503, None),
        Answer::Refusal(503, None),
        Answer::Refusal(503, None),
    ]);
    let numbers = read(&double, 3).await;
    assert!(numbers.iter().copied().eq(10..=40), "{numbers:?}");
    let cursors = [
        (0, None),
        (0, Some(20)),
        (1, Some(15)),
        (2, Some(15)),
        (2, Some(30)),
        (2, Some(40)),
        (0, Some(35)),
        (1, Some(35)),
        (2, Some(40)),
    ];
    assert_eq!(asked(&double), cursors);
}

#[tokio::test(start_paused = true)]
async fn a_host_that_sends_too_long_a_message_or_nonsense_is_left_at_once() {
    let long = send(&post(7, time(12)).replace("ukraine", &"x".repeat(5 << 20)));
    // A frame that a server must not send: it is masked.
    let nonsense = Step::Send(vec![0x81, 0x85, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    for bad in [long, nonsense] {
        let double = Double::new([
            Answer::Stream(vec![posts([10]), bad, posts([11]), wait(100.0)]),
            Answer::Stream(vec![posts([10, 11])]),
        ]);
        assert_eq!(read(&double, 2).await, [10, 11]);
        assert_waits(&double, &[AT_ONCE, AT_ONCE]);
        assert_eq!(asked(&double), [(0, None), (1, Some(5)), (1, Some(11))]);
    }
}

#[tokio::test(start_paused = true)]
async fn hosts_that_all_send_too_long_a_message_are_not_asked_at_once_for_ever() {
    let long = send(&post(7, time(11)).replace("ukraine", &"x".repeat(5 << 20)));
    let answer = |numbers| Answer::Stream(vec![posts(numbers), long.clone()]);
    let double = Double::new([answer(8..=10), answer(6..=10), answer(7..=10)]);
    assert_eq!(read(&double, 2).await, [8, 9, 10, 6, 7]);
    assert_waits(&double, &[AT_ONCE, backoff(1.0), backoff(2.0)]);
}

#[tokio::test(start_paused = true)]
async fn hosts_that_all_refuse_end_the_source_with_what_to_do() {
    for status in [400, 403, 404, 410] {
        let double = Double::new([503, status, status, status].map(|it| Answer::Refusal(it, None)));
        let given = Given::from(&double, &hosts(3), None).await;
        let error = given.error.unwrap();
        assert_eq!(error.kind(), ErrorKind::Misconfigured);
        assert!(error.to_string().contains(&format!("status {status}")));
        assert!(error.advice().unwrap().contains("`hosts`"), "{error:?}");
        assert_eq!(double.seen().connections.len(), 4);
    }
}

#[tokio::test(start_paused = true)]
async fn hosts_of_which_one_refuses_are_asked_again() {
    let refusals = [404, 404, 429, 404, 404].map(|it| Answer::Refusal(it, None));
    let answers = refusals.into_iter().chain([
        Answer::Stream(vec![posts([1])]),
        Answer::Refusal(404, None),
        Answer::Refusal(404, None),
    ]);
    let double = Double::new(answers);
    assert_eq!(read(&double, 3).await, [1]);
}

#[tokio::test(start_paused = true)]
async fn a_single_host_is_left_alone_for_as_long_as_it_asks() {
    let double = Double::new([
        Answer::Refusal(429, Some(100)),
        Answer::Refusal(503, Some(100_000)),
    ]);
    assert!(read(&double, 1).await.is_empty());
    assert_waits(&double, &[(100.0, false), (300.0, false)]);

    let double = Double::new([Answer::Refusal(429, Some(100))]);
    assert!(read(&double, 2).await.is_empty());
    assert_waits(&double, &[backoff(1.0)]);
}

#[tokio::test(start_paused = true)]
async fn a_moment_to_begin_at_is_asked_for_and_nothing_before_it_comes() {
    let double = Double::new([
        Answer::Refusal(503, None),
        Answer::Stream(vec![posts(9..=12), send("<html>")]),
        Answer::Refusal(503, None),
        Answer::Stream(vec![posts(7..=14)]),
    ]);
    let mut config = hosts(2);
    config.since = Some(moment(time(10)));
    config.until = Some(moment(time(14)));
    let given = Given::from(&double, &config, None).await;
    assert_eq!(given.numbers(), [10, 11, 12, 13]);
    assert_eq!(
        asked(&double),
        [(0, Some(10)), (1, Some(10)), (1, Some(12)), (0, Some(7))]
    );
}
