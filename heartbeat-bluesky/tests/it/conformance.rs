//! What every source promises.

use async_trait::async_trait;
use heartbeat_bluesky::BlueskySource;
use heartbeat_core::Source;
use heartbeat_core::conformance::source::{SourceHarness, all};

use crate::Hosts;
use crate::server::{Answer, Double, END, Log, Step, moment, post, post_of, time};

/// Breaks off, says other things, and ends when the time has come.
struct Harness;

#[async_trait]
impl SourceHarness for Harness {
    async fn open(&self) -> Box<dyn Source> {
        let mut messages: Vec<_> = (0..40).map(|n| (time(n), post(n, time(n)))).collect();
        let others = [
            (5, post_of(50, time(5) + 1, "nothing of interest")),
            (7, "<html>".to_owned()),
            (20, r#"{"did":"did:plc:a"#.to_owned()),
            (
                20,
                post_of(51, time(20) + 1, "ukraine").replace("\"text\"", "\"tixt\""),
            ),
            (30, post(30, time(30)).replace("create", "delete")),
        ];
        for (n, message) in others {
            messages.push((time(n) + 1, message));
        }
        messages.push((END, r#"{"kind":"account","time_us":TIME}"#.to_owned()));
        messages.sort_by_key(|(time, _)| *time);
        let log = Log {
            messages,
            ..Log::default()
        };
        // Each is more than what comes again behind a break: where nothing is new, there would be a wait.
        let pieces = [12, 7, 5, 9].map(|most| Answer::Stream(vec![Step::Log(most), Step::Close]));
        let hosts = Hosts::of(Double::with_log(log, pieces), 2).await;
        let mut config = hosts.config();
        config.since = Some(moment(time(0)));
        let source = BlueskySource::open(&config).await.unwrap();
        // As long as the test runs.
        std::mem::forget(hosts);
        Box::new(source)
    }

    fn resumable(&self) -> bool {
        true
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn it_keeps_every_promise_of_a_source() {
    all(&Harness).await;
}
