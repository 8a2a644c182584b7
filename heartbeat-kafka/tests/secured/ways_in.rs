//! The ways in that brokers offer.

use std::io::Read;
use std::net::TcpListener;
use std::thread;
use std::time::Duration;

use heartbeat_core::{Bus, Keyed, Max, PartitionLag, Topic, Tweet};
use heartbeat_kafka::{KafkaBus, KafkaConfig, Sasl};
use testbed::{Listener, USER};
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
    let group = from.as_str();
    let mut subscription = bus.subscribe(from, group).await.unwrap();
    let wait = Duration::from_secs(20);
    let batch = subscription.poll(MAX, wait).await.unwrap();
    let read: Keyed<Tweet> = Keyed::from_message(&batch.messages[0]).unwrap().unwrap();
    let output = post(to, read.id.0 + 1);
    subscription
        .commit(&batch.checkpoint, &[output])
        .await
        .unwrap();
    let behind =
        |lag: Vec<PartitionLag>| -> u64 { lag.iter().map(|partition| partition.messages).sum() };
    assert_eq!(behind(bus.lag(from, group).await.unwrap()), 0);
    assert_eq!(behind(bus.lag(to, group).await.unwrap()), 1);
    subscription.close().await.unwrap();
    bus.close().await.unwrap();
}

#[tokio::test]
async fn messages_pass_by_every_way_in() {
    let place = Place::new().await;
    let user = &kafka().certificates().unwrap().user;
    let mut ways = vec![
        place.by(Listener::Ssl),
        place.with_certificate(&user.certificate, &user.key),
    ];
    for listener in [Listener::SaslPlaintext, Listener::SaslSsl] {
        for sasl in [Sasl::Plain, Sasl::ScramSha256, Sasl::ScramSha512] {
            ways.push(place.sign_in(listener, sasl, USER));
        }
    }
    let mut passing = JoinSet::new();
    for (number, config) in ways.into_iter().enumerate() {
        let from = place.topic(&format!("ways-in.{number}.from")).await;
        let to = place.topic(&format!("ways-in.{number}.to")).await;
        passing.spawn(async move { pass_on(config, &from, &to).await });
    }
    while let Some(passed) = passing.join_next().await {
        passed.unwrap();
    }
}

/// What is said first to a broker.
async fn first_words(tls: Option<bool>) -> [u8; 2] {
    let place = Place::new().await;
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let heard = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut words = [0; 2];
        stream.read_exact(&mut words).unwrap();
        words
    });
    // It leads to this machine, and does not look like it.
    let config = KafkaConfig {
        tls,
        ..place.at(&format!("127.1:{port}"))
    };
    let opening = tokio::spawn(KafkaBus::open(config));
    let words = tokio::task::spawn_blocking(|| heard.join().unwrap());
    let words = words.await.unwrap();
    opening.abort();
    words
}

#[tokio::test]
async fn what_may_be_another_machine_is_spoken_to_by_tls_unless_told() {
    // A record of a handshake, in the version that all of TLS begin with.
    assert_eq!(first_words(None).await, [22, 3]);
    // The size of a request.
    assert_eq!(first_words(Some(false)).await, [0, 0]);
}
