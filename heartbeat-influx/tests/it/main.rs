//! A store on a real InfluxDB.
#![expect(clippy::unwrap_used, reason = "a test may stop where it stands")]

#[path = "../real/mod.rs"]
mod real;

mod collisions;
mod dashboard;
mod kill;
mod names;
mod places;
mod refusals;
mod tls;

use heartbeat_core::{Keyed, Page, Query, Sentiment, Store, TweetId};

/// A point; its scores follow from its id.
fn point(id: i64, time: i32, task: &str) -> Keyed<Sentiment> {
    let pos = (id.rem_euclid(100)) as f32 / 100.0;
    let (neu, neg) = ((1.0 - pos) * 0.75, (1.0 - pos) * 0.25);
    let task = task.to_owned();
    Keyed {
        id: TweetId(id),
        value: Sentiment {
            time,
            task,
            pos,
            neu,
            neg,
        },
    }
}

async fn all(store: &dyn Store) -> Vec<Keyed<Sentiment>> {
    let page = Page::first(usize::MAX);
    store.read(&Query::default(), &page).await.unwrap()
}
