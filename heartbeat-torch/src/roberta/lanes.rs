//! How the threads share a batch.

use std::cmp::Reverse;
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

/// A thread takes at most about so many tokens at a time: what it computes on the way stays small.
const TOKENS_PER_PIECE: usize = 512;

/// And, where there are more pieces than threads, about so many at least.
const TOKENS_AT_END: usize = 128;

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
        // Texts of the same length stay together, since attention is done for all of them at once, and
        // the long ones come first: small pieces are at the end.
        let mut order: Vec<usize> = (0..texts.len()).collect();
        order.sort_by_key(|&text| Reverse(texts[text].len()));
        let pieces = cut(&order, texts, &self.pieces(texts));
        let scores = if pieces.len() > 1 {
            self.score_apart(texts, &pieces)
        } else {
            score(&self.network, texts, self.setting)
        };
        scores.map_err(error::torch("scoring texts"))
    }

    /// Into how large pieces to cut these texts, in tokens.
    fn pieces(&self, texts: &[&[u32]]) -> Vec<usize> {
        let tokens: usize = texts.iter().map(|text| text.len()).sum();
        if self.setting.device.is_cuda() {
            return vec![tokens];
        }
        let lanes = self.networks.len().min(tokens / TOKENS_PER_LANE).max(1);
        shares(tokens, lanes)
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

/// Shares of so many tokens for `lanes` threads, each of which takes the next one when it has done one.
///
/// Shares become smaller, down to [`TOKENS_AT_END`]: all threads end at about the same time then, though
/// processors are not equally fast.
fn shares(tokens: usize, lanes: usize) -> Vec<usize> {
    let (mut shares, mut left) = (Vec::new(), tokens);
    while left > 0 {
        let half = left / lanes / 2;
        for lane in 0..lanes {
            let fair = left / (lanes - lane);
            let share = if lanes == 1 || half < TOKENS_AT_END {
                fair
            } else {
                half
            };
            shares.push(share.min(TOKENS_PER_PIECE));
            left -= share.min(TOKENS_PER_PIECE);
        }
    }
    shares
}

/// Cuts `order` into parts of about so many tokens, or fewer parts where texts are long.
fn cut<'a>(order: &'a [usize], texts: &[&[u32]], shares: &[usize]) -> Vec<&'a [usize]> {
    let mut cuts = Vec::with_capacity(shares.len());
    let (mut start, mut end) = (0, 0);
    let (mut tokens, mut fair) = (0, 0);
    for share in shares {
        // Each part ends with the text that brings all so far nearest to its fair share.
        fair += share;
        while let Some(&text) = order.get(end)
            && tokens + texts[text].len() / 2 < fair
        {
            tokens += texts[text].len();
            end += 1;
        }
        if start < end {
            cuts.push(&order[start..end]);
        }
        start = end;
    }
    cuts
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn parts_are_fair(lengths in prop::collection::vec(1_usize..60, 4..400), lanes in 1_usize..5) {
            let texts: Vec<Vec<u32>> = lengths.iter().map(|&length| vec![0; length]).collect();
            let texts: Vec<&[u32]> = texts.iter().map(Vec::as_slice).collect();
            let order: Vec<usize> = (0..texts.len()).collect();
            let tokens = |part: &[usize]| -> usize { part.iter().map(|&text| lengths[text]).sum() };
            let all = tokens(&order);

            let shares = shares(all, lanes);
            prop_assert_eq!(shares.iter().sum::<usize>(), all);
            prop_assert!(shares.is_sorted_by(|a, b| a + lanes >= *b), "{shares:?}");
            prop_assert!(shares.len().is_multiple_of(lanes) && shares[0] <= TOKENS_PER_PIECE);
            let last = shares[shares.len() - 1];
            prop_assert!(lanes == 1 || last <= 2 * TOKENS_AT_END + lanes, "{shares:?}");

            let cuts = cut(&order, &texts, &shares);
            prop_assert_eq!(&cuts.concat(), &order);
            prop_assert!(cuts.len() <= shares.len());
            let most = shares.iter().max().unwrap() + 60;
            prop_assert!(cuts.iter().all(|part| !part.is_empty() && tokens(part) <= most));
            if cuts.len() == shares.len() {
                for (part, share) in cuts.iter().zip(&shares) {
                    prop_assert!(tokens(part) <= share + 60, "{} of {share}", tokens(part));
                }
            }
        }
    }
}
