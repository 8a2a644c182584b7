//! Linear layers, each kept as its precision and device want it.

use std::sync::Arc;

use tch::{Kind, TchError, Tensor};

use super::int8::Int8Linear;
use super::kernels::{Kernels, Packed};
use super::shared::Shared;

/// How the weights of a model's linear layers are kept.
#[derive(Debug, Clone)]
pub(super) enum Format {
    /// As they are: LibTorch's own `linear`, on any device, in 32-bit floats or in bfloat16.
    Plain(Kind),
    /// Laid out by a library, in 32-bit floats or in bfloat16.
    Packed(Kind, Arc<Kernels>),
    /// Signed 8-bit integers, a scale for each output, laid out by oneDNN.
    Int8(Arc<Kernels>),
}

impl Format {
    /// How many rows to compute where so many are needed.
    pub(super) fn rows(&self) -> fn(usize) -> usize {
        match self {
            Self::Plain(_) => |rows| rows,
            Self::Packed(_, kernels) | Self::Int8(kernels) => kernels.rows,
        }
    }
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
    Int8(Int8Linear),
}

impl Linear {
    /// Keeps `weight`, outputs by inputs, in `format`. A copy is made of everything but a plain
    /// weight.
    pub(super) fn new(weight: &Tensor, bias: &Tensor, format: &Format) -> Result<Self, TchError> {
        let bias = |kind| bias.f_to_kind(kind)?.f_detach_copy();
        Ok(match format {
            &Format::Plain(kind) => Self::Plain {
                kind,
                weight: weight.f_to_kind(kind)?.into(),
                bias: bias(kind)?.into(),
            },
            Format::Packed(kind, kernels) => Self::Packed {
                kind: *kind,
                weight: kernels.pack(&weight.f_to_kind(*kind)?)?,
                bias: bias(*kind)?.into(),
                kernels: Arc::clone(kernels),
            },
            Format::Int8(kernels) => {
                Self::Int8(Int8Linear::new(weight, bias(Kind::Float)?, kernels)?)
            }
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
            Self::Int8(linear) => linear.forward(x),
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

    /// `down(gelu(self(x))) + x`, GELU the exact one.
    pub(super) fn feed_forward(&self, down: &Self, x: &Tensor) -> Result<Tensor, TchError> {
        let inner = match (self, down) {
            (Self::Int8(up), Self::Int8(down)) => return up.feed_forward(down, x)?.f_add_(x),
            (
                Self::Packed {
                    kind,
                    weight,
                    bias,
                    kernels,
                },
                _,
            ) => kernels
                .linear_gelu(&x.f_to_kind(*kind)?, weight, bias)?
                .f_to_kind(Kind::Float)?,
            _ => self.forward(x)?.f_gelu_("none")?,
        };
        down.forward_add(&inner, x)
    }
}
