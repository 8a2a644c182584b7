//! How the threads share a batch.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

use heartbeat_core::{Error, Result};
use rayon::{ThreadPool, ThreadPoolBuilder};
use tch::TchError;

use super::network::Network;
use super::setting::Setting;
use crate::error;

/// With so many tokens a thread, each thread takes texts of its own. With fewer, all threads share
/// each step, since a thread of its own would read all weights for little work.
const TOKENS_PER_LANE: usize = 128;

/// A thread takes at most about so many tokens at a time. All end at about the same time then, though
/// processors are not equally fast, and what they compute on the way stays small.
const TOKENS_PER_PIECE: usize = 512;

/// The network, for all threads together and for each of them.
///
/// Threads that each score texts of their own meet once a batch; threads that share every matrix
/// multiplication wait for each other hundreds of times.
#[derive(Debug)]
pub(super) struct Lanes {
    network: Network,
    setting: Setting,
    threads: Arc<ThreadPool>,
    /// One for each of the threads, which share the weights.
    networks: Vec<Mutex<Network>>,
}

/// Those that share the work, each of which does its steps alone.
pub(super) fn threads(setting: Setting) -> Result<ThreadPool> {
    let count = if setting.device.is_cuda() {
        1
    } else {
        setting.threads
    };
    ThreadPoolBuilder::new()
        .num_threads(count)
        .thread_name(|index| format!("heartbeat-torch-{index}"))
        .start_handler(move |_| setting.work_alone())
        .build()
        .map_err(|error| Error::unavailable("cannot start threads").caused_by(error))
}

impl Lanes {
    /// The thread that scores is to be one whose steps are shared by all threads.
    pub(super) fn new(network: Network, setting: Setting, threads: Arc<ThreadPool>) -> Self {
        let count = threads.current_num_threads();
        Self {
            networks: (0..count).map(|_| Mutex::new(network.clone())).collect(),
            network,
            setting,
            threads,
        }
    }

    pub(super) fn score(&self, texts: &[&[u32]]) -> Result<Vec<[f32; 3]>> {
        // Texts of the same length stay together, since attention is done for all of them at once.
        let mut order: Vec<usize> = (0..texts.len()).collect();
        order.sort_by_key(|&text| texts[text].len());
        let pieces = cut(&order, texts, self.pieces(texts));
        let scores = if pieces.len() > 1 {
            self.score_apart(texts, &pieces)
        } else {
            score(&self.network, texts, self.setting)
        };
        scores.map_err(error::torch("scoring texts"))
    }

    /// Into how many pieces to cut these texts.
    fn pieces(&self, texts: &[&[u32]]) -> usize {
        if self.setting.device.is_cuda() {
            return 1;
        }
        let tokens: usize = texts.iter().map(|text| text.len()).sum();
        let lanes = self.networks.len().min(tokens / TOKENS_PER_LANE).max(1);
        tokens.div_ceil(TOKENS_PER_PIECE).next_multiple_of(lanes)
    }

    fn score_apart(
        &self,
        texts: &[&[u32]],
        pieces: &[&[usize]],
    ) -> Result<Vec<[f32; 3]>, TchError> {
        let (networks, setting) = (&self.networks, self.setting);
        let next = AtomicUsize::new(0);
        let results = self
            .threads
            .broadcast(|thread| -> Result<Vec<_>, TchError> {
                let network = networks[thread.index()].lock();
                let network = network.unwrap_or_else(PoisonError::into_inner);
                let mut done = Vec::new();
                while let Some(piece) = pieces.get(next.fetch_add(1, Relaxed)) {
                    let texts: Vec<&[u32]> = piece.iter().map(|&text| texts[text]).collect();
                    done.push((piece, score(&network, &texts, setting)?));
                }
                Ok(done)
            });

        let mut scores = vec![[0.0; 3]; texts.len()];
        for result in results {
            for (piece, shares) in result? {
                for (&text, shares) in piece.iter().zip(shares) {
                    scores[text] = shares;
                }
            }
        }
        Ok(scores)
    }
}

fn score(network: &Network, texts: &[&[u32]], setting: Setting) -> Result<Vec<[f32; 3]>, TchError> {
    let _no_grad = tch::no_grad_guard();
    network.forward(texts, setting.device)
}

/// Cuts `order`, which is by length, into so many parts of about as many tokens.
fn cut<'a>(order: &'a [usize], texts: &[&[u32]], parts: usize) -> Vec<&'a [usize]> {
    let all: usize = texts.iter().map(|text| text.len()).sum();
    let mut cuts = Vec::with_capacity(parts);
    let mut start = 0;
    let mut tokens = 0;
    for (end, &text) in order.iter().enumerate() {
        // Each part ends with the text that brings all so far nearest to its fair share.
        let fair = all * (cuts.len() + 1) / parts;
        let length = texts[text].len();
        if tokens + length / 2 >= fair && cuts.len() + 1 < parts && end > start {
            cuts.push(&order[start..end]);
            start = end;
        }
        tokens += length;
    }
    cuts.push(&order[start..]);
    cuts
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn parts_have_about_as_many_tokens(lengths in prop::collection::vec(1_usize..60, 4..200), parts in 1_usize..5) {
            let texts: Vec<Vec<u32>> = lengths.iter().map(|&length| vec![0; length]).collect();
            let texts: Vec<&[u32]> = texts.iter().map(Vec::as_slice).collect();
            let mut order: Vec<usize> = (0..texts.len()).collect();
            order.sort_by_key(|&text| texts[text].len());

            let cuts = cut(&order, &texts, parts);
            prop_assert_eq!(cuts.concat(), order.clone());
            prop_assert!(cuts.len() <= parts && cuts.iter().all(|part| !part.is_empty()));
            let fair = lengths.iter().sum::<usize>() / parts;
            for part in cuts {
                let tokens: usize = part.iter().map(|&text| texts[text].len()).sum();
                prop_assert!(tokens <= fair + 60, "{tokens} of {fair}");
            }
        }
    }
}
