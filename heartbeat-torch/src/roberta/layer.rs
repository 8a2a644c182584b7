//! A layer of the encoder.

use heartbeat_core::Result;
use tch::{TchError, Tensor};

use super::attention::{attend, attend_first};
use super::linear::Linear;
use super::norm::LayerNorm;
use super::packed::PackedTexts;
use super::weights::{KEY, QUERY, VALUE, Weights};
use crate::architecture::Architecture;

/// Self-attention and a feed-forward block, each added to its input and normalised.
#[derive(Debug, Clone)]
pub(super) struct Layer {
    /// Queries, scaled, keys and values in one.
    qkv: Linear,
    rest: Rest,
}

/// The last layer of an encoder of which only each text's first token is wanted.
#[derive(Debug, Clone)]
pub(super) struct LastLayer {
    query: Linear,
    /// Keys and values in one.
    kv: Linear,
    rest: Rest,
}

/// What follows attention.
#[derive(Debug, Clone)]
struct Rest {
    heads: i64,
    output: Linear,
    attention_norm: LayerNorm,
    up: Linear,
    down: Linear,
    norm: LayerNorm,
}

impl Layer {
    pub(super) fn load(weights: &Weights<'_>) -> Result<Self> {
        Ok(Self {
            qkv: weights.attention(&QKV)?,
            rest: Rest::load(weights)?,
        })
    }

    /// `x` holds a row a token.
    pub(super) fn forward(&self, x: &Tensor, texts: &PackedTexts) -> Result<Tensor, TchError> {
        let qkv = self.qkv.forward(x)?;
        let attended = attend(&qkv, &texts.runs, self.rest.heads)?;
        self.rest.forward(&attended, x)
    }
}

impl LastLayer {
    pub(super) fn load(weights: &Weights<'_>) -> Result<Self> {
        Ok(Self {
            query: weights.attention(&[QUERY])?,
            kv: weights.attention(&[KEY, VALUE])?,
            rest: Rest::load(weights)?,
        })
    }

    /// From a row a token to a row a text.
    pub(super) fn forward(&self, x: &Tensor, texts: &PackedTexts) -> Result<Tensor, TchError> {
        let kv = self.kv.forward(x)?;
        let first = x.f_index_select(0, &texts.first)?;
        let query = self.query.forward(&first)?;
        let attended = attend_first(&query, &kv, &texts.runs, self.rest.heads)?;
        self.rest.forward(&attended, &first)
    }
}

impl Rest {
    fn load(weights: &Weights<'_>) -> Result<Self> {
        let &Architecture {
            hidden,
            intermediate,
            heads,
            ..
        } = weights.architecture;
        Ok(Self {
            heads,
            output: weights.dense("attention.output.dense", hidden, hidden)?,
            attention_norm: weights.norm("attention.output.LayerNorm")?,
            up: weights.dense("intermediate.dense", intermediate, hidden)?,
            down: weights.dense("output.dense", hidden, intermediate)?,
            norm: weights.norm("output.LayerNorm")?,
        })
    }

    fn forward(&self, attended: &Tensor, x: &Tensor) -> Result<Tensor, TchError> {
        let x = self.output.forward_add(attended, x)?;
        let x = self.attention_norm.forward(&x)?;
        let x = self.up.feed_forward(&self.down, &x)?;
        self.norm.forward(&x)
    }
}

const QKV: [&str; 3] = [QUERY, KEY, VALUE];
