//! What the worker does, seen by its callers and by its model.

mod batches;
mod failures;
mod queue;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use heartbeat_core::{Error, Result};
use tokio::sync::{self, OwnedMutexGuard, oneshot};
use tokio::time::{sleep, timeout};

use super::{Limits, Model, Worker};

/// More than any of these tests fills.
const WIDE: Limits = Limits {
    batch_tokens: 1000,
    queue_tokens: 10_000,
};

/// Longer than anything here takes: what is not there by then hangs.
const LONG: Duration = Duration::from_secs(20);

type Scored = Result<Vec<[f32; 3]>>;

type Behaviour = dyn Fn(&[&[u32]]) -> Scored + Send + Sync;

/// A worker, and what its model sees.
struct Fixture {
    worker: Worker,
    seen: Seen,
    /// Whoever has it stops the model.
    gate: Arc<sync::Mutex<()>>,
    /// How many models were made.
    made: Arc<AtomicUsize>,
    /// Comes when a model is dropped for good.
    ended: oneshot::Receiver<()>,
}

/// Every batch that came to the model.
type Seen = Arc<Mutex<Vec<Vec<Vec<u32>>>>>;

/// A model that does as a function tells.
struct Fake {
    behave: Arc<Behaviour>,
    seen: Seen,
    gate: Arc<sync::Mutex<()>>,
    _ended: Arc<oneshot::Sender<()>>,
}

impl Model for Fake {
    fn score(&self, texts: &[&[u32]]) -> Scored {
        let batch = texts.iter().map(|ids| ids.to_vec()).collect();
        self.seen.lock().unwrap().push(batch);
        drop(self.gate.blocking_lock());
        (self.behave)(texts)
    }
}

/// What the fakes make of a text: another text, other shares.
fn shares(ids: &[u32]) -> [f32; 3] {
    [
        ids[0] as f32,
        ids.len() as f32,
        ids.iter().sum::<u32>() as f32,
    ]
}

fn all_shares(texts: &[&[u32]]) -> Scored {
    Ok(texts.iter().map(|ids| shares(ids)).collect())
}

/// As [`all_shares`], but for batches that hold `bad`.
fn unless(bad: u32, otherwise: impl Fn() -> Scored) -> impl Fn(&[&[u32]]) -> Scored {
    move |texts| {
        if texts.iter().any(|ids| ids.contains(&bad)) {
            otherwise()
        } else {
            all_shares(texts)
        }
    }
}

impl Fixture {
    async fn start(
        limits: Limits,
        behave: impl Fn(&[&[u32]]) -> Scored + Send + Sync + 'static,
    ) -> Self {
        Self::made_by(limits, behave, |_| Ok(())).await.unwrap()
    }

    /// `load` is told how many models were made before, and may refuse another.
    async fn made_by(
        limits: Limits,
        behave: impl Fn(&[&[u32]]) -> Scored + Send + Sync + 'static,
        load: impl Fn(usize) -> Result<()> + Send + 'static,
    ) -> Result<Self> {
        let (seen, gate, made) = (
            Seen::default(),
            Arc::default(),
            Arc::<AtomicUsize>::default(),
        );
        let (end, ended) = oneshot::channel();
        let make = {
            let (seen, gate, made) = (Arc::clone(&seen), Arc::clone(&gate), Arc::clone(&made));
            let (behave, end) = (Arc::new(behave), Arc::new(end));
            move || {
                load(made.load(Ordering::SeqCst))?;
                made.fetch_add(1, Ordering::SeqCst);
                Ok(Fake {
                    behave: Arc::clone(&behave) as _,
                    seen: Arc::clone(&seen),
                    gate: Arc::clone(&gate),
                    _ended: Arc::clone(&end),
                })
            }
        };
        Ok(Self {
            worker: Worker::start(limits, make).await?,
            seen,
            gate,
            made,
            ended,
        })
    }

    /// Occupies the model with a text of its own, until what this returns is dropped: what is
    /// submitted meanwhile is there at once.
    async fn occupy(&self) -> OwnedMutexGuard<()> {
        let guard = Arc::clone(&self.gate).lock_owned().await;
        let before = self.batches().len();
        let text = vec![vec![1_000_000 + before as u32]];
        // Dropped, the answer is not waited for: the text itself must be on its way by then.
        let _answer = self.worker.submit(text).await.unwrap();
        self.until(before + 1).await;
        guard
    }

    /// Waits until the model has seen `count` batches.
    async fn until(&self, count: usize) {
        let reached = async {
            while self.batches().len() < count {
                sleep(Duration::from_millis(1)).await;
            }
        };
        timeout(LONG, reached)
            .await
            .expect("the model sees the batch");
    }

    /// Scores `texts` in one call, each with its own outcome.
    async fn score(&self, texts: Vec<Vec<u32>>) -> Vec<Result<[f32; 3]>> {
        timeout(LONG, score(&self.worker, texts))
            .await
            .expect("an answer")
    }

    fn batches(&self) -> Vec<Vec<Vec<u32>>> {
        self.seen.lock().unwrap().clone()
    }

    fn models_made(&self) -> usize {
        self.made.load(Ordering::SeqCst)
    }
}

async fn score(worker: &Worker, texts: Vec<Vec<u32>>) -> Vec<Result<[f32; 3]>> {
    let answers = match worker.submit(texts).await {
        Ok(answers) => answers,
        Err(error) => return vec![Err(error)],
    };
    let mut scores = Vec::new();
    for answer in answers {
        scores.push(answer.wait().await);
    }
    scores
}

fn invalid() -> Error {
    Error::invalid("no such token")
}

/// Texts of one token each.
fn ones(ids: impl IntoIterator<Item = u32>) -> Vec<Vec<u32>> {
    ids.into_iter().map(|id| vec![id]).collect()
}
