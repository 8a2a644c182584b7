//! Linear layers in floats, by LibTorch.

use std::sync::Arc;

use tch::{Kind, TchError, Tensor};

use crate::roberta::kernels::{Kernels, Packed};
use crate::roberta::shared::Shared;
use crate::roberta::weights::Parameters;

/// How the weights of linear layers are kept.
#[derive(Debug, Clone)]
pub(in crate::roberta) enum Layout {
    /// As they are: LibTorch's own `linear`, on any device, in 32-bit floats or in bfloat16.
    Plain(Kind),
    /// In bfloat16, laid out by oneDNN.
    Packed(Arc<Kernels>),
}

/// `x · weightᵀ + bias`, from 32-bit floats to 32-bit floats.
#[derive(Debug, Clone)]
pub(in crate::roberta) enum Linear {
    Plain {
        kind: Kind,
        weight: Shared,
        bias: Shared,
    },
    Packed {
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
            Layout::Packed(kernels) => Self::Packed {
                weight: kernels.pack(&weight.f_to_kind(Kind::BFloat16)?)?,
                bias: bias(Kind::BFloat16)?.into(),
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
                weight,
                bias,
                kernels,
            } => kernels
                .linear(&x.f_to_kind(Kind::BFloat16)?, weight, bias)?
                .f_to_kind(Kind::Float),
        }
    }

    /// Through GELU, the exact one.
    pub(super) fn forward_gelu(&self, x: &Tensor) -> Result<Tensor, TchError> {
        match self {
            Self::Plain { .. } => self.forward(x)?.f_gelu_("none"),
            Self::Packed {
                weight,
                bias,
                kernels,
            } => kernels
                .linear_gelu(&x.f_to_kind(Kind::BFloat16)?, weight, bias)?
                .f_to_kind(Kind::Float),
        }
    }
}
