//! What every source promises.

use async_trait::async_trait;
use heartbeat_core::Source;
use heartbeat_core::conformance::source::{SourceHarness, all};
use heartbeat_twitter::TwitterSource;

use crate::X;
use crate::server::{Answer, Step, post_of, posts, send, wait};

/// Breaks off, says other things, sends some again, and ends when 33 messages are paid for.
struct Harness;

#[async_trait]
impl SourceHarness for Harness {
    async fn open(&self) -> Box<dyn Source> {
        let x = X::new([
            Answer::Stream(vec![
                posts(1..=10),
                send("\r\n{}\r\n<html>\r\n"),
                Step::Break,
            ]),
            Answer::Stream(vec![posts(8..=28), send("{\"data\":{}}\r\n")]),
            Answer::Gzip(vec![
                send(post_of(29, &["A"])),
                posts(20..=40),
                wait(1000.0),
            ]),
        ])
        .await;
        let mut config = x.config();
        config.budget.day = Some(33);
        let source = TwitterSource::open(config).await.unwrap();
        // As long as the test runs.
        std::mem::forget(x);
        Box::new(source)
    }

    fn resumable(&self) -> bool {
        false
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn it_keeps_every_promise_of_a_source() {
    all(&Harness).await;
}
