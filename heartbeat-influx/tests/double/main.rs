//! What the store does of what a server may answer, over a local double.
#![expect(clippy::unwrap_used, reason = "a test may stop where it stands")]

mod collisions;
mod queries;
mod server;
mod stage;
mod trouble;
mod writes;

use heartbeat_core::{Keyed, Sentiment, TweetId};

fn point(id: i64, task: &str) -> Keyed<Sentiment> {
    let (time, task, pos, neu, neg) = (1_652_073_462, task.to_owned(), 0.5, 0.5, 0.0);
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

fn points(count: i64) -> Vec<Keyed<Sentiment>> {
    (0..count).map(|id| point(id, "t")).collect()
}
