//! What the source makes of what Jetstream may do, over local servers.
#![expect(clippy::unwrap_used, reason = "a test may stop where it stands")]

mod conformance;
mod connection;
mod messages;
#[allow(dead_code, reason = "the tests by another clock use more of it")]
mod server;

use std::ops::Deref;

use heartbeat_bluesky::{BlueskyConfig, BlueskySource};
use heartbeat_core::Position;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::server::{Answer, Double, Given, Log, config};

/// Hosts on the network, each with its address.
struct Hosts {
    double: Double,
    urls: Vec<String>,
    tasks: Vec<JoinHandle<()>>,
}

impl Deref for Hosts {
    type Target = Double;

    fn deref(&self) -> &Double {
        &self.double
    }
}

impl Drop for Hosts {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

impl Hosts {
    async fn new(answers: impl IntoIterator<Item = Answer>) -> Self {
        Self::of(Double::new(answers), 1).await
    }

    async fn with_log(messages: Vec<(i64, String)>) -> Self {
        let log = Log {
            messages,
            ..Log::default()
        };
        Self::of(Double::with_log(log, []), 2).await
    }

    async fn of(double: Double, count: usize) -> Self {
        let (mut urls, mut tasks) = (Vec::new(), Vec::new());
        for host in 0..count {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            urls.push(format!("ws://{}", listener.local_addr().unwrap()));
            let double = double.clone();
            tasks.push(tokio::spawn(async move {
                while let Ok((tcp, _)) = listener.accept().await {
                    tcp.set_nodelay(true).unwrap();
                    let double = double.clone();
                    tokio::spawn(async move { double.serve(host, tcp).await });
                }
            }));
        }
        Self {
            double,
            urls,
            tasks,
        }
    }

    fn config(&self) -> BlueskyConfig {
        config(&self.urls)
    }
}

impl Given {
    async fn by(config: &BlueskyConfig, position: Option<Position>) -> Self {
        let mut source = BlueskySource::open(config).await.unwrap();
        Self::of(&mut source, position).await
    }
}

/// Everything until the time has come to end.
async fn read(hosts: &Hosts) -> Given {
    let given = Given::by(&hosts.config(), None).await;
    assert!(given.error.is_none(), "{given:?}");
    given
}
