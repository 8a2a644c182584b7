//! Layer normalisation.

use tch::{TchError, Tensor};

use super::shared::Shared;

#[derive(Debug, Clone)]
pub(super) struct LayerNorm {
    pub(super) weight: Shared,
    pub(super) bias: Shared,
    pub(super) eps: f64,
}

impl LayerNorm {
    pub(super) fn forward(&self, x: &Tensor) -> Result<Tensor, TchError> {
        let width = self.weight.size();
        x.f_layer_norm::<&Tensor>(width, Some(&self.weight), Some(&self.bias), self.eps, true)
    }
}
