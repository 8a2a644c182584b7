//! Layers in floats, by LibTorch.

use heartbeat_core::Result;
use tch::{TchError, Tensor};

use super::attention::{attend, attend_first};
use super::linear::{Layout, Linear};
use super::norm::LayerNorm;
use super::packed::PackedTexts;
use super::rest::Rest;
use super::weights::{KEY, Parameters, QUERY, VALUE, Weights};
use crate::error;

/// Self-attention and a feed-forward block, each added to its input and normalised.
#[derive(Debug, Clone)]
pub(super) struct Layer {
    /// Queries, scaled, keys and values in one.
    qkv: Linear,
    rest: Rest<Linear, LayerNorm>,
}

/// The last layer of an encoder of which only each text's first token is wanted.
#[derive(Debug, Clone)]
pub(super) struct LastLayer {
    query: Linear,
    /// Keys and values in one.
    kv: Linear,
    rest: Rest<Linear, LayerNorm>,
}

impl Layer {
    pub(super) fn load(weights: &Weights<'_>, layout: &Layout) -> Result<Self> {
        Ok(Self {
            qkv: linear(weights.attention(&[QUERY, KEY, VALUE])?, layout)?,
            rest: rest(weights, layout)?,
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
            rest: rest(weights, layout)?,
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

fn rest(weights: &Weights<'_>, layout: &Layout) -> Result<Rest<Linear, LayerNorm>> {
    Rest::load(weights, |it| linear(it, layout), Ok)
}

impl Rest<Linear, LayerNorm> {
    fn forward(&self, attended: &Tensor, x: &Tensor) -> Result<Tensor, TchError> {
        let x = self.output.forward(attended)?.f_add_(x)?;
        let x = self.attention_norm.forward(&x)?;
        let inner = self.up.forward_gelu(&x)?;
        let x = self.down.forward(&inner)?.f_add_(&x)?;
        self.norm.forward(&x)
    }
}

fn linear(parameters: Parameters, layout: &Layout) -> Result<Linear> {
    Linear::new(&parameters, layout).map_err(error::torch("laying out weights"))
}
