//! Layers in floats, by LibTorch.

mod linear;

use heartbeat_core::Result;
use tch::{TchError, Tensor};

pub(super) use self::linear::Layout;
use self::linear::Linear;
use super::attention::{attend, attend_first};
use super::layer::{self, Keep, LastLayer, Layer, Rest};
use super::norm::LayerNorm;
use super::packed::PackedTexts;
use super::weights::Parameters;
use crate::error;

pub(super) type Stack = layer::Stack<Linear, LayerNorm>;

impl Keep for Layout {
    type Linear = Linear;
    type Norm = LayerNorm;

    fn linear(&self, parameters: Parameters) -> Result<Linear> {
        Linear::new(&parameters, self).map_err(error::torch("laying out weights"))
    }

    fn norm(&self, norm: LayerNorm) -> Result<LayerNorm> {
        Ok(norm)
    }
}

impl Stack {
    /// From a row a token to a row a text, which is that of its first token.
    pub(super) fn forward(&self, mut x: Tensor, texts: &PackedTexts) -> Result<Tensor, TchError> {
        for layer in &self.layers {
            x = layer.forward(&x, texts)?;
        }
        self.last.forward(&x, texts)
    }
}

impl Layer<Linear, LayerNorm> {
    /// `x` holds a row a token.
    fn forward(&self, x: &Tensor, texts: &PackedTexts) -> Result<Tensor, TchError> {
        let qkv = self.qkv.forward(x)?;
        let attended = attend(&qkv, &texts.runs, self.rest.heads)?;
        self.rest.forward(&attended, x)
    }
}

impl LastLayer<Linear, LayerNorm> {
    /// From a row a token to a row a text.
    fn forward(&self, x: &Tensor, texts: &PackedTexts) -> Result<Tensor, TchError> {
        let kv = self.kv.forward(x)?;
        let first = x.f_index_select(0, &texts.first)?;
        let query = self.query.forward(&first)?;
        let attended = attend_first(&query, &kv, &texts.runs, self.rest.heads)?;
        self.rest.forward(&attended, &first)
    }
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
