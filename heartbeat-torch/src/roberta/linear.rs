//! Linear layers, each kept as its precision and device want it.

use std::sync::Arc;

use tch::{Kind, TchError, Tensor};

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
pub(super) struct Linear {
    weight: Weight,
    bias: Shared,
}

#[derive(Debug, Clone)]
enum Weight {
    Plain(Kind, Shared),
    Packed(Kind, Packed, Arc<Kernels>),
    Int8(Packed, Shared, Arc<Kernels>),
}

impl Linear {
    /// Keeps `weight`, outputs by inputs, in `format`. A copy is made of everything but a plain
    /// weight.
    pub(super) fn new(weight: &Tensor, bias: &Tensor, format: &Format) -> Result<Self, TchError> {
        let kind = match format {
            Format::Plain(kind) | Format::Packed(kind, _) => *kind,
            Format::Int8(_) => Kind::Float,
        };
        let bias = bias.f_to_kind(kind)?.f_detach_copy()?.into();
        let weight = match format {
            Format::Plain(_) => Weight::Plain(kind, weight.f_to_kind(kind)?.into()),
            Format::Packed(_, kernels) => {
                let packed = kernels.pack(&weight.f_to_kind(kind)?)?;
                Weight::Packed(kind, packed, Arc::clone(kernels))
            }
            Format::Int8(kernels) => {
                let (weight, scales) = quantize_weight(weight)?;
                Weight::Int8(
                    kernels.pack_int8(&weight)?,
                    scales.into(),
                    Arc::clone(kernels),
                )
            }
        };
        Ok(Self { weight, bias })
    }

    pub(super) fn forward(&self, x: &Tensor) -> Result<Tensor, TchError> {
        match &self.weight {
            Weight::Plain(kind, weight) => x
                .f_to_kind(*kind)?
                .f_linear::<&Tensor>(weight, Some(&self.bias))?
                .f_to_kind(Kind::Float),
            Weight::Packed(kind, weight, kernels) => kernels
                .linear(&x.f_to_kind(*kind)?, weight, &self.bias)?
                .f_to_kind(Kind::Float),
            Weight::Int8(weight, scales, kernels) => {
                let tokens = QuantizedTokens::of(x)?;
                let y = kernels.linear_int8(&tokens.steps, tokens.step, weight, scales)?;
                self.bias.f_addcmul_out(&y, &y, &tokens.scales)
            }
        }
    }

    /// Through GELU, the exact one.
    pub(super) fn forward_gelu(&self, x: &Tensor) -> Result<Tensor, TchError> {
        match &self.weight {
            Weight::Packed(kind, weight, kernels) => kernels
                .linear_gelu(&x.f_to_kind(*kind)?, weight, &self.bias)?
                .f_to_kind(Kind::Float),
            Weight::Plain(..) | Weight::Int8(..) => self.forward(x)?.f_gelu_("none"),
        }
    }

    /// Added to `residual`.
    pub(super) fn forward_add(&self, x: &Tensor, residual: &Tensor) -> Result<Tensor, TchError> {
        match &self.weight {
            Weight::Packed(Kind::Float, weight, kernels) => {
                kernels.linear_add(x, residual, weight, &self.bias)
            }
            _ => self.forward(x)?.f_add_(residual),
        }
    }
}

/// What is smaller counts as 0: its reciprocal would be too large for 32-bit floats.
const SMALLEST: f64 = 1e-30;

/// Weights as signed 8-bit integers, and for each output what one step is.
fn quantize_weight(weight: &Tensor) -> Result<(Tensor, Tensor), TchError> {
    let largest = weight.f_abs()?.f_amax([1].as_slice(), true)?;
    let scales = largest.f_clamp_min(SMALLEST)?.f_divide_scalar(127.0)?;
    let steps = weight.f_div(&scales)?.f_round_()?.f_to_kind(Kind::Int8)?;
    Ok((steps, scales.f_squeeze_dim(1)?))
}

/// A vector a token as unsigned 8-bit integers, each token under its own scale: what becomes of a
/// token does not depend on those beside it.
struct QuantizedTokens {
    steps: Tensor,
    /// The largest absolute value of each token.
    scales: Tensor,
    /// What one step is, in parts of the token's scale, and which number stands for 0.
    step: (f64, i64),
}

impl QuantizedTokens {
    fn of(x: &Tensor) -> Result<Self, TchError> {
        let levels = levels();
        let step = (1.0 / levels, levels as i64 + 1);
        let largest = x.f_amax([1].as_slice(), true)?;
        let mut smallest = x.f_amin([1].as_slice(), true)?;
        let scales = largest
            .f_maximum(&smallest.f_neg_()?)?
            .f_clamp_min_(SMALLEST)?;
        let steps = x
            .f_multiply(&scales.f_reciprocal()?)?
            .f_quantize_per_tensor(step.0, step.1, Kind::QUInt8)?
            .f_int_repr()?;
        Ok(Self {
            steps,
            scales,
            step,
        })
    }
}

/// How many steps there are from 0 to a token's largest value.
///
/// A processor without the VNNI instructions sums two products of 8-bit integers in 16 bits: they
/// fit for certain only when one of the factors has 7 bits.
fn levels() -> f64 {
    #[cfg(target_arch = "x86_64")]
    let vnni = is_x86_feature_detected!("avx512vnni") || is_x86_feature_detected!("avxvnni");
    #[cfg(not(target_arch = "x86_64"))]
    let vnni = false;
    if vnni { 127.0 } else { 63.0 }
}
