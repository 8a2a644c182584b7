//! From tokens to vectors.

use heartbeat_core::Result;
use tch::{TchError, Tensor};

use super::norm::LayerNorm;
use super::packed::PackedTexts;
use super::shared::Shared;
use super::weights::Weights;
use crate::architecture::Architecture;
use crate::error;

#[derive(Debug, Clone)]
pub(super) struct Embeddings {
    /// A row a token of the vocabulary. On the processor it stays in the file: a text touches few
    /// of its rows.
    words: Shared,
    /// A row a position, the segment's own vector in it.
    positions: Shared,
    norm: LayerNorm,
}

impl Embeddings {
    pub(super) fn load(weights: &Weights<'_>) -> Result<Self> {
        let &Architecture {
            hidden,
            vocab,
            positions,
            type_vocab,
            ..
        } = weights.architecture;
        let words = weights.tensor("word_embeddings.weight", &[vocab, hidden])?;
        let all = weights.tensor("position_embeddings.weight", &[positions, hidden])?;
        let segments = weights.tensor("token_type_embeddings.weight", &[type_vocab, hidden])?;
        let norm = weights.norm("LayerNorm")?;
        // All texts are of the first segment.
        let positions = segments
            .f_get(0)
            .and_then(|segment| all.f_add(&segment))
            .map_err(error::torch("preparing embeddings"))?;
        Ok(Self {
            words: words.into(),
            positions: positions.into(),
            norm,
        })
    }

    /// A row a token.
    pub(super) fn forward(&self, texts: &PackedTexts) -> Result<Tensor, TchError> {
        let words = self.words.f_index_select(0, &texts.ids)?;
        let positions = self.positions.f_index_select(0, &texts.positions)?;
        self.norm.forward(&(words.f_add(&positions)?))
    }
}
