//! One thread that owns the model, and the queue in front of it.
//!
//! Texts come as token ids. What waits is bounded in tokens: whoever brings more waits too. The
//! thread takes everything that has come, chooses a batch of it, scores it and answers each text
//! by itself, so that one that fails harms nobody else.

mod batch;
mod engine;
mod pool;
#[cfg(test)]
mod tests;

use std::fmt;
use std::mem;
use std::sync::Arc;
use std::thread;

use heartbeat_core::{Error, Result};
use tokio::sync::{Semaphore, mpsc, oneshot};

use engine::Engine;
use pool::{Pool, Request};

/// What scores batches. It lives and dies on the worker's thread.
pub(crate) trait Model: 'static {
    /// The shares negative, neutral and positive of each text, in the texts' order.
    fn score(&self, texts: &[&[u32]]) -> Result<Vec<[f32; 3]>>;
}

/// How much at once.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// At most so many tokens go through the model at once; a text that has more goes alone.
    pub(crate) batch_tokens: usize,
    /// At most so many tokens wait; a text that has more waits alone.
    pub(crate) queue_tokens: usize,
}

/// A handle of the thread, which ends soon after its handle is dropped.
pub(crate) struct Worker {
    requests: mpsc::UnboundedSender<Vec<Request>>,
    /// A permit for each token that may wait.
    room: Arc<Semaphore>,
    size: u32,
}

/// What will become of one text. Dropped, the text is not scored, unless it already is on its way
/// through the model.
pub(crate) struct Answer(oneshot::Receiver<Result<[f32; 3]>>);

impl Worker {
    /// Starts the thread and makes the model there: at once, and anew whenever it panics.
    pub(crate) async fn start<M: Model>(
        limits: Limits,
        make: impl FnMut() -> Result<M> + Send + 'static,
    ) -> Result<Self> {
        let (requests, queue) = mpsc::unbounded_channel();
        let (started, answer) = oneshot::channel();
        thread::Builder::new()
            .name("heartbeat-torch".to_owned())
            .spawn(move || match Engine::start(make) {
                Ok(engine) => {
                    // When nobody waits for the answer, nobody holds the queue's other end either.
                    let _ = started.send(Ok(()));
                    batch::serve(engine, Pool::new(limits), queue);
                }
                Err(error) => {
                    let _ = started.send(Err(error));
                }
            })
            .map_err(|error| Error::unavailable("cannot start a thread").caused_by(error))?;
        answer.await.unwrap_or_else(|_| Err(gone()))?;

        let size = u32::try_from(limits.queue_tokens).unwrap_or(u32::MAX);
        Ok(Self {
            requests,
            room: Arc::new(Semaphore::new(size as usize)),
            size,
        })
    }

    /// Puts `texts` into the queue, as there is room: an answer to come for each, in their order.
    pub(crate) async fn submit(&self, texts: Vec<Vec<u32>>) -> Result<Vec<Answer>> {
        let mut answers = Vec::with_capacity(texts.len());
        let mut requests = Vec::new();
        for ids in texts {
            let tokens = u32::try_from(ids.len()).map_or(self.size, |n| n.clamp(1, self.size));
            let room = match Arc::clone(&self.room).try_acquire_many_owned(tokens) {
                Ok(room) => room,
                Err(_) => {
                    // Sent first: otherwise this would wait for the room that it holds itself.
                    self.send(mem::take(&mut requests))?;
                    let room = Arc::clone(&self.room).acquire_many_owned(tokens).await;
                    room.map_err(|_| gone())?
                }
            };
            let (reply, answer) = oneshot::channel();
            requests.push(Request {
                ids: ids.into(),
                reply,
                room,
            });
            answers.push(Answer(answer));
        }
        self.send(requests)?;
        Ok(answers)
    }

    fn send(&self, requests: Vec<Request>) -> Result<()> {
        self.requests.send(requests).map_err(|_| gone())
    }
}

impl fmt::Debug for Worker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Worker").finish_non_exhaustive()
    }
}

impl Answer {
    /// The shares negative, neutral and positive, or why this text has none.
    pub(crate) async fn wait(self) -> Result<[f32; 3]> {
        self.0.await.unwrap_or_else(|_| Err(gone()))
    }
}

/// The thread survives whatever the model does: only a bug of its own ends it early.
fn gone() -> Error {
    Error::internal("the model's thread is gone")
}
