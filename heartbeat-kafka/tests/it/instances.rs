//! Processes that were given names, and one name that two have.

use std::time::{Duration, Instant};

use heartbeat_core::{Bus, ErrorKind};
use heartbeat_kafka::{KafkaBus, KafkaConfig};

use crate::support::{ALL, SHORT, config, copies, ids, topic, tweets, unique};

/// Two processes of one name fence each other off once, then one of them goes on under another transactional id:
/// both work, and nothing is doubled.
#[tokio::test(flavor = "multi_thread")]
async fn two_of_one_name_both_go_on() {
    let (from, to) = (topic("named-from", 4).await, topic("named-to", 2).await);
    let named = KafkaConfig {
        instance: Some(unique("pod")),
        ..config()
    };
    let (one, two) = (
        KafkaBus::open(named.clone()).await.unwrap(),
        KafkaBus::open(named).await.unwrap(),
    );
    let group = unique("g");
    let mut members = [
        one.subscribe(&from, &group).await.unwrap(),
        two.subscribe(&from, &group).await.unwrap(),
    ];
    let mut did = [0, 0];
    let started = Instant::now();
    let mut published = 0;
    while did.contains(&0) || lag(&one, &from, &group).await > 0 {
        assert!(
            started.elapsed() < Duration::from_secs(60),
            "{did:?} of {published}"
        );
        if did.contains(&0) {
            let more = tweets(&from, published..published + 20);
            one.publish(&more, None).await.unwrap();
            published += 20;
        }
        for (member, did) in members.iter_mut().zip(&mut did) {
            let batch = member.poll(ALL, SHORT).await.unwrap();
            if batch.messages.is_empty() {
                continue;
            }
            let outputs = copies(&batch, &to);
            loop {
                match member.commit(&batch.checkpoint, &outputs).await {
                    Ok(()) => *did += batch.messages.len(),
                    // As a stage does.
                    Err(error) if error.is_retryable() => continue,
                    Err(error) => assert_eq!(error.kind(), ErrorKind::Rebalanced, "{error:?}"),
                }
                break;
            }
        }
    }
    let mut reader = two.subscribe(&to, &unique("reader")).await.unwrap();
    let expected: Vec<i64> = (0..published).collect();
    assert_eq!(ids(reader.as_mut(), expected.len()).await, expected);
    assert!(reader.poll(ALL, SHORT).await.unwrap().messages.is_empty());
}

async fn lag(bus: &KafkaBus, topic: &heartbeat_core::Topic, group: &str) -> u64 {
    let lag = bus.lag(topic, group).await.unwrap();
    lag.iter().map(|partition| partition.messages).sum()
}
