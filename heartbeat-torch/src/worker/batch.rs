//! What the thread does: batch after batch.

use std::time::Instant;

use metrics::{Counter, Histogram, counter, histogram};
use tokio::sync::mpsc;
use tracing::debug;

use super::Model;
use super::engine::{Engine, Failure};
use super::pool::{Pool, Request, Text};

/// Scores what comes, until nobody can send any more.
pub(super) fn serve<M: Model>(
    mut engine: Engine<M>,
    mut pool: Pool,
    mut queue: mpsc::UnboundedReceiver<Vec<Request>>,
) {
    let counters = Counters::new();
    loop {
        // Only who has nothing to do waits: a lone text goes at once.
        if pool.is_empty() {
            match queue.blocking_recv() {
                Some(requests) => requests.into_iter().for_each(|request| pool.add(request)),
                None => return,
            }
        }
        pool.add_all(&mut queue, &mut []);
        let mut batch = pool.next_batch();
        score(&mut engine, &mut batch, &counters, &mut |texts| {
            pool.add_all(&mut queue, texts);
        });
    }
}

/// Answers every one of `texts`, and first lets `join` find who has come meanwhile and wants one of
/// them too. A batch that fails is scored in parts, to find the text at fault; when memory is short,
/// parts need less of it.
fn score<M: Model>(
    engine: &mut Engine<M>,
    texts: &mut [Text],
    counters: &Counters,
    join: &mut impl FnMut(&mut [Text]),
) {
    if texts.is_empty() {
        return;
    }
    let started = Instant::now();
    let ids: Vec<&[u32]> = texts.iter().map(|text| &*text.ids).collect();
    let (error, part) = match engine.score(&ids) {
        Ok(scores) => {
            counters.scored(&ids, started);
            join(texts);
            for (text, scores) in texts.iter_mut().zip(scores) {
                text.answer(&Ok(scores));
            }
            return;
        }
        Err(Failure::Lost(error)) => (error, texts.len()),
        Err(Failure::Refused(error)) => (error, texts.len().div_ceil(2)),
        // Each panic costs a load: one by one there are the fewest.
        Err(Failure::Panicked(error)) => (error, 1),
    };
    if part < texts.len() {
        for part in texts.chunks_mut(part) {
            score(engine, part, counters, join);
        }
    } else {
        for text in texts {
            text.answer(&Err(error.clone()));
        }
    }
}

/// Counts for `metrics` what goes through the model.
struct Counters {
    texts: Counter,
    tokens: Counter,
    seconds: Histogram,
}

impl Counters {
    fn new() -> Self {
        Self {
            texts: counter!("heartbeat_model_texts_total"),
            tokens: counter!("heartbeat_model_tokens_total"),
            seconds: histogram!("heartbeat_model_batch_seconds"),
        }
    }

    fn scored(&self, texts: &[&[u32]], started: Instant) {
        let tokens: usize = texts.iter().map(|ids| ids.len()).sum();
        let seconds = started.elapsed().as_secs_f64();
        debug!(texts = texts.len(), tokens, seconds, "Scored a batch.");
        self.texts.increment(texts.len() as u64);
        self.tokens.increment(tokens as u64);
        self.seconds.record(seconds);
    }
}
