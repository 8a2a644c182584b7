//! One call, from texts to scores.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::mem;
use std::sync::Arc;

use heartbeat_core::{ErrorKind, Result, Scores, preprocess};
use tokio::sync::mpsc;
use tokio::try_join;

use crate::blocking::blocking;
use crate::tokenizer::Tokenizer;
use crate::worker::{Answer, Worker};

/// So many bytes of text become tokens where they are: a few tweets, in less than a millisecond.
const INLINE_BYTES: usize = 1024;

/// So many bytes of text become tokens in one go, away from the async runtime: a batch or two for
/// the model, which has begun when the next are done.
const CHUNK_BYTES: usize = 16 << 10;

/// The scores of `texts`, in their order.
///
/// Texts become tokens, enter the queue as there is room, and their scores are awaited, all at
/// the same time. The first error ends the call.
pub(super) async fn analyze(
    tokenizer: &Arc<Tokenizer>,
    worker: &Worker,
    texts: &[&str],
) -> Result<Vec<Scores>> {
    let (answers, coming) = mpsc::unbounded_channel();
    let (places, scores) = try_join!(feed(tokenizer, worker, texts, answers), collect(coming))?;
    Ok(places.into_iter().map(|place| scores[place]).collect())
}

/// A text to be scored, and its index in the call.
type Item<'a> = (usize, &'a str);

/// Submits each distinct text once. Tells for every text which of the `answers` is its own.
async fn feed(
    tokenizer: &Arc<Tokenizer>,
    worker: &Worker,
    texts: &[&str],
    answers: mpsc::UnboundedSender<(usize, Answer)>,
) -> Result<Vec<usize>> {
    let mut places = Vec::with_capacity(texts.len());
    let mut known = HashMap::new();
    let mut chunk: Vec<Item<'_>> = Vec::new();
    let mut bytes = 0;
    for (index, &text) in texts.iter().enumerate() {
        let next = known.len();
        places.push(match known.entry(text) {
            Entry::Occupied(place) => *place.get(),
            Entry::Vacant(place) => {
                chunk.push((index, text));
                bytes += text.len();
                *place.insert(next)
            }
        });
        if bytes >= CHUNK_BYTES || index + 1 == texts.len() {
            let chunk = mem::take(&mut chunk);
            let tokens = tokenize(tokenizer, &chunk, mem::take(&mut bytes)).await?;
            for (answer, (index, _)) in worker.submit(tokens).await?.into_iter().zip(chunk) {
                // Fails only when the call has failed.
                let _ = answers.send((index, answer));
            }
        }
    }
    Ok(places)
}

/// The tokens of a text as the model is given it.
pub(super) fn encode(tokenizer: &Tokenizer, text: &str) -> Result<Vec<u32>> {
    tokenizer.encode(&preprocess(text))
}

fn encode_item(tokenizer: &Tokenizer, index: usize, text: &str) -> Result<Vec<u32>> {
    encode(tokenizer, text).map_err(|error| error.at_item(index))
}

/// The tokens of each text.
async fn tokenize(
    tokenizer: &Arc<Tokenizer>,
    chunk: &[Item<'_>],
    bytes: usize,
) -> Result<Vec<Vec<u32>>> {
    if bytes <= INLINE_BYTES {
        return chunk
            .iter()
            .map(|&(index, text)| encode_item(tokenizer, index, text))
            .collect();
    }
    let tokenizer = Arc::clone(tokenizer);
    let chunk: Vec<(usize, Box<str>)> = chunk
        .iter()
        .map(|&(index, text)| (index, text.into()))
        .collect();
    blocking(move || {
        chunk
            .iter()
            .map(|(index, text)| encode_item(&tokenizer, *index, text))
            .collect()
    })
    .await
}

/// The scores that the answers bring, in their order.
async fn collect(mut coming: mpsc::UnboundedReceiver<(usize, Answer)>) -> Result<Vec<Scores>> {
    let mut scores = Vec::new();
    while let Some((index, answer)) = coming.recv().await {
        let shares = answer.wait().await;
        let checked = shares.and_then(|[neg, neu, pos]| Scores::new(neg, neu, pos));
        scores.push(checked.map_err(|error| {
            // An item is one of the model's batch; here it is one of the call.
            if error.kind() == ErrorKind::Invalid || error.item().is_some() {
                error.at_item(index)
            } else {
                error
            }
        })?);
    }
    Ok(scores)
}
