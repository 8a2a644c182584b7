//! How the threads share a batch.

use std::panic;
use std::thread;

use heartbeat_core::Result;
use tch::TchError;

use super::network::Network;
use super::setting::Setting;
use crate::error;

/// With so many tokens a thread, each thread takes texts of its own. With fewer, all threads share
/// each step, since a thread of its own would read all weights for little work.
const TOKENS_PER_LANE: usize = 128;

/// The network once a thread.
///
/// Threads that each score texts of their own meet once a batch; threads that share every matrix
/// multiplication wait for each other hundreds of times.
#[derive(Debug)]
pub(super) struct Lanes {
    networks: Vec<Network>,
    setting: Setting,
}

impl Lanes {
    pub(super) fn new(network: Network, setting: Setting) -> Self {
        let lanes = if setting.device.is_cuda() {
            1
        } else {
            setting.threads
        };
        Self {
            networks: vec![network; lanes],
            setting,
        }
    }

    pub(super) fn score(&mut self, texts: &[&[u32]]) -> Result<Vec<[f32; 3]>> {
        let tokens: usize = texts.iter().map(|text| text.len()).sum();
        let lanes = self
            .networks
            .len()
            .min(tokens / TOKENS_PER_LANE)
            .min(texts.len());
        let scores = if lanes > 1 {
            self.score_apart(texts, lanes)
        } else {
            self.setting.share_work();
            score(&self.networks[0], texts, self.setting)
        };
        scores.map_err(error::torch("scoring texts"))
    }

    fn score_apart(&mut self, texts: &[&[u32]], lanes: usize) -> Result<Vec<[f32; 3]>, TchError> {
        // Texts of the same length stay together, since attention is done for all of them at once.
        let mut order: Vec<usize> = (0..texts.len()).collect();
        order.sort_by_key(|&text| texts[text].len());
        let parts = cut(&order, texts, lanes);

        let setting = self.setting;
        let networks = self.networks.iter_mut();
        let results: Vec<_> = thread::scope(|scope| {
            let running: Vec<_> = networks
                .zip(&parts)
                .map(|(network, part)| {
                    scope.spawn(move || {
                        let texts: Vec<&[u32]> = part.iter().map(|&text| texts[text]).collect();
                        setting.work_alone();
                        score(network, &texts, setting)
                    })
                })
                .collect();
            running
                .into_iter()
                .map(|lane| {
                    lane.join()
                        .unwrap_or_else(|cause| panic::resume_unwind(cause))
                })
                .collect()
        });

        let mut scores = vec![[0.0; 3]; texts.len()];
        for (part, result) in parts.iter().zip(results) {
            for (&text, shares) in part.iter().zip(result?) {
                scores[text] = shares;
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
