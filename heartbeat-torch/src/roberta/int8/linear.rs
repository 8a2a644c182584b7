//! Linear layers in integers of 8 bits.

use std::ops::Range;
use std::sync::Arc;

use pulp::{Arch, Simd, WithSimd};
use tch::{Kind, TchError, Tensor};

use super::tokens::{Prepare, Quantized, Tokens};
use crate::roberta::kernels::{Kernels, Packed};
use crate::roberta::norm::Norm;
use crate::roberta::rows::{RowReader, numbers};
use crate::roberta::shared::Shared;
use crate::roberta::vector::{SMALLEST, gelu};
use crate::roberta::weights::Parameters;

/// `x · weightᵀ + bias`, computed in 8-bit integers.
///
/// The weight has a scale for each output, `x` a scale and a zero for each token: what becomes of a
/// token does not depend on those beside it.
#[derive(Debug, Clone)]
pub(in crate::roberta) struct Int8Linear {
    weight: Packed,
    scales: Shared,
    /// Which step of each output's weights stands for 0.
    zeros: Shared,
    bias: Arc<[f32]>,
    /// What each output would be if all inputs were 1.
    sums: Arc<[f32]>,
    kernels: Arc<Kernels>,
}

impl Int8Linear {
    pub(super) fn new(parameters: &Parameters, kernels: &Arc<Kernels>) -> Result<Self, TchError> {
        let Parameters { weight, bias } = parameters;
        let largest = weight.f_abs()?.f_amax([1].as_slice(), true)?;
        let scales = largest
            .f_clamp_min(f64::from(SMALLEST))?
            .f_divide_scalar(127.0)?;
        let steps = weight.f_div(&scales)?.f_round_()?;
        let scales = scales.f_squeeze_dim(1)?;
        let sums = steps.f_sum_dim_intlist([1].as_slice(), false, Kind::Float)?;
        Ok(Self {
            weight: kernels.pack_int8(&steps.f_to_kind(Kind::Int8)?)?,
            bias: numbers(bias)?.into(),
            sums: numbers(&sums.f_mul(&scales)?)?.into(),
            zeros: scales.f_zeros_like()?.f_to_kind(Kind::Int)?.into(),
            scales: scales.into(),
            kernels: Arc::clone(kernels),
        })
    }

    /// In 32-bit floats.
    pub(super) fn forward(&self, x: &Quantized) -> Result<Tensor, TchError> {
        let sums = self.multiply(x, Kind::Float)?;
        let mut reader = RowReader::default();
        let numbers = self.read(&sums, x, 0..x.count(), &mut reader)?;
        Tensor::f_from_slice(numbers)?.f_view([x.count() as i64, -1])
    }

    /// Through GELU.
    pub(super) fn forward_gelu(&self, x: &Quantized) -> Result<Quantized, TchError> {
        let sums = self.multiply(x, half())?;
        Quantized::new(&sums, &mut Gelu { linear: self, x })
    }

    /// Added to `residual`, and normalised.
    pub(super) fn forward_add(
        &self,
        x: &Quantized,
        residual: &Tokens,
        norm: &Norm,
    ) -> Result<Tokens, TchError> {
        let mut values = Vec::with_capacity(residual.values.len());
        let mut add = AddAndNormalise {
            linear: self,
            x,
            residual,
            norm,
            values: &mut values,
        };
        let quantized = Quantized::new(&self.multiply(x, Kind::Float)?, &mut add)?;
        Ok(Tokens { values, quantized })
    }

    /// The sums of steps, counted from the middle, by weights.
    pub(super) fn multiply(&self, x: &Quantized, kind: Kind) -> Result<Tensor, TchError> {
        let (zero, zeros) = (i64::from(x.middle), [&*self.scales, &*self.zeros]);
        self.kernels
            .linear_int8(&x.steps, zero, &self.weight, zeros, kind)
    }

    /// The outputs of some of the tokens of `x`, one after the other, from their sums.
    pub(super) fn read<'a>(
        &self,
        sums: &Tensor,
        x: &Quantized,
        tokens: Range<usize>,
        reader: &'a mut RowReader,
    ) -> Result<&'a mut [f32], TchError> {
        let outputs = reader.read(sums, tokens.clone())?;
        Arch::new().dispatch(Finish {
            linear: self,
            x,
            tokens,
            outputs,
        });
        Ok(outputs)
    }
}

/// The kind of sums of which much must be written and read, and little precision is left anyway once
/// they are in 8 bits: bfloat16, where oneDNN makes it from integers fast.
pub(super) fn half() -> Kind {
    #[cfg(target_arch = "x86_64")]
    let fast = is_x86_feature_detected!("avx512bw");
    #[cfg(not(target_arch = "x86_64"))]
    let fast = false;
    if fast { Kind::BFloat16 } else { Kind::Float }
}

struct Finish<'a> {
    linear: &'a Int8Linear,
    x: &'a Quantized,
    tokens: Range<usize>,
    outputs: &'a mut [f32],
}

impl WithSimd for Finish<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Int8Linear { bias, sums, .. } = self.linear;
        let rows = self.outputs.chunks_exact_mut(bias.len());
        for (row, token) in rows.zip(self.tokens) {
            let to = ToOutput::new(self.x, token);
            for ((y, sum), bias) in row.iter_mut().zip(&**sums).zip(&**bias) {
                *y = to.output(*y, *sum, *bias);
            }
        }
    }
}

/// From a token's sums to its outputs.
#[derive(Clone, Copy)]
struct ToOutput {
    scale: f32,
    shift: f32,
}

impl ToOutput {
    fn new(x: &Quantized, token: usize) -> Self {
        let scale = x.scales[token];
        // Steps were counted from the middle, and not from the one that stands for 0.
        let shift = -scale * x.zeros[token];
        Self { scale, shift }
    }

    #[inline(always)]
    fn output(self, steps: f32, of_ones: f32, bias: f32) -> f32 {
        steps.mul_add(self.scale, of_ones.mul_add(self.shift, bias))
    }
}

struct Gelu<'a> {
    linear: &'a Int8Linear,
    x: &'a Quantized,
}

impl Prepare for Gelu<'_> {
    #[inline(always)]
    fn prepare<S: Simd>(&mut self, _: S, token: usize, row: &mut [f32]) {
        let Int8Linear { bias, sums, .. } = self.linear;
        let to = ToOutput::new(self.x, token);
        for ((y, sum), bias) in row.iter_mut().zip(&**sums).zip(&**bias) {
            *y = gelu(to.output(*y, *sum, *bias));
        }
    }
}

struct AddAndNormalise<'a> {
    linear: &'a Int8Linear,
    x: &'a Quantized,
    residual: &'a Tokens,
    norm: &'a Norm,
    values: &'a mut Vec<f32>,
}

impl Prepare for AddAndNormalise<'_> {
    #[inline(always)]
    fn prepare<S: Simd>(&mut self, simd: S, token: usize, row: &mut [f32]) {
        let Int8Linear { bias, sums, .. } = self.linear;
        let to = ToOutput::new(self.x, token);
        let residual = &self.residual.values[token * row.len()..];
        for (((y, sum), bias), residual) in row.iter_mut().zip(&**sums).zip(&**bias).zip(residual) {
            *y = to.output(*y, *sum, *bias) + residual;
        }
        self.norm.apply(simd, row);
        self.values.extend_from_slice(row);
    }
}
