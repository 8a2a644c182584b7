//! The texts that wait, and which of them the model takes next.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::mem;
use std::sync::Arc;

use heartbeat_core::Result;
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};

use super::Limits;

pub(super) type Reply = oneshot::Sender<Result<[f32; 3]>>;

/// A text, who wants it scored, and the room in the queue that it takes until the model does.
pub(super) struct Request {
    pub(super) ids: Arc<[u32]>,
    pub(super) reply: Reply,
    pub(super) room: OwnedSemaphorePermit,
}

/// A text on its way through the model, for everybody who wants it.
pub(super) struct Text {
    pub(super) ids: Arc<[u32]>,
    replies: Vec<Reply>,
}

impl Text {
    /// Answers once; to do it again does nothing.
    pub(super) fn answer(&mut self, scores: &Result<[f32; 3]>) {
        for reply in mem::take(&mut self.replies) {
            // Whoever asked may have stopped waiting.
            let _ = reply.send(scores.clone());
        }
    }
}

/// The texts that wait, each of them once.
///
/// A batch is the text that has waited longest and those nearest to it in length, for attention works on
/// texts of equal length together. A text that too many batches have passed over is overdue, and
/// what is overdue goes first, in the order it came: so nothing waits for ever.
pub(super) struct Pool {
    waiting: HashMap<Arc<[u32]>, Waiting>,
    batch_tokens: usize,
    /// After so many batches a text is overdue.
    patience: u64,
    /// How many texts have come so far.
    arrived: u64,
    /// How many batches have been taken so far.
    taken: u64,
}

struct Waiting {
    /// Its place in the order of arrival.
    number: u64,
    /// How many batches had been taken when it came.
    since: u64,
    replies: Vec<Reply>,
    _room: OwnedSemaphorePermit,
}

impl Pool {
    pub(super) fn new(limits: Limits) -> Self {
        let full = limits.queue_tokens.div_ceil(limits.batch_tokens);
        Self {
            waiting: HashMap::new(),
            batch_tokens: limits.batch_tokens,
            // Behind a full queue, a text waits for half of that on average.
            patience: 2 * full as u64,
            arrived: 0,
            taken: 0,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Adds all that has come, but whoever wants one of `texts`, which are scored by now, to that text.
    pub(super) fn add_all(
        &mut self,
        queue: &mut mpsc::UnboundedReceiver<Vec<Request>>,
        texts: &mut [Text],
    ) {
        let mut places = HashMap::new();
        for (place, text) in texts.iter().enumerate() {
            places.insert(Arc::clone(&text.ids), place);
        }
        while let Ok(requests) = queue.try_recv() {
            for request in requests {
                match places.get(&request.ids) {
                    Some(&place) => texts[place].replies.push(request.reply),
                    None => self.add(request),
                }
            }
        }
    }

    /// Adds a text, or who wants it to the text that waits already.
    pub(super) fn add(&mut self, request: Request) {
        let Request { ids, reply, room } = request;
        if let Some(waiting) = self.waiting.get_mut(&ids) {
            waiting.replies.push(reply);
            return;
        }
        let waiting = Waiting {
            number: self.arrived,
            since: self.taken,
            replies: vec![reply],
            _room: room,
        };
        self.arrived += 1;
        self.waiting.insert(ids, waiting);
    }

    /// Takes what is to be scored next, shorter texts first. Empty when nobody waits for anything.
    pub(super) fn next_batch(&mut self) -> Vec<Text> {
        self.waiting.retain(|_, waiting| {
            waiting.replies.retain(|reply| !reply.is_closed());
            !waiting.replies.is_empty()
        });
        let Some((oldest, _)) = self.waiting.iter().min_by_key(|(_, text)| text.number) else {
            return Vec::new();
        };
        let mut order: Vec<(Urgency, Arc<[u32]>)> = self
            .waiting
            .iter()
            .map(|(ids, text)| {
                let overdue = self.taken - text.since >= self.patience;
                let distance = if overdue {
                    0
                } else {
                    ids.len().abs_diff(oldest.len())
                };
                ((Reverse(overdue), distance, text.number), Arc::clone(ids))
            })
            .collect();
        order.sort_unstable_by_key(|(urgency, _)| *urgency);

        self.taken += 1;
        let mut tokens = 0;
        let mut batch = Vec::new();
        for (_, ids) in order {
            tokens += ids.len();
            if !batch.is_empty() && tokens > self.batch_tokens {
                break;
            }
            if let Some(Waiting { replies, .. }) = self.waiting.remove(&ids) {
                batch.push(Text { ids, replies });
            }
        }
        batch.sort_by_key(|text| text.ids.len());
        batch
    }
}

/// Smaller goes first: what is overdue, then by the distance in length, then by age.
type Urgency = (Reverse<bool>, usize, u64);
