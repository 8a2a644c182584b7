//! The promises of the traits as tests, for every backend to run.
//!
//! A backend writes one file, `tests/conformance.rs`, with a harness that makes what is under test, and
//! calls [`bus::all`], [`store::all`], [`analyzer::all`] or [`source::all`]. Each promise is also a function
//! of its own, and listed by its name in `PROMISES`. They panic, as tests do, where a promise is broken.
//!
//! ```
//! # use heartbeat_core::{Analyzer, Result, Scores};
//! # #[derive(Debug)]
//! # struct Mine;
//! # #[async_trait::async_trait]
//! # impl Analyzer for Mine {
//! #     async fn analyze(&self, texts: &[&str]) -> Result<Vec<Scores>> {
//! #         texts.iter().map(|_| Scores::new(0.0, 1.0, 0.0)).collect()
//! #     }
//! # }
//! # tokio::runtime::Runtime::new().unwrap().block_on(async {
//! heartbeat_core::conformance::analyzer::all(&Mine, 1e-6).await;
//! # });
//! ```
#![expect(
    clippy::unwrap_used,
    clippy::missing_panics_doc,
    clippy::print_stdout,
    reason = "tests panic, and say on the captured output which promise they are at"
)]

/// Lists the promises of a trait by their names.
macro_rules! promises {
    (for<$life:lifetime> $arguments:tt; $($promise:ident,)*) => {
        /// Every promise: its name, and the function that panics where it is broken.
        pub const PROMISES: &[(
            &str,
            for<$life> fn $arguments -> futures_util::future::BoxFuture<$life, ()>,
        )] = &[$((stringify!($promise), promises!(@boxed $promise $arguments))),*];
    };
    (@boxed $promise:ident ($($argument:ident: $type:ty),*)) => {
        |$($argument),*| Box::pin($promise($($argument),*))
    };
}

pub mod analyzer;
pub mod bus;
pub mod flow;
pub mod source;
pub mod store;

use std::hash::{BuildHasher, RandomState};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;

use crate::bus::{Batch, Max, Subscription};
use crate::message::{Envelope, Message, Output, Payload, Topic};
use crate::record::{Keyed, Record, Tweet, TweetId};

/// More than any of these tests publishes at once.
pub(crate) const PLENTY: Max = Max {
    messages: 10_000,
    bytes: 64 << 20,
};

/// A poll that brings nothing takes this long.
pub(crate) const SHORT: Duration = Duration::from_millis(100);

/// A name that no other test uses, on this service or any other.
pub(crate) fn unique(stem: &str) -> String {
    format!("{stem}-{:016x}", random())
}

/// A random number: `RandomState` is seeded anew for each.
pub(crate) fn random() -> u64 {
    RandomState::new().hash_one(())
}

/// A random number from 1 to `most`.
pub(crate) fn any_of(most: u64) -> usize {
    (random() % most) as usize + 1
}

/// Gives a call up when it waits for the `waits`th time, as a caller that is killed does; `None` then.
pub(crate) async fn given_up<T>(call: impl Future<Output = T>, waits: usize) -> Option<T> {
    let mut call = pin!(call);
    let mut left = waits;
    std::future::poll_fn(move |context| {
        let polled = call.as_mut().poll(context).map(Some);
        left = left.saturating_sub(1);
        if polled.is_pending() && left == 0 {
            return Poll::Ready(None);
        }
        polled
    })
    .await
}

pub(crate) fn tweet(id: i64) -> Keyed<Tweet> {
    Keyed {
        id: TweetId(id),
        value: Tweet {
            time: 1_652_073_462,
            content: format!("tweet {id}"),
            task: "RU-UKR".into(),
        },
    }
}

/// A tweet under its id, on its way to `topic`.
pub(crate) fn output(topic: &Topic, id: i64) -> Output {
    Output {
        topic: topic.clone(),
        envelope: tweet(id).to_envelope().unwrap(),
    }
}

/// Bytes without a schema.
pub(crate) fn raw(topic: &Topic, key: &'static [u8], value: Vec<u8>) -> Output {
    Output {
        topic: topic.clone(),
        envelope: Envelope::new(
            Bytes::from_static(key),
            Payload::Raw {
                bytes: value.into(),
                reason: String::new(),
            },
        ),
    }
}

/// The tweet's number.
pub(crate) fn id_of(message: &Message) -> i64 {
    TweetId::from_key(&message.envelope.key).unwrap().0
}

/// A record decoded from a message that must hold one.
pub(crate) fn decoded<T: Record>(message: &Message) -> Keyed<T> {
    Keyed::from_message(message).unwrap().unwrap()
}

/// Polls until `count` messages are there; panics when they do not come for `patience`.
pub(crate) async fn poll_count(
    subscription: &mut dyn Subscription,
    count: usize,
    patience: Duration,
) -> Batch {
    let mut whole = Batch::default();
    let mut quiet_since = tokio::time::Instant::now();
    while whole.messages.len() < count {
        let batch = subscription.poll(PLENTY, SHORT).await.unwrap();
        if batch.is_empty() {
            assert!(
                quiet_since.elapsed() < patience,
                "{} of {count} messages came",
                whole.messages.len()
            );
        } else {
            quiet_since = tokio::time::Instant::now();
        }
        whole.append(batch);
    }
    assert_eq!(whole.messages.len(), count, "more messages than published");
    whole
}
