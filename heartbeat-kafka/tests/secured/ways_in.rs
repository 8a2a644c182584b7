//! The ways in that brokers offer.

use std::time::Duration;

use heartbeat_core::{Bus, Keyed, Max, Topic, Tweet};
use heartbeat_kafka::{KafkaBus, KafkaConfig, Sasl};
use testbed::{Identity, Listener, USER};
use tokio::task::JoinSet;

use crate::cluster::{Place, kafka, post};

const MAX: Max = Max {
    messages: 10,
    bytes: 1 << 20,
};

/// A message goes to `from`, and in one transaction on to `to`.
async fn pass_on(config: KafkaConfig, from: &Topic, to: &Topic) {
    let bus = KafkaBus::open(config).await.unwrap();
    bus.publish(&[post(from, 7)], None).await.unwrap();
    let mut subscription = bus.subscribe(from, "readers").await.unwrap();
    let batch = subscription.poll(MAX, Duration::from_secs(20)).await.unwrap();
    let read: Keyed<Tweet> = Keyed::from_message(&batch.messages[0]).unwrap().unwrap();
    subscription
        .commit(&batch.checkpoint, &[post(to, read.id.0 + 1)])
        .await
        .unwrap();
    let behind = |lag: Vec<heartbeat_core::PartitionLag>| -> u64 {
        lag.iter().map(|partition| partition.messages).sum()
    };
    assert_eq!(behind(bus.lag(from, "readers").await.unwrap()), 0);
    assert_eq!(behind(bus.lag(to, "readers").await.unwrap()), 1);
    subscription.close().await.unwrap();
    bus.close().await.unwrap();
}

fn with_certificate(mut config: KafkaConfig, identity: &Identity) -> KafkaConfig {
    let path = |path: &std::path::Path| path.to_str().unwrap().to_owned();
    config.properties.extend([
        ("ssl.certificate.location".to_owned(), path(&identity.certificate)),
        ("ssl.key.location".to_owned(), path(&identity.key)),
    ]);
    config
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_pass_by_every_way_in() {
    let place = Place::new().await;
    let mut ways = vec![
        ("tls", place.by(Listener::Ssl)),
        ("mutual-tls", with_certificate(
            place.by(Listener::MutualSsl),
            &kafka().certificates().unwrap().user,
        )),
    ];
    for (listener, name) in [(Listener::SaslPlaintext, "sasl"), (Listener::SaslSsl, "sasl-tls")] {
        for sasl in [Sasl::Plain, Sasl::ScramSha256, Sasl::ScramSha512] {
            ways.push((name, place.sign_in(listener, sasl, USER)));
        }
    }
    let mut passing = JoinSet::new();
    for (number, (name, config)) in ways.into_iter().enumerate() {
        let from = place.topic(&format!("ways-in.{number}.{name}.from")).await;
        let to = place.topic(&format!("ways-in.{number}.{name}.to")).await;
        passing.spawn(async move { pass_on(config, &from, &to).await });
    }
    while let Some(passed) = passing.join_next().await {
        passed.unwrap();
    }
}
