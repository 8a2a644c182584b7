//! What is counted.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use metrics::{
    Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit,
    set_default_local_recorder,
};

use super::server::{moment, post_of};
use super::*;

/// Counters by their names.
#[derive(Debug, Default)]
struct Counts(Mutex<BTreeMap<String, Arc<AtomicU64>>>);

impl Recorder for Counts {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        let mut counters = self.0.lock().unwrap();
        Counter::from_arc(counters.entry(key.name().to_owned()).or_default().clone())
    }

    fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::noop()
    }

    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::noop()
    }
}

#[tokio::test(start_paused = true)]
async fn every_message_is_counted_as_what_it_is() {
    let counts = Counts::default();
    let _guard = set_default_local_recorder(&counts);
    let change = |n: i64, operation: &str| {
        let operation = format!("{operation:?}");
        send(&post(n, time(n)).replace("\"create\"", &operation))
    };
    let double = Double::new([
        Answer::Stream(vec![
            posts([9, 10, 11]),
            send(&post_of(12, time(12), "both of ukraine 12")),
            change(13, "update"),
            change(14, "delete"),
            change(15, "delete"),
            send(&post_of(16, time(16), "nothing of interest")),
            send("<html>"),
            send(r#"{"kind":"identity"}"#),
        ]),
        Answer::Stream(vec![posts([16, 17])]),
        Answer::Stream(vec![send(&post_of(16, time(17), "nothing")), posts([17])]),
    ]);
    let mut config = hosts(1);
    config.since = Some(moment(time(10)));
    let given = Given::from(&double, &config, None).await;
    assert_eq!(given.numbers(), [10, 11, 12, 12, 16, 17]);
    let counted = counts.0.lock().unwrap();
    let counted = counted.iter().map(|(name, count)| {
        let name = name.strip_prefix("heartbeat_bluesky_").unwrap();
        (name, count.load(Ordering::Relaxed))
    });
    let expected = [
        ("connections_total", 4),
        ("deletes_total", 2),
        ("duplicates_total", 1),
        ("other_messages_total", 1),
        ("posts_total", 5),
        ("unwanted_total", 3),
        ("updates_total", 1),
    ];
    assert_eq!(counted.collect::<Vec<_>>(), expected);
}
