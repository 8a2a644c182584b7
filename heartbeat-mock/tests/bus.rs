//! The memory bus, where it goes beyond the contract or can be looked at more closely.

use std::num::NonZeroU16;
use std::time::Duration;

use bytes::Bytes;
use heartbeat_core::{
    Batch, Bus, Envelope, Error, ErrorKind, Max, Output, Payload, Position, Progress, Subscription,
    Topic,
};
use heartbeat_mock::{Call, MemoryBus, MemoryConfig};
use tokio::time::timeout;

const NOW: Duration = Duration::ZERO;
const SOON: Duration = Duration::from_millis(50);
const ALL: Max = Max {
    messages: usize::MAX,
    bytes: usize::MAX,
};

fn topic(name: &str) -> Topic {
    Topic::new(name).expect("a name")
}

fn ingest() -> Topic {
    topic("ingest")
}

fn output(topic: Topic, number: u32) -> Output {
    let bytes = Bytes::copy_from_slice(&number.to_be_bytes());
    let payload = Payload::Raw {
        bytes: bytes.clone(),
        reason: String::new(),
    };
    Output {
        topic,
        envelope: Envelope::new(bytes, payload),
    }
}

fn outputs(numbers: impl IntoIterator<Item = u32>) -> Vec<Output> {
    let outputs = numbers.into_iter().map(|number| output(ingest(), number));
    outputs.collect()
}

/// A bus whose `ingest` holds messages 0 to `count`.
async fn bus_of(count: u32) -> MemoryBus {
    let bus = MemoryBus::default();
    bus.publish(&outputs(0..count), None)
        .await
        .expect("published");
    bus
}

fn bounded(capacity: usize) -> MemoryBus {
    MemoryBus::new(MemoryConfig {
        capacity: capacity.try_into().ok(),
        ..MemoryConfig::default()
    })
}

async fn member(bus: &MemoryBus) -> Box<dyn Subscription> {
    bus.subscribe(&ingest(), "group").await.expect("a member")
}

async fn poll(member: &mut Box<dyn Subscription>, max: Max) -> Batch {
    member.poll(max, NOW).await.expect("a batch")
}

fn numbers(batch: &Batch) -> Vec<u32> {
    let number = |key: &[u8]| u32::from_be_bytes(key.try_into().expect("4 bytes"));
    let mut numbers: Vec<u32> = batch
        .messages
        .iter()
        .map(|message| number(&message.envelope.key))
        .collect();
    numbers.sort_unstable();
    numbers
}

fn partitions(batch: &Batch) -> Vec<i32> {
    batch.checkpoint.spans.keys().copied().collect()
}

async fn total_lag(bus: &MemoryBus) -> u64 {
    let lag = bus.lag(&ingest(), "group").await.expect("the lag");
    lag.iter().map(|partition| partition.messages).sum()
}

#[tokio::test]
async fn partitions_are_shared_out_fairly_as_members_come_and_go() {
    let bus = bus_of(100).await;
    let mut first = member(&bus).await;
    assert_eq!(partitions(&poll(&mut first, ALL).await), [0, 1, 2, 3]);

    let mut second = member(&bus).await;
    let mut third = member(&bus).await;
    let of_second = poll(&mut second, ALL).await;
    let of_third = poll(&mut third, ALL).await;
    let mut taken = [partitions(&of_second), partitions(&of_third)].concat();
    taken.sort_unstable();
    assert_eq!(taken.len(), 2, "4 partitions for 3: two, one and one");

    third.close().await.expect("closed");
    drop(first);
    assert_eq!(partitions(&poll(&mut second, ALL).await).len(), 3);
    second
        .commit(&of_second.checkpoint, &[])
        .await
        .expect("its own");
}

#[tokio::test]
async fn a_member_beyond_the_partitions_waits_for_its_turn() {
    let bus = MemoryBus::default();
    bus.create_topic(&ingest(), NonZeroU16::MIN)
        .expect("created");
    bus.publish(&outputs(0..3), None).await.expect("published");
    let first = member(&bus).await;
    let mut second = member(&bus).await;
    assert!(poll(&mut second, ALL).await.is_empty());
    let waiting = tokio::spawn(async move { second.poll(ALL, Duration::from_secs(60)).await });
    tokio::task::yield_now().await;
    drop(first);
    let batch = waiting.await.expect("no panic").expect("a batch");
    assert_eq!(numbers(&batch), [0, 1, 2]);
}

#[tokio::test]
async fn a_partition_lost_and_got_back_is_not_in_two_hands_at_once() {
    let bus = bus_of(100).await;
    let mut first = member(&bus).await;
    let mut held = poll(&mut first, ALL).await;
    // Another member comes and goes: the first has all partitions again, but was without two.
    drop(member(&bus).await);
    held.append(poll(&mut first, ALL).await);
    assert_eq!(
        numbers(&held),
        (0..100).collect::<Vec<_>>(),
        "nothing twice"
    );

    let error = first.commit(&held.checkpoint, &outputs([7])).await;
    assert_eq!(error.unwrap_err().kind(), ErrorKind::Rebalanced);
    assert_eq!(bus.messages(&ingest()).len(), 100, "nothing was published");

    let again = poll(&mut first, ALL).await;
    assert_eq!(numbers(&again), (0..100).collect::<Vec<_>>());
    let error = first.commit(&held.checkpoint, &[]).await.unwrap_err();
    assert_eq!(
        error.kind(),
        ErrorKind::Rebalanced,
        "what was void stays void"
    );
    let again = poll(&mut first, ALL).await;
    first.commit(&again.checkpoint, &[]).await.expect("its own");
    assert_eq!(total_lag(&bus).await, 0);
}

#[tokio::test]
async fn what_a_member_keeps_it_may_commit_although_others_were_taken() {
    let bus = bus_of(100).await;
    let mut first = member(&bus).await;
    let one_by_one = Max {
        messages: 1,
        bytes: usize::MAX,
    };
    let mut second = None;
    let mut committed = 0;
    for _ in 0..4 {
        let batch = poll(&mut first, one_by_one).await;
        if second.is_none() {
            second = Some(member(&bus).await);
        }
        committed += usize::from(first.commit(&batch.checkpoint, &[]).await.is_ok());
    }
    assert!(committed >= 3, "only {committed}");
}

#[tokio::test]
async fn a_commit_whose_answer_was_lost_can_be_made_again() {
    let bus = bus_of(10).await;
    let mut member = member(&bus).await;
    let batch = poll(&mut member, ALL).await;
    let lost = Error::unavailable("the connection broke");
    bus.faults().lose_answer(Call::Commit, 2, lost.clone());
    bus.faults().fail(Call::Commit, 1, lost);
    let moods = [output(topic("sentiment"), 1)];
    for _ in 0..3 {
        let error = member.commit(&batch.checkpoint, &moods).await.unwrap_err();
        assert!(error.is_retryable());
    }
    member
        .commit(&batch.checkpoint, &moods)
        .await
        .expect("done");
    assert_eq!(bus.messages(&topic("sentiment")).len(), 1);
    assert_eq!(total_lag(&bus).await, 0);
    assert_eq!(bus.faults().pending(Call::Commit), 0);
}

#[tokio::test]
async fn a_fault_before_the_work_leaves_no_trace() {
    let bus = MemoryBus::default();
    bus.faults()
        .fail(Call::Publish, 1, Error::unavailable("down"));
    assert!(bus.publish(&outputs(0..3), None).await.is_err());
    assert!(bus.messages(&ingest()).is_empty());

    bus.publish(&outputs(0..3), None).await.expect("published");
    let mut member = member(&bus).await;
    bus.faults()
        .lose_answer(Call::Poll, 1, Error::unavailable("down"));
    assert!(member.poll(ALL, NOW).await.is_err());
    assert_eq!(numbers(&poll(&mut member, ALL).await), [0, 1, 2]);
}

#[tokio::test]
async fn only_who_knows_where_the_source_is_moves_it_on() {
    let bus = MemoryBus::default();
    let progress = |from: Option<&str>, to: &str| {
        let position = |text: &str| Position(text.to_owned());
        Some(Progress {
            source: "fake:7".to_owned(),
            from: from.map(position),
            to: position(to),
        })
    };
    bus.publish(&outputs([1]), progress(None, "1"))
        .await
        .expect("the first");
    let again = bus.publish(&outputs([1]), progress(None, "1")).await;
    again.expect("there already");
    for stale in [progress(None, "2"), progress(Some("0"), "2")] {
        let error = bus.publish(&outputs([2]), stale).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Rebalanced);
    }
    bus.publish(&outputs([2]), progress(Some("1"), "2"))
        .await
        .expect("the second");
    assert_eq!(bus.messages(&ingest()).len(), 2);
    let position = bus.position("fake:7").await.expect("an answer");
    assert_eq!(position, Some(Position("2".to_owned())));
}

#[tokio::test]
async fn a_poll_keeps_within_its_limits_but_gives_at_least_one() {
    let bus = bus_of(20).await;
    let mut member = member(&bus).await;
    let mut seen = Vec::new();
    for (messages, bytes, expected) in [(3, 1000, 3), (100, 17, 2), (100, 0, 1), (0, 1000, 1)] {
        let batch = poll(&mut member, Max { messages, bytes }).await;
        assert_eq!(
            batch.messages.len(),
            expected,
            "{messages} messages, {bytes} bytes"
        );
        seen.extend(numbers(&batch));
    }
    seen.extend(numbers(&poll(&mut member, ALL).await));
    seen.sort_unstable();
    assert_eq!(seen, (0..20).collect::<Vec<_>>());
}

#[tokio::test]
async fn an_empty_poll_appended_does_not_spoil_a_checkpoint() {
    let bus = bus_of(10).await;
    let mut first = member(&bus).await;
    let void = poll(&mut first, ALL).await;
    let mut second = member(&bus).await;
    assert!(first.commit(&void.checkpoint, &[]).await.is_err());
    let mut batch = poll(&mut first, ALL).await;
    batch.append(poll(&mut first, ALL).await);
    first.commit(&batch.checkpoint, &[]).await.expect("its own");
    let batch = poll(&mut second, ALL).await;
    second
        .commit(&batch.checkpoint, &[])
        .await
        .expect("its own");
    assert_eq!(total_lag(&bus).await, 0);
}

#[tokio::test]
async fn checkpoints_out_of_order_are_refused() {
    let bus = MemoryBus::default();
    bus.create_topic(&ingest(), NonZeroU16::MIN)
        .expect("created");
    bus.publish(&outputs(0..10), None).await.expect("published");
    let mut member = member(&bus).await;
    let few = Max {
        messages: 5,
        bytes: usize::MAX,
    };
    let first = poll(&mut member, few).await;
    let second = poll(&mut member, few).await;
    let error = member.commit(&second.checkpoint, &[]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Internal);
    for batch in [first, second] {
        member
            .commit(&batch.checkpoint, &[])
            .await
            .expect("its turn");
    }
}

/// Why bytes cannot be read is the bus's to say.
#[tokio::test]
async fn bytes_come_back_with_a_reason() {
    let bus = bus_of(1).await;
    let batch = poll(&mut member(&bus).await, ALL).await;
    match &batch.messages[0].envelope.payload {
        Payload::Raw { reason, .. } => assert!(reason.contains("schema"), "{reason}"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_topic_is_created_once() {
    let bus = MemoryBus::default();
    let two = NonZeroU16::new(2).expect("two");
    bus.create_topic(&ingest(), two).expect("created");
    assert_eq!(bus.lag(&ingest(), "any").await.expect("the lag").len(), 2);
    let error = bus.create_topic(&ingest(), two).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Misconfigured);
}

#[tokio::test]
async fn a_full_topic_makes_who_publishes_wait_and_forgets_what_is_done() {
    let bus = bounded(10);
    let mut member = member(&bus).await;
    bus.publish(&outputs(0..10), None).await.expect("room");
    let more = outputs(10..15);
    let blocked = timeout(SOON, bus.publish(&more, None)).await;
    assert!(blocked.is_err(), "the topic is full");
    assert_eq!(
        bus.messages(&ingest()).len(),
        10,
        "a call given up publishes nothing"
    );

    let waiting = tokio::spawn({
        let bus = bus.clone();
        async move { bus.publish(&more, None).await }
    });
    let batch = poll(&mut member, ALL).await;
    member
        .commit(&batch.checkpoint, &[])
        .await
        .expect("its own");
    waiting.await.expect("no panic").expect("published");
    assert_eq!(numbers(&poll(&mut member, ALL).await), [10, 11, 12, 13, 14]);
    assert_eq!(bus.messages(&ingest()).len(), 5, "the others are forgotten");
}

#[tokio::test]
async fn a_topic_that_nobody_reads_is_never_full() {
    let bus = bounded(1);
    drop(member(&bus).await); // a group that has left counts for keeping, not for waiting
    for number in 0..10 {
        let publish = bus.publish(&[output(ingest(), number)], None).await;
        publish.expect("room");
    }
    assert_eq!(total_lag(&bus).await, 10);
}

#[tokio::test]
async fn who_writes_what_it_reads_does_not_wait_for_itself() {
    let bus = bounded(2);
    let mut member = member(&bus).await;
    bus.publish(&outputs(0..2), None).await.expect("room");
    let batch = poll(&mut member, ALL).await;
    let more = outputs(2..5);
    let commit = member.commit(&batch.checkpoint, &more);
    timeout(SOON, commit)
        .await
        .expect("no wait")
        .expect("its own");
    assert_eq!(total_lag(&bus).await, 3);
}

#[tokio::test]
async fn settings_are_named_and_unknown_ones_refused() {
    let config: MemoryConfig = serde_json::from_str(r#"{"capacity": 9}"#).expect("a field");
    assert_eq!(config.partitions.get(), 4);
    for wrong in [
        r#"{"partitions": 0}"#,
        r#"{"capacity": 0}"#,
        r#"{"partition": 1}"#,
    ] {
        assert!(
            serde_json::from_str::<MemoryConfig>(wrong).is_err(),
            "{wrong}"
        );
    }
}
