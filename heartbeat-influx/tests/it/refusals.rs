//! Points that InfluxDB refuses.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use heartbeat_core::{ErrorKind, Store};
use heartbeat_influx::InfluxStore;
use testbed::INFLUX_TOKEN;

use crate::{all, point, real};

const HOUR: i32 = 3600;

fn now() -> i32 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    i32::try_from(now.as_secs()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn seven_bad_points_of_five_thousand_are_found_and_all_others_stored() {
    // InfluxDB keeps such a bucket in shards of an hour.
    let config = real::bucket(Some(Duration::from_secs(86_400))).await;
    let others = influxdb2::Client::new(&config.url, &config.org, INFLUX_TOKEN);
    let now = now();
    let elsewhere = now - 5 * HOUR;
    // Somebody writes whole numbers there where we write shares.
    let line = format!("sentiment,task=other neu=1i {elsewhere}000000000");
    others
        .write_line_protocol(&config.org, &config.bucket, line)
        .await
        .unwrap();

    let mut points: Vec<_> = (0..5000)
        .map(|id| point(id, now - id as i32 % 600, "RU-UKR"))
        .collect();
    for index in [17, 2500, 2501] {
        points[index].value.time = elsewhere;
    }
    for index in [0, 4321] {
        points[index].value.time = now - 48 * HOUR;
    }
    points[700].value.pos = f32::NAN;
    points[4999].value.neg = f32::INFINITY;

    let store = InfluxStore::open(config).await.unwrap();
    let report = store.write(&points).await.unwrap();
    let refused: Vec<(usize, String)> = report
        .refused
        .iter()
        .map(|refused| (refused.index, refused.error.to_string()))
        .collect();
    let says = |index| match index {
        17 | 2500 | 2501 => "field type conflict",
        0 | 4321 => "retention policy",
        _ => "a score is a number from 0 to 1",
    };
    assert_eq!(refused.len(), 7, "{refused:#?}");
    for (index, text) in &refused {
        assert!(text.contains(says(*index)), "{index}: {text}");
    }
    assert!(
        report
            .refused
            .iter()
            .all(|refused| refused.error.kind() == ErrorKind::Invalid)
    );
    let indexes: Vec<usize> = refused.iter().map(|(index, _)| *index).collect();
    assert_eq!(indexes, [0, 17, 700, 2500, 2501, 4321, 4999]);

    let stored = all(&store).await;
    assert_eq!(stored.len(), 4993);
    let mut ids: Vec<i64> = stored.iter().map(|point| point.id.0).collect();
    ids.sort_unstable();
    let good: Vec<i64> = (0..5000)
        .filter(|id| !indexes.contains(&(*id as usize)))
        .collect();
    assert_eq!(ids, good);
    // Seven times the logarithm of 5000.
    println!("{} requests", store.requests());
    assert!(store.requests() <= 86, "{} requests", store.requests());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_that_is_too_old_as_a_whole_takes_one_request() {
    let store = InfluxStore::open(real::bucket(Some(Duration::from_secs(86_400))).await)
        .await
        .unwrap();
    let old: Vec<_> = (0..1000)
        .map(|id| point(id, now() - 48 * HOUR, "t"))
        .collect();
    let report = store.write(&old).await.unwrap();
    assert_eq!(report.refused.len(), 1000);
    assert_eq!(store.requests(), 1);
}
