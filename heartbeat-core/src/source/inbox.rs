//! What a task that reads a stream hands to its source.

use std::collections::VecDeque;

use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;

use super::{Position, Raw, Rejected, SourceBatch};
use crate::error::Result;
use crate::record::{Keyed, Tweet};

/// What one message of a stream came to.
#[derive(Debug)]
pub struct Received {
    /// Its tweets, or why it is no post.
    pub found: Result<Vec<Keyed<Tweet>>, Rejected>,
    /// Where the stream is behind it; `None` when it cannot be resumed.
    pub position: Option<Position>,
    /// The message, when it is to be kept.
    pub raw: Option<Raw>,
}

impl Received {
    /// What it counts for in a batch.
    fn size(&self) -> usize {
        self.found.as_ref().map_or(1, Vec::len)
    }
}

/// Takes messages from a task that reads ahead, so that a [`Source`](crate::Source) over a live stream loses nothing when
/// [`next_batch`](crate::Source::next_batch) is dropped.
///
/// The task hands over messages, at last perhaps an error. It is aborted when this is dropped.
#[derive(Debug)]
pub struct Inbox {
    messages: mpsc::Receiver<Result<Received>>,
    /// Received and not yet given.
    ready: VecDeque<Received>,
    /// How it ended, once it has.
    end: Option<Result<()>>,
    _task: AbortOnDropHandle<()>,
}

impl Inbox {
    /// Starts a task on the runtime that this is called on. So many messages may lie `ahead`; then it has to wait.
    pub fn start<F>(ahead: usize, task: impl FnOnce(mpsc::Sender<Result<Received>>) -> F) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let (sender, messages) = mpsc::channel(ahead);
        Self {
            messages,
            ready: VecDeque::new(),
            end: None,
            _task: AbortOnDropHandle::new(tokio::spawn(task(sender))),
        }
    }

    /// What [`Source::next_batch`](crate::Source::next_batch) gives: whole messages, at least one, `None` when the task has
    /// ended well.
    ///
    /// # Errors
    /// The task's.
    pub async fn next_batch(&mut self, max: usize) -> Result<Option<SourceBatch>> {
        while self.ready.is_empty() {
            if let Some(end) = &self.end {
                return end.clone().map(|()| None);
            }
            let message = self.messages.recv().await;
            self.receive(message);
        }
        // Whatever else is there by now.
        while self.ready.len() < max
            && let Ok(message) = self.messages.try_recv()
        {
            self.receive(Some(message));
        }
        Ok(Some(self.batch(max)))
    }

    fn receive(&mut self, message: Option<Result<Received>>) {
        match message {
            Some(Ok(message)) => self.ready.push_back(message),
            Some(Err(error)) => self.end = Some(Err(error)),
            None => _ = self.end.get_or_insert(Ok(())),
        }
    }

    fn batch(&mut self, max: usize) -> SourceBatch {
        let mut batch = SourceBatch::default();
        let mut taken = 0;
        while let Some(message) = self
            .ready
            .pop_front_if(|message| taken == 0 || taken + message.size() <= max)
        {
            taken += message.size();
            match message.found {
                Ok(tweets) => batch.tweets.extend(tweets),
                Err(rejected) => batch.rejected.push(rejected),
            }
            batch.position = message.position.or(batch.position);
            batch.raw.extend(message.raw);
        }
        batch
    }
}
