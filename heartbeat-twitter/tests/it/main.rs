//! What the source makes of what X may do, over a local server.
#![expect(clippy::unwrap_used, reason = "a test may stop where it stands")]

mod budget;
mod conformance;
mod connection;
mod messages;
mod rules;
mod server;

use std::ops::Deref;

use heartbeat_core::{Error, Source, SourceBatch};
use heartbeat_twitter::{TwitterConfig, TwitterSource};
use tokio::net::TcpListener;
use tokio_util::task::AbortOnDropHandle;

use crate::server::{Answer, Double};

/// The double, on the network.
struct X {
    double: Double,
    url: String,
    _task: AbortOnDropHandle<()>,
}

impl Deref for X {
    type Target = Double;

    fn deref(&self) -> &Double {
        &self.double
    }
}

impl X {
    async fn new(answers: impl IntoIterator<Item = Answer>) -> Self {
        let double = Double::new(answers);
        let router = double.router.clone();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let serve = async move { axum::serve(listener, router).await.unwrap() };
        let _task = AbortOnDropHandle::new(tokio::spawn(serve));
        Self { double, url, _task }
    }

    fn config(&self) -> TwitterConfig {
        self.double.config(&self.url)
    }

    async fn source(&self) -> TwitterSource {
        TwitterSource::open(self.config()).await.unwrap()
    }
}

/// What a source gave until it ended.
#[derive(Debug, Default)]
struct Given {
    batches: Vec<SourceBatch>,
    /// Why it ended, if not in good order.
    error: Option<Error>,
}

impl Given {
    async fn by(source: &mut TwitterSource) -> Self {
        source.resume(None).await.unwrap();
        let mut given = Self::default();
        loop {
            match source.next_batch(1000).await {
                Ok(Some(batch)) => given.batches.push(batch),
                Ok(None) => return given,
                Err(error) => {
                    given.error = Some(error);
                    return given;
                }
            }
        }
    }

    fn ids(&self) -> Vec<i64> {
        let tweets = self.batches.iter().flat_map(|batch| &batch.tweets);
        tweets.map(|tweet| tweet.id.0).collect()
    }
}

/// Everything until the token is no longer good.
async fn read(x: &X) -> Given {
    let given = Given::by(&mut x.source().await).await;
    let error = given.error.as_ref().unwrap().to_string();
    assert!(
        error.contains("does not accept the access token"),
        "{error}"
    );
    given
}
