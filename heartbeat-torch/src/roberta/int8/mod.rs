//! Layers in integers of 8 bits.
//!
//! Matrix multiplications are oneDNN's, and the attention of long texts is LibTorch's. What is done to
//! each token between them is done in one go, so that its numbers need not go to memory and back in
//! between.

mod attention;
mod linear;
mod tokens;

use std::sync::Arc;

use heartbeat_core::Result;
use tch::{TchError, Tensor};

use self::attention::attend;
use self::linear::Int8Linear;
use self::tokens::Quantized;
pub(super) use self::tokens::Tokens;
use super::attention::attend_first;
use super::kernels::Kernels;
use super::norm::Norm;
use super::packed::PackedTexts;
use super::rest::Rest;
use super::weights::{KEY, Parameters, QUERY, VALUE, Weights};
use crate::error;

/// As [`Layer`](super::layer::Layer).
#[derive(Debug, Clone)]
pub(super) struct Int8Layer {
    /// Queries, scaled, keys and values in one.
    qkv: Int8Linear,
    rest: Rest<Int8Linear, Norm>,
}

/// As [`LastLayer`](super::layer::LastLayer).
#[derive(Debug, Clone)]
pub(super) struct LastInt8Layer {
    query: Int8Linear,
    /// Keys and values in one.
    kv: Int8Linear,
    rest: Rest<Int8Linear, Norm>,
}

impl Int8Layer {
    pub(super) fn load(weights: &Weights<'_>, kernels: &Arc<Kernels>) -> Result<Self> {
        Ok(Self {
            qkv: linear(weights.attention(&[QUERY, KEY, VALUE])?, kernels)?,
            rest: rest(weights, kernels)?,
        })
    }

    pub(super) fn forward(&self, x: &Tokens, texts: &PackedTexts) -> Result<Tokens, TchError> {
        let attended = attend(&self.qkv, &x.quantized, &texts.runs, self.rest.heads)?;
        self.rest.forward(&attended, x)
    }
}

impl LastInt8Layer {
    pub(super) fn load(weights: &Weights<'_>, kernels: &Arc<Kernels>) -> Result<Self> {
        Ok(Self {
            query: linear(weights.attention(&[QUERY])?, kernels)?,
            kv: linear(weights.attention(&[KEY, VALUE])?, kernels)?,
            rest: rest(weights, kernels)?,
        })
    }

    /// From a row a token to a row a text.
    pub(super) fn forward(&self, x: &Tokens, texts: &PackedTexts) -> Result<Tensor, TchError> {
        let kv = self.kv.forward(&x.quantized)?;
        let first = Tokens::new(&x.to_tensor()?.f_index_select(0, &texts.first)?)?;
        let query = self.query.forward(&first.quantized)?;
        let attended = attend_first(&query, &kv, &texts.runs, self.rest.heads)?;
        let attended = Quantized::new(&attended, &mut ())?;
        self.rest.forward(&attended, &first)?.to_tensor()
    }
}

fn rest(weights: &Weights<'_>, kernels: &Arc<Kernels>) -> Result<Rest<Int8Linear, Norm>> {
    let norm = |it| Norm::new(&it).map_err(error::torch("copying weights"));
    Rest::load(weights, |it| linear(it, kernels), norm)
}

impl Rest<Int8Linear, Norm> {
    fn forward(&self, attended: &Quantized, x: &Tokens) -> Result<Tokens, TchError> {
        let x = self.output.forward_add(attended, x, &self.attention_norm)?;
        let inner = self.up.forward_gelu(&x.quantized)?;
        self.down.forward_add(&inner, &x, &self.norm)
    }
}

fn linear(parameters: Parameters, kernels: &Arc<Kernels>) -> Result<Int8Linear> {
    Int8Linear::new(&parameters, kernels).map_err(error::torch("laying out weights"))
}
