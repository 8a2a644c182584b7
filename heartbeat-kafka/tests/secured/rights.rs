//! What is said to a user who lacks a right.

use std::time::Duration;

use heartbeat_core::{Bus, Max, Position, Progress, Topic};
use heartbeat_kafka::{KafkaBus, Sasl, TopicAdmin, TopicPlan};
use testbed::{GUEST, Listener};

use crate::access::{Do, On, allow, deny};
use crate::cluster::{Place, post};
use crate::told::{misconfigured, tells};

const MAX: Max = Max { messages: 10, bytes: 1 << 20 };
const S: &str = GUEST.password;

#[tokio::test(flavor = "multi_thread")]
async fn guest() {
    let place = Place::new().await;
    let topic = place.topic("rights.closed").await;
    let config = place.sign_in(Listener::SaslPlaintext, Sasl::ScramSha256, GUEST);
    let bus = KafkaBus::open(config.clone()).await.unwrap();
    let m = misconfigured(&[]);
    tells("subscribe", m, S, bus.subscribe(&topic, "closed")).await;
    tells("publish", m, S, bus.publish(&[post(&topic, 1)], None)).await;
    let p = Progress { source: "s".into(), from: None, to: Position("1".into()) };
    tells("publish position", m, S, bus.publish(&[], Some(p.clone()))).await;
    tells("lag", m, S, bus.lag(&topic, "closed")).await;
    tells("position", m, S, bus.position("s")).await;
    let missing = Topic::new("rights.missing").unwrap();
    tells("missing", m, S, bus.subscribe(&missing, "closed")).await;
    let admin = TopicAdmin::connect(config.clone()).await.unwrap();
    println!("list {:?}", admin.list().await.map(|l| l.len()));
    let plan = TopicPlan::new(&config.topics, &missing);
    tells("create", m, S, admin.create(&[plan.clone()])).await;
    tells("dry", m, S, admin.dry_run(&[plan.clone()])).await;
    let there = TopicPlan::new(&config.topics, &topic);
    tells("create one that is there", m, S, admin.create(&[there.clone()])).await;
    println!("verify {:?}", admin.verify(&[plan, there]).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn partly() {
    let place = Place::new().await;
    let m = misconfigured(&[]);
    let config = place.sign_in(Listener::SaslPlaintext, Sasl::ScramSha256, GUEST);
    let user = place.by(Listener::Plaintext);
    let owner = KafkaBus::open(user).await.unwrap();
    let bus = KafkaBus::open(config.clone()).await.unwrap();

    // describe only
    let topic = place.topic("rights.describe").await;
    owner.publish(&[post(&topic, 1)], None).await.unwrap();
    allow(GUEST.name, Do::Describe, On::Topic(topic.as_str()));
    allow(GUEST.name, Do::All, On::Group("partly-ok"));
    tokio::time::sleep(Duration::from_millis(500)).await;
    tells("publish without txid", m, S, bus.publish(&[post(&topic, 1)], None)).await;
    tells("lag without group", m, S, bus.lag(&topic, "partly-no")).await;
    tells("lag with describe and group only", m, S, bus.lag(&topic, "partly-ok")).await;
    let mut sub = bus.subscribe(&topic, "partly-no").await.unwrap();
    tells("poll without group", m, S, async { sub.poll(MAX, Duration::from_secs(12)).await }).await;
    tells("poll again without group", m, S, async { sub.poll(MAX, Duration::from_secs(12)).await }).await;
    sub.close().await.unwrap();
    let mut sub = bus.subscribe(&topic, "partly-ok").await.unwrap();
    tells("poll without read", m, S, async { sub.poll(MAX, Duration::from_secs(12)).await }).await;
    tells("poll again without read", m, S, async { sub.poll(MAX, Duration::from_secs(12)).await }).await;
    sub.close().await.unwrap();
    // may read, not write
    let topic = place.topic("rights.read").await;
    owner.publish(&[post(&topic, 1)], None).await.unwrap();
    allow(GUEST.name, Do::Read, On::Topic(topic.as_str()));
    tokio::time::sleep(Duration::from_millis(500)).await;
    let mut sub = bus.subscribe(&topic, "partly-ok").await.unwrap();
    let batch = sub.poll(MAX, Duration::from_secs(12)).await.unwrap();
    assert_eq!(batch.messages.len(), 1);
    tells("commit without txid", m, S, sub.commit(&batch.checkpoint, &[])).await;
    allow(GUEST.name, Do::All, On::TransactionalIds("heartbeat."));
    tokio::time::sleep(Duration::from_millis(500)).await;
    tells("publish without write", m, S, bus.publish(&[post(&topic, 1)], None)).await;
    tells("commit without write", m, S, sub.commit(&batch.checkpoint, &[post(&topic, 1)])).await;
    deny(GUEST.name, Do::Read, On::Group("partly-ok"));
    tokio::time::sleep(Duration::from_millis(500)).await;
    tells("commit, group taken away", m, S, sub.commit(&batch.checkpoint, &[])).await;
    tells("poll, group taken away", m, S, async { sub.poll(MAX, Duration::from_secs(12)).await }).await;
    allow(GUEST.name, Do::All, On::Group("partly-2"));
    tokio::time::sleep(Duration::from_millis(500)).await;
    let mut sub = bus.subscribe(&topic, "partly-2").await.unwrap();
    let batch = sub.poll(MAX, Duration::from_secs(12)).await.unwrap();
    assert_eq!(batch.messages.len(), 1);
    deny(GUEST.name, Do::Read, On::Topic(topic.as_str()));
    tokio::time::sleep(Duration::from_millis(500)).await;
    tells("commit, topic taken away", m, S, sub.commit(&batch.checkpoint, &[])).await;
    tells("poll, topic taken away", m, S, async { sub.poll(MAX, Duration::from_secs(12)).await }).await;
    tells("lag, topic taken away", m, S, bus.lag(&topic, "partly-2")).await;
}
