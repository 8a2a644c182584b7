//! Layers in floats.

use heartbeat_core::Result;
use tch::{TchError, Tensor};

use super::attention::{attend, attend_first};
use super::linear::{Layout, Linear};
use super::norm::LayerNorm;
use super::packed::PackedTexts;
use super::weights::{KEY, Parameters, QUERY, VALUE, Weights};
use crate::architecture::Architecture;
use crate::error;

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
    pub(super) fn load(weights: &Weights<'_>, layout: &Layout) -> Result<Self> {
        Ok(Self {
            qkv: linear(weights.attention(&[QUERY, KEY, VALUE])?, layout)?,
            rest: Rest::load(weights, layout)?,
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
    pub(super) fn load(weights: &Weights<'_>, layout: &Layout) -> Result<Self> {
        Ok(Self {
            query: linear(weights.attention(&[QUERY])?, layout)?,
            kv: linear(weights.attention(&[KEY, VALUE])?, layout)?,
            rest: Rest::load(weights, layout)?,
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
    fn load(weights: &Weights<'_>, layout: &Layout) -> Result<Self> {
        let &Architecture {
            hidden,
            intermediate,
            heads,
            ..
        } = weights.architecture;
        let dense =
            |name, outputs, inputs| linear(weights.parameters(name, outputs, inputs)?, layout);
        Ok(Self {
            heads,
            output: dense("attention.output.dense", hidden, hidden)?,
            attention_norm: weights.norm("attention.output.LayerNorm")?,
            up: dense("intermediate.dense", intermediate, hidden)?,
            down: dense("output.dense", hidden, intermediate)?,
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

fn linear(parameters: Parameters, layout: &Layout) -> Result<Linear> {
    Linear::new(&parameters, layout).map_err(error::torch("laying out weights"))
}
