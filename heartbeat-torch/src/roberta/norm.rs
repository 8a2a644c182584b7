//! Layer normalisation.

use std::sync::Arc;

use pulp::Simd;
use tch::{TchError, Tensor};

use super::rows::numbers;
use super::shared::Shared;
use super::vector::normalise;

/// By LibTorch.
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

/// Layer normalisation, by us.
#[derive(Debug, Clone)]
pub(super) struct Norm {
    pub(super) weight: Arc<[f32]>,
    pub(super) bias: Arc<[f32]>,
    pub(super) eps: f32,
}

impl Norm {
    pub(super) fn new(norm: &LayerNorm) -> Result<Self, TchError> {
        Ok(Self {
            weight: numbers(&norm.weight)?.into(),
            bias: numbers(&norm.bias)?.into(),
            eps: norm.eps as f32,
        })
    }

    /// To the numbers of one token.
    #[inline(always)]
    pub(super) fn apply<S: Simd>(&self, simd: S, row: &mut [f32]) {
        normalise(simd, row, self.eps);
        for ((x, weight), bias) in row.iter_mut().zip(&*self.weight).zip(&*self.bias) {
            *x = x.mul_add(*weight, *bias);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn normalising_is_what_libtorch_does(
            rows in prop::collection::vec(prop::collection::vec(-1e2_f32..1e2, 100), 1..4),
            weight in prop::collection::vec(-2_f32..2.0, 100),
            bias in prop::collection::vec(-2_f32..2.0, 100),
        ) {
            let norm = LayerNorm {
                weight: Tensor::from_slice(&weight).into(),
                bias: Tensor::from_slice(&bias).into(),
                eps: 1e-5,
            };
            for mut row in rows {
                let exact = norm.forward(&Tensor::from_slice(&row)).unwrap();
                Norm::new(&norm).unwrap().apply(pulp::Scalar::new(), &mut row);
                let off = (Tensor::from_slice(&row) - exact).abs().max().double_value(&[]);
                prop_assert!(off < 1e-5, "{off}");
            }
        }
    }
}
