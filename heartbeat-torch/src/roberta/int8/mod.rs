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
use self::tokens::{Quantized, Tokens};
use super::attention::attend_first;
use super::kernels::Kernels;
use super::layer::{self, Keep, LastLayer, Layer, Rest};
use super::norm::{LayerNorm, Norm};
use super::packed::PackedTexts;
use super::weights::Parameters;
use crate::error;

pub(super) type Stack = layer::Stack<Int8Linear, Norm>;

/// How these layers' parts are kept: weights laid out by these kernels.
pub(super) struct InInt8<'a>(pub(super) &'a Arc<Kernels>);

impl Keep for InInt8<'_> {
    type Linear = Int8Linear;
    type Norm = Norm;

    fn linear(&self, parameters: Parameters) -> Result<Int8Linear> {
        Int8Linear::new(&parameters, self.0).map_err(error::torch("laying out weights"))
    }

    fn norm(&self, norm: LayerNorm) -> Result<Norm> {
        Norm::new(&norm).map_err(error::torch("copying weights"))
    }
}

impl Stack {
    /// From a row a token to a row a text, which is that of its first token.
    pub(super) fn forward(&self, x: &Tensor, texts: &PackedTexts) -> Result<Tensor, TchError> {
        let mut x = Tokens::new(x)?;
        for layer in &self.layers {
            x = layer.forward(&x, texts)?;
        }
        self.last.forward(&x, texts)
    }
}

impl Layer<Int8Linear, Norm> {
    fn forward(&self, x: &Tokens, texts: &PackedTexts) -> Result<Tokens, TchError> {
        let attended = attend(&self.qkv, &x.quantized, &texts.runs, self.rest.heads)?;
        self.rest.forward(&attended, x)
    }
}

impl LastLayer<Int8Linear, Norm> {
    /// From all tokens to a row a text.
    fn forward(&self, x: &Tokens, texts: &PackedTexts) -> Result<Tensor, TchError> {
        let kv = self.kv.forward(&x.quantized)?;
        let first = Tokens::new(&x.to_tensor()?.f_index_select(0, &texts.first)?)?;
        let query = self.query.forward(&first.quantized)?;
        let attended = attend_first(&query, &kv, &texts.runs, self.rest.heads)?;
        let attended = Quantized::new(&attended, &mut ())?;
        self.rest.forward(&attended, &first)?.to_tensor()
    }
}

impl Rest<Int8Linear, Norm> {
    fn forward(&self, attended: &Quantized, x: &Tokens) -> Result<Tokens, TchError> {
        let x = self.output.forward_add(attended, x, &self.attention_norm)?;
        let inner = self.up.forward_gelu(&x.quantized)?;
        self.down.forward_add(&inner, &x, &self.norm)
    }
}
