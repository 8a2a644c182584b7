//! A stage that writes to a server which is not always good.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use heartbeat_core::{Bus, ErrorKind, Idle, Output, Stage, StageOptions, transfer};
use heartbeat_mock::MemoryBus;
use wiremock::ResponseTemplate;

use crate::point;
use crate::server::{Double, refusing, told};

/// The stage waits as long as it is asked to and goes on; what is refused becomes a dead letter, and nothing is committed
/// for a store that is wrong.
#[tokio::test]
async fn a_stage_outlasts_a_busy_server_and_stops_for_a_wrong_one() {
    static CALLS: AtomicUsize = AtomicUsize::new(0);
    let double = Double::writes(|lines| match CALLS.fetch_add(1, Relaxed) {
        0 => told(429, "slow down").append_header("Retry-After", "1"),
        1 => told(503, "away"),
        2 => ResponseTemplate::new(204).set_delay(Duration::from_secs(2)),
        _ => refusing(&[5])(lines),
    })
    .await;
    let bus = MemoryBus::default();
    let mut options = StageOptions::new(Stage::Transfer);
    options.idle = Idle::AfterEmptyPolls(1);
    options.wait = Duration::from_millis(50);
    let outputs: Vec<Output> = (0..20)
        .map(|id| Output {
            topic: options.topics.sentiment.clone(),
            envelope: point(id, "t").to_envelope().unwrap(),
        })
        .collect();
    bus.publish(&outputs, None).await.unwrap();
    let started = Instant::now();
    let summary = transfer(&bus, Arc::new(double.store().await), &options)
        .await
        .unwrap();
    assert_eq!(
        (summary.written, summary.dead_letters, summary.retries),
        (19, 1, 3)
    );
    assert!(
        started.elapsed() >= Duration::from_secs(1),
        "{:?}",
        started.elapsed()
    );

    let wrong = Double::writes(|_| told(403, "insufficient permissions for write")).await;
    let mut options = options.clone();
    options.group = "another".to_owned();
    let error = transfer(&bus, Arc::new(wrong.store().await), &options)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Misconfigured);
    let lag = bus.lag(&options.topics.sentiment, "another").await.unwrap();
    assert_eq!(
        lag.iter().map(|partition| partition.messages).sum::<u64>(),
        20
    );
}
