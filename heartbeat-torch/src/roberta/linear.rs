//! Linear layers in floats.

use std::sync::Arc;

use tch::{Kind, TchError, Tensor};

use super::kernels::{Kernels, Packed};
use super::shared::Shared;
use super::weights::Parameters;

/// How the weights of linear layers are kept.
#[derive(Debug, Clone)]
pub(super) enum Layout {
    /// As they are: LibTorch's own `linear`, on any device, in 32-bit floats or in bfloat16.
    Plain(Kind),
    /// Laid out by a library, in 32-bit floats or in bfloat16.
    Packed(Kind, Arc<Kernels>),
}

/// `x · weightᵀ + bias`, from 32-bit floats to 32-bit floats.
#[derive(Debug, Clone)]
pub(super) enum Linear {
    Plain {
        kind: Kind,
        weight: Shared,
        bias: Shared,
    },
    Packed {
        kind: Kind,
        weight: Packed,
        bias: Shared,
        kernels: Arc<Kernels>,
    },
}

impl Linear {
    /// A copy is made of everything but a plain weight.
    pub(super) fn new(parameters: &Parameters, layout: &Layout) -> Result<Self, TchError> {
        let Parameters { weight, bias } = parameters;
        let bias = |kind| bias.f_to_kind(kind)?.f_detach_copy();
        Ok(match layout {
            &Layout::Plain(kind) => Self::Plain {
                kind,
                weight: weight.f_to_kind(kind)?.into(),
                bias: bias(kind)?.into(),
            },
            Layout::Packed(kind, kernels) => Self::Packed {
                kind: *kind,
                weight: kernels.pack(&weight.f_to_kind(*kind)?)?,
                bias: bias(*kind)?.into(),
                kernels: Arc::clone(kernels),
            },
        })
    }

    pub(super) fn forward(&self, x: &Tensor) -> Result<Tensor, TchError> {
        match self {
            Self::Plain { kind, weight, bias } => x
                .f_to_kind(*kind)?
                .f_linear::<&Tensor>(weight, Some(bias))?
                .f_to_kind(Kind::Float),
            Self::Packed {
                kind,
                weight,
                bias,
                kernels,
            } => kernels
                .linear(&x.f_to_kind(*kind)?, weight, bias)?
                .f_to_kind(Kind::Float),
        }
    }

    /// Added to `residual`.
    pub(super) fn forward_add(&self, x: &Tensor, residual: &Tensor) -> Result<Tensor, TchError> {
        match self {
            Self::Packed {
                kind: Kind::Float,
                weight,
                bias,
                kernels,
            } => kernels.linear_add(x, residual, weight, bias),
            _ => self.forward(x)?.f_add_(residual),
        }
    }

    /// Through GELU, the exact one.
    pub(super) fn forward_gelu(&self, x: &Tensor) -> Result<Tensor, TchError> {
        match self {
            Self::Plain { .. } => self.forward(x)?.f_gelu_("none"),
            Self::Packed {
                kind,
                weight,
                bias,
                kernels,
            } => kernels
                .linear_gelu(&x.f_to_kind(*kind)?, weight, bias)?
                .f_to_kind(Kind::Float),
        }
    }
}
