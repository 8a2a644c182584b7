//! What is said to a user who lacks a right.

use std::time::Duration;

use heartbeat_core::ErrorKind::Misconfigured;
use heartbeat_core::{Batch, Bus, Max, Position, Progress, Result, Subscription, Topic};
use heartbeat_kafka::{KafkaBus, KafkaConfig, Sasl, TopicAdmin, TopicPlan};
use testbed::{GUEST, Listener};

use crate::access::{Do, On, allow, deny};
use crate::cluster::{Place, kafka, post};
use crate::told::fails;

const TOPIC: &str = "this user may not use the topic";
const GROUP: &str = "this user may not use the consumer group";
const TRANSACTIONS: &str = "this user may not use the transactional id";

fn guest(place: &Place) -> KafkaConfig {
    place.sign_in(Listener::SaslPlaintext, Sasl::ScramSha512, GUEST)
}

async fn poll(subscription: &mut dyn Subscription) -> Result<Batch> {
    let max = Max {
        messages: 10,
        bytes: 1 << 20,
    };
    // Longer than anybody waits for an error.
    subscription.poll(max, Duration::from_secs(60)).await
}

/// Until the first message is there.
async fn read(subscription: &mut dyn Subscription) -> Batch {
    let batch = poll(subscription).await.unwrap();
    assert_eq!(batch.messages.len(), 1);
    batch
}

/// A topic with one message.
async fn written(place: &Place, name: &str) -> Topic {
    let topic = place.topic(name).await;
    let bus = KafkaBus::open(place.by(Listener::Plaintext)).await.unwrap();
    bus.publish(&[post(&topic, 1)], None).await.unwrap();
    topic
}

#[tokio::test]
async fn without_any() {
    let place = Place::new().await;
    let topic = written(&place, "rights.none").await;
    let says = [
        TOPIC,
        "rights.none",
        "Topic authorization failed",
        "Let who runs the brokers allow it",
    ];
    let by_certificate = &kafka().certificates().unwrap().guest;
    let by_certificate = place.with_certificate(&by_certificate.certificate, &by_certificate.key);
    for config in [guest(&place), by_certificate] {
        let bus = KafkaBus::open(config.clone()).await.unwrap();
        fails(
            "to subscribe",
            bus.subscribe(&topic, "none"),
            Misconfigured,
            &says,
        )
        .await;
        let outputs = [post(&topic, 1)];
        fails(
            "to publish",
            bus.publish(&outputs, None),
            Misconfigured,
            &says,
        )
        .await;
        fails("to count", bus.lag(&topic, "none"), Misconfigured, &says).await;

        let says = [TOPIC, "heartbeat-positions"];
        let progress = Progress {
            source: "some".to_owned(),
            from: None,
            to: Position("1".to_owned()),
        };
        fails(
            "to move a source",
            bus.publish(&[], Some(progress)),
            Misconfigured,
            &says,
        )
        .await;
        fails(
            "to find a source",
            bus.position("some"),
            Misconfigured,
            &says,
        )
        .await;

        let admin = TopicAdmin::connect(config.clone()).await.unwrap();
        let listed = admin.list().await.unwrap();
        assert!(listed.iter().all(|it| it.topic != "rights.none"));
        let there = [TopicPlan::new(&config.topics, &topic)];
        fails(
            "to compare",
            admin.verify(&there),
            Misconfigured,
            &[TOPIC, "rights.none"],
        )
        .await;
        let new = Topic::new("rights.new").unwrap();
        let plan = [TopicPlan::new(&config.topics, &new)];
        let says = [
            "this user may not create the topic",
            "rights.new",
            "(Create)",
        ];
        fails("to make", admin.create(&plan), Misconfigured, &says).await;
        fails(
            "to see what would be made",
            admin.dry_run(&plan),
            Misconfigured,
            &says,
        )
        .await;
    }
}

#[tokio::test]
async fn with_those_of_the_topic_alone() {
    let place = Place::new().await;
    let topic = written(&place, "rights.topic").await;
    allow(GUEST.name, Do::All, On::Topic("rights.topic"));
    let bus = KafkaBus::open(guest(&place)).await.unwrap();

    let says = [
        TRANSACTIONS,
        "heartbeat.publish.",
        "those that begin with `heartbeat.`",
    ];
    let outputs = [post(&topic, 1)];
    fails(
        "to publish",
        bus.publish(&outputs, None),
        Misconfigured,
        &says,
    )
    .await;

    let says = [
        GROUP,
        "rights-topic",
        "Group authorization failed",
        "`--group`",
    ];
    fails(
        "to count",
        bus.lag(&topic, "rights-topic"),
        Misconfigured,
        &says,
    )
    .await;
    let mut member = bus.subscribe(&topic, "rights-topic").await.unwrap();
    fails("to read", poll(&mut *member), Misconfigured, &says).await;
}

#[tokio::test]
async fn with_those_to_see_the_topic_and_to_use_the_group() {
    let place = Place::new().await;
    let topic = written(&place, "rights.see").await;
    allow(GUEST.name, Do::Describe, On::Topic("rights.see"));
    allow(GUEST.name, Do::All, On::Group("rights-see"));
    let bus = KafkaBus::open(guest(&place)).await.unwrap();

    let says = [TOPIC, "rights.see", "Topic authorization failed"];
    fails(
        "to count",
        bus.lag(&topic, "rights-see"),
        Misconfigured,
        &says,
    )
    .await;
    let mut member = bus.subscribe(&topic, "rights-see").await.unwrap();
    fails("to read", poll(&mut *member), Misconfigured, &says).await;
}

#[tokio::test]
async fn with_all_but_one_and_then_another() {
    let place = Place::new().await;
    let topic = written(&place, "rights.lost").await;
    let closed = place.topic("rights.lost.closed").await;
    allow(GUEST.name, Do::Read, On::Topic("rights.lost"));
    allow(GUEST.name, Do::Describe, On::Topic("rights.lost.closed"));
    allow(GUEST.name, Do::All, On::Group("rights-lost"));
    let config = KafkaConfig {
        instance: Some("lost".to_owned()),
        ..guest(&place)
    };
    let bus = KafkaBus::open(config).await.unwrap();
    let mut member = bus.subscribe(&topic, "rights-lost").await.unwrap();
    let Batch { checkpoint, .. } = read(&mut *member).await;

    let says = [TRANSACTIONS, "heartbeat.rights-lost.0."];
    fails(
        "to commit",
        member.commit(&checkpoint, &[]),
        Misconfigured,
        &says,
    )
    .await;

    allow(
        GUEST.name,
        Do::All,
        On::TransactionalIds("heartbeat.rights-lost"),
    );
    allow(
        GUEST.name,
        Do::All,
        On::TransactionalIds("heartbeat.publish.lost"),
    );
    let says = [TOPIC, "rights.lost.closed", "Topic authorization failed"];
    let outputs = [post(&closed, 1), post(&closed, 2)];
    fails(
        "to publish",
        bus.publish(&outputs, None),
        Misconfigured,
        &says,
    )
    .await;
    fails(
        "to commit with outputs",
        member.commit(&checkpoint, &outputs),
        Misconfigured,
        &says,
    )
    .await;

    deny(GUEST.name, Do::Read, On::Group("rights-lost"));
    let says = [GROUP, "rights-lost", "`--group`"];
    fails(
        "to commit without the group",
        member.commit(&checkpoint, &[]),
        Misconfigured,
        &says,
    )
    .await;
    fails(
        "to read without the group",
        poll(&mut *member),
        Misconfigured,
        &says,
    )
    .await;
}

#[tokio::test]
async fn with_the_topic_lost_while_it_is_read() {
    let place = Place::new().await;
    let topic = written(&place, "rights.read").await;
    allow(GUEST.name, Do::Read, On::Topic("rights.read"));
    allow(GUEST.name, Do::All, On::Group("rights-read"));
    allow(
        GUEST.name,
        Do::All,
        On::TransactionalIds("heartbeat.rights-read"),
    );
    let bus = KafkaBus::open(guest(&place)).await.unwrap();
    let mut member = bus.subscribe(&topic, "rights-read").await.unwrap();
    let Batch { checkpoint, .. } = read(&mut *member).await;
    deny(GUEST.name, Do::Read, On::Topic("rights.read"));
    let says = [TOPIC, "rights.read", "Topic authorization failed"];
    fails(
        "to commit",
        member.commit(&checkpoint, &[]),
        Misconfigured,
        &says,
    )
    .await;
    fails("to read", poll(&mut *member), Misconfigured, &says).await;
    fails(
        "to count",
        bus.lag(&topic, "rights-read"),
        Misconfigured,
        &says,
    )
    .await;
}

#[tokio::test]
async fn a_topic_that_is_missing_is_told_to_who_may_see_it() {
    let place = Place::new().await;
    let topic = Topic::new("rights.missing").unwrap();
    let bus = KafkaBus::open(place.by(Listener::Ssl)).await.unwrap();
    let says = [
        "the topic is missing",
        "rights.missing",
        "`heartbeat topics create`",
    ];
    fails(
        "to subscribe",
        bus.subscribe(&topic, "missing"),
        Misconfigured,
        &says,
    )
    .await;
    let outputs = [post(&topic, 1)];
    fails(
        "to publish",
        bus.publish(&outputs, None),
        Misconfigured,
        &says,
    )
    .await;
}
