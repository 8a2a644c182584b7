//! What is deleted, and when.

use std::time::Duration;

use crate::support::*;
use heartbeat_core::{Bus, Max};
use heartbeat_sqlite::{SqliteBus, SqliteConfig};

#[tokio::test]
async fn only_what_is_old_and_read_by_every_group_goes() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("bus.db");
    let keep = open(&path).await;
    let forget = SqliteBus::open(SqliteConfig {
        retention: Duration::ZERO,
        ..config(&path)
    })
    .await
    .unwrap();
    let (ingest, unread) = (topic("ingest"), topic("unread"));
    keep.publish(&outputs(&ingest, 0..5_000), None)
        .await
        .unwrap();
    keep.publish(&outputs(&unread, 0..10), None).await.unwrap();
    tokio::time::sleep(Duration::from_millis(5)).await;

    let mut fast = keep.subscribe(&ingest, "fast").await.unwrap();
    let mut slow = keep.subscribe(&ingest, "slow").await.unwrap();
    let all = poll_all(&mut *fast, 5_000).await;
    fast.commit(&all.checkpoint, &[]).await.unwrap();
    assert_eq!(
        forget.prune().await.unwrap(),
        0,
        "one group has read nothing yet"
    );

    let max = Max {
        messages: 4_000,
        ..ALL
    };
    let most = slow.poll(max, LONG).await.unwrap();
    assert_eq!(most.messages.len(), 4_000);
    slow.commit(&most.checkpoint, &[]).await.unwrap();
    assert_eq!(keep.prune().await.unwrap(), 0, "nothing is a week old");
    assert_eq!(forget.prune().await.unwrap(), 4_000);
    assert_eq!(forget.prune().await.unwrap(), 0);

    // The rest is there for those who need it, a new group too.
    assert_eq!(poll_all(&mut *slow, 1_000).await.messages.len(), 1_000);
    assert_eq!(total_lag(&keep, &ingest, "new").await, 1_000);
    assert_eq!(read_topic(&keep, &ingest).await.len(), 1_000);
    assert_eq!(read_topic(&keep, &unread).await.len(), 10);
}

#[tokio::test]
async fn offsets_are_never_used_again() {
    let dir = tempfile::tempdir().unwrap();
    let bus = SqliteBus::open(SqliteConfig {
        retention: Duration::ZERO,
        partitions: count(1),
        ..config(&dir.path().join("bus.db"))
    })
    .await
    .unwrap();
    let ingest = topic("ingest");
    let mut subscription = bus.subscribe(&ingest, "group").await.unwrap();
    for round in 0..3 {
        bus.publish(&outputs(&ingest, 0..10), None).await.unwrap();
        let batch = subscription.poll(ALL, LONG).await.unwrap();
        assert_eq!(batch.checkpoint.spans[&0], round * 10..round * 10 + 10);
        subscription.commit(&batch.checkpoint, &[]).await.unwrap();
        tokio::time::sleep(Duration::from_millis(5)).await;
        assert_eq!(bus.prune().await.unwrap(), 10);
        assert_eq!(total_lag(&bus, &ingest, "group").await, 0);
        assert_eq!(total_lag(&bus, &ingest, "new").await, 0);
    }
}
