//! RoBERTa for sequence classification (Liu et al., 2019, arXiv:1907.11692) on LibTorch.
//!
//! Texts are packed one after the other, so that what is done token by token, nearly all of the
//! work, is done on the tokens there are and on no padding. Attention is done text by text, or by
//! LibTorch for all long texts of the same length at once. The last layer is computed for the first
//! token alone, which is the only one that the head looks at.

mod attention;
mod blocks;
mod embeddings;
mod encoder;
mod float;
mod int8;
mod kernels;
mod lanes;
mod layer;
mod network;
mod norm;
mod packed;
mod rows;
mod setting;
mod shared;
mod vector;
mod weights;

use std::sync::Arc;

use heartbeat_core::{Error, Result};

use self::lanes::{Lanes, threads};
use self::network::Network;
pub(crate) use self::setting::Setting;
use self::weights::Weights;
use crate::architecture::Architecture;
use crate::checkpoint::Checkpoint;
use crate::error;

/// A model, loaded. It belongs to the thread that loaded it.
#[derive(Debug)]
pub(crate) struct Roberta {
    lanes: Lanes,
    vocab: u32,
    max_tokens: usize,
}

impl Roberta {
    /// Loads the weights and lays them out for the precision and the device of `setting`.
    pub(crate) fn load(
        architecture: &Architecture,
        checkpoint: &Checkpoint,
        setting: &Setting,
    ) -> Result<Self> {
        let _no_grad = tch::no_grad_guard();
        let threads = Arc::new(threads(*setting)?);
        let format = setting
            .format(architecture, &threads)
            .map_err(error::torch("choosing kernels"))?;
        setting.share_work();
        let weights = Weights {
            checkpoint,
            architecture,
            device: setting.device,
            prefix: "",
        };
        let network = Network::load(&weights, &format)?;
        Ok(Self {
            lanes: Lanes::new(network, *setting, threads),
            vocab: u32::try_from(architecture.vocab).unwrap_or(u32::MAX),
            max_tokens: architecture.max_tokens,
        })
    }

    /// How negative, neutral and positive each text is.
    ///
    /// A text is its tokens, from one to as many as the model has positions for.
    pub(crate) fn score(&self, texts: &[&[u32]]) -> Result<Vec<[f32; 3]>> {
        if let Some(index) = texts.iter().position(|text| !self.can_read(text)) {
            return Err(Error::internal("these are no tokens of the model's").at_item(index));
        }
        if texts.is_empty() {
            return Ok(Vec::new());
        }
        self.lanes.score(texts)
    }

    fn can_read(&self, text: &[u32]) -> bool {
        (1..=self.max_tokens).contains(&text.len()) && text.iter().all(|&id| id < self.vocab)
    }
}
