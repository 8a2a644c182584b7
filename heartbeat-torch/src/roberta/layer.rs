//! A layer of the encoder.

use heartbeat_core::Result;
use tch::{TchError, Tensor};

use super::attention::{attend, attend_first};
use super::linear::Linear;
use super::norm::LayerNorm;
use super::packed::PackedTexts;
use super::weights::{KEY, QUERY, VALUE, Weights};

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
    pub(super) fn load(weights: &Weights<'_>, heads: i64) -> Result<Self> {
        Ok(Self {
            qkv: weights.attention(&QKV, heads)?,
            rest: Rest::load(weights, heads)?,
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
    pub(super) fn load(weights: &Weights<'_>, heads: i64) -> Result<Self> {
        Ok(Self {
            query: weights.attention(&[QUERY], heads)?,
            kv: weights.attention(&[KEY, VALUE], heads)?,
            rest: Rest::load(weights, heads)?,
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
    fn load(weights: &Weights<'_>, heads: i64) -> Result<Self> {
        Ok(Self {
            heads,
            output: weights.square("attention.output.dense")?,
            attention_norm: weights.norm("attention.output.LayerNorm")?,
            up: weights.up("intermediate.dense")?,
            down: weights.down("output.dense")?,
            norm: weights.norm("output.LayerNorm")?,
        })
    }

    fn forward(&self, attended: &Tensor, x: &Tensor) -> Result<Tensor, TchError> {
        let x = self.output.forward_add(attended, x)?;
        let x = self.attention_norm.forward(&x)?;
        let inner = self.up.forward_gelu(&x)?;
        let x = self.down.forward_add(&inner, &x)?;
        self.norm.forward(&x)
    }
}

const QKV: [&str; 3] = [QUERY, KEY, VALUE];
