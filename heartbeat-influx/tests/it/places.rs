//! Many tweets in one second.

use std::collections::BTreeSet;

use heartbeat_core::Store;

use crate::{all, point, real};

/// 2022-05-09 05:17:42 UTC.
pub(crate) const SECOND: i32 = 1_652_073_462;

/// The first id that X gave out in that second.
const FIRST: i64 = (SECOND as i64 * 1000 - 1_288_834_974_657) << 22;

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_tweets_of_one_second_are_ten_thousand_points() {
    // As X numbers them: 20 workers, each with its own numbers in every millisecond.
    let of_x = (0..10_000).map(|n| FIRST + ((n / 40) << 22 | (n % 20) << 12 | (n / 20 % 2)));
    let of_others = 1..=10_000;
    for ids in [of_x.collect::<BTreeSet<i64>>(), of_others.collect()] {
        let store = real::store().await;
        let points: Vec<_> = ids.iter().map(|id| point(*id, SECOND, "RU-UKR")).collect();
        let report = store.write(&points).await.unwrap();
        assert!(report.refused.is_empty(), "{:?}", report.refused.first());
        let stored = all(&store).await;
        assert_eq!(stored.len(), 10_000);
        assert!(stored == points, "they are not what was written");
    }
}

/// Others may write to the measurement: what is no whole point of a tweet is passed over, and more tags do no harm.
#[tokio::test(flavor = "multi_thread")]
async fn points_of_others_are_passed_over() {
    let config = real::bucket(None).await;
    let others = influxdb2::Client::new(&config.url, &config.org, testbed::INFLUX_TOKEN);
    let lines = format!(
        "sentiment,task=t pos=0.5 {SECOND}000000001\nsentiment pos=0.5 {SECOND}000000002\nsentiment,task=t other=\"x\" {SECOND}000000003\n\
         sentiment,task=t,lang=en id=4i,neg=0.25,neu=0.25,pos=0.5 {SECOND}000000004\nother,task=t pos=0.5 {SECOND}000000005\n"
    );
    others
        .write_line_protocol(&config.org, &config.bucket, lines)
        .await
        .unwrap();
    let store = heartbeat_influx::InfluxStore::open(config).await.unwrap();
    store.write(&[point(5, SECOND, "t")]).await.unwrap();
    let ids: Vec<i64> = all(&store).await.iter().map(|point| point.id.0).collect();
    assert_eq!(ids, [4, 5]);
    let query = heartbeat_core::Query::default();
    let windows = store
        .summarize(&query, std::time::Duration::from_secs(60))
        .await
        .unwrap();
    assert_eq!(windows.iter().map(|window| window.count).sum::<u64>(), 2);
}
