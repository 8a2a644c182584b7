//! Linear layers in integers of 8 bits.

use std::sync::Arc;

use pulp::Arch;
use tch::{Kind, TchError, Tensor};

use super::kernels::{Kernels, Packed};
use super::shared::Shared;

/// What is smaller counts as 0: its reciprocal would be too large for 32-bit floats.
const SMALLEST: f32 = 1e-30;

/// A number added to this one is rounded, and is what the sum's lowest bits say.
const WHOLE: f32 = 12_582_912.0;

/// `x · weightᵀ + bias`, from 32-bit floats to 32-bit floats, computed in 8-bit integers.
///
/// The weight has a scale for each output, `x` one for each token: what becomes of a token does not
/// depend on those beside it.
#[derive(Debug, Clone)]
pub(super) struct Int8Linear {
    weight: Packed,
    scales: Shared,
    /// Which step of each output's weights stands for 0.
    zeros: Shared,
    bias: Shared,
    kernels: Arc<Kernels>,
}

impl Int8Linear {
    pub(super) fn new(
        weight: &Tensor,
        bias: Tensor,
        kernels: &Arc<Kernels>,
    ) -> Result<Self, TchError> {
        let largest = weight.f_abs()?.f_amax([1].as_slice(), true)?;
        let scales = largest
            .f_clamp_min(f64::from(SMALLEST))?
            .f_divide_scalar(127.0)?;
        let steps = weight.f_div(&scales)?.f_round_()?.f_to_kind(Kind::Int8)?;
        let scales = scales.f_squeeze_dim(1)?;
        Ok(Self {
            weight: kernels.pack_int8(&steps)?,
            zeros: scales.f_zeros_like()?.f_to_kind(Kind::Int)?.into(),
            scales: scales.into(),
            bias: bias.into(),
            kernels: Arc::clone(kernels),
        })
    }

    pub(super) fn forward(&self, x: &Tensor) -> Result<Tensor, TchError> {
        self.finish(&Tokens::quantize(x, |_, _| ())?)
    }

    /// `down(gelu(self(x)))`. What is between the two is never kept in 32-bit floats.
    pub(super) fn feed_forward(&self, down: &Self, x: &Tensor) -> Result<Tensor, TchError> {
        let tokens = Tokens::quantize(x, |_, _| ())?;
        let y = self.multiply(&tokens)?;
        let mut bias = vec![0.0; self.bias.numel()];
        self.bias.f_copy_data(&mut bias, self.bias.numel())?;
        down.finish(&Tokens::quantize(
            &y,
            #[inline(always)]
            |token, row| {
                let scale = tokens.scales[token];
                for (y, bias) in row.iter_mut().zip(&bias) {
                    *y = gelu(*y * scale + bias);
                }
            },
        )?)
    }

    /// Before the tokens' scales and the bias.
    fn multiply(&self, tokens: &Tokens) -> Result<Tensor, TchError> {
        let step = (1.0 / f64::from(levels()), i64::from(zero()));
        self.kernels.linear_int8(
            &tokens.steps,
            step,
            &self.weight,
            [&self.scales, &self.zeros],
        )
    }

    fn finish(&self, tokens: &Tokens) -> Result<Tensor, TchError> {
        let y = self.multiply(tokens)?;
        let scales = Tensor::f_from_slice(&tokens.scales)?.f_unsqueeze(1)?;
        self.bias.f_addcmul_out(&y, &y, &scales)
    }
}

/// A vector a token in unsigned 8-bit integers, in parts of its largest absolute value.
struct Tokens {
    steps: Tensor,
    /// The largest absolute value of each token.
    scales: Vec<f32>,
}

impl Tokens {
    /// Each row of `x` as `prepare`, given the row's index, leaves it.
    fn quantize(x: &Tensor, prepare: impl Fn(usize, &mut [f32])) -> Result<Self, TchError> {
        /// So many numbers at a time stay in a processor's cache.
        const BLOCK: usize = 1 << 14;
        let (rows, width) = x.size2()?;
        let (count, width) = (rows as usize, width as usize);
        let mut steps = Vec::with_capacity(count * width);
        let mut scales = Vec::with_capacity(count);
        let at_a_time = (BLOCK / width).max(1);
        let mut block = vec![0.0; at_a_time * width];
        let (levels, zero) = (levels() as f32, WHOLE + zero() as f32);
        let arch = Arch::new();
        for start in (0..count).step_by(at_a_time) {
            let end = count.min(start + at_a_time);
            let block = &mut block[..(end - start) * width];
            x.f_narrow(0, start as i64, (end - start) as i64)?
                .f_copy_data(block, block.len())?;
            arch.dispatch(
                #[inline(always)]
                || {
                    for (row, index) in block.chunks_exact_mut(width).zip(start..end) {
                        prepare(index, row);
                        let scale = largest(row).max(SMALLEST);
                        let to_steps = levels / scale;
                        steps.extend(row.iter().map(|x| (x * to_steps + zero).to_bits() as u8));
                        scales.push(scale);
                    }
                },
            );
        }
        Ok(Self {
            steps: Tensor::f_from_data_size(&steps, &[rows, width as i64], Kind::Uint8)?,
            scales,
        })
    }
}

/// The largest absolute value.
#[inline(always)]
fn largest(row: &[f32]) -> f32 {
    #[inline(always)]
    fn larger(a: f32, b: f32) -> f32 {
        if b > a { b } else { a }
    }
    // Several at a time, so that they need not wait for each other.
    let (chunks, rest) = row.as_chunks::<64>();
    let mut most = [0.0; 64];
    for chunk in chunks {
        for (most, x) in most.iter_mut().zip(chunk) {
            *most = larger(*most, x.abs());
        }
    }
    rest.iter().map(|x| x.abs()).chain(most).fold(0.0, larger)
}

/// The exact one, x · Φ(x), to about 1e-6.
#[inline(always)]
fn gelu(x: f32) -> f32 {
    0.5 * x * (1.0 + erf(x * std::f32::consts::FRAC_1_SQRT_2))
}

/// To 1.5e-7: Abramowitz and Stegun, Handbook of Mathematical Functions, 7.1.26.
#[inline(always)]
fn erf(x: f32) -> f32 {
    let size = x.abs();
    let t = 1.0 / (1.0 + 0.327_591_1 * size);
    let sum = ((((1.061_405_4 * t - 1.453_152_1) * t + 1.421_413_8) * t - 0.284_496_72) * t
        + 0.254_829_6)
        * t;
    (1.0 - sum * exp(-size * size)).copysign(x)
}

/// Of what is not above 0.
#[inline(always)]
fn exp(x: f32) -> f32 {
    // 2 to the power of a whole number, times e to the power of at most half the logarithm of 2.
    let power = x.max(-87.0) * std::f32::consts::LOG2_E + WHOLE;
    let rest = x.max(-87.0) - (power - WHOLE) * std::f32::consts::LN_2;
    let mut series = 1.0;
    for divisor in [5.0, 4.0, 3.0, 2.0, 1.0] {
        series = 1.0 + rest * series * (1.0 / divisor);
    }
    series * f32::from_bits((power.to_bits() + 127) << 23)
}

/// How many steps there are from 0 to a token's largest value.
///
/// A processor without the VNNI instructions sums two products of 8-bit integers in 16 bits: they
/// fit for certain only when one of the factors has 7 bits.
fn levels() -> i32 {
    #[cfg(target_arch = "x86_64")]
    let vnni = is_x86_feature_detected!("avx512vnni") || is_x86_feature_detected!("avxvnni");
    #[cfg(not(target_arch = "x86_64"))]
    let vnni = false;
    if vnni { 127 } else { 63 }
}

/// The step that stands for 0.
fn zero() -> i32 {
    levels() + 1
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn gelu_is_the_exact_one() {
        let x: Vec<f32> = (-3000..3000).map(|x| x as f32 / 200.0).collect();
        let exact = Tensor::from_slice(&x).to_kind(Kind::Double).gelu("none");
        let exact: Vec<f64> = exact.try_into().unwrap();
        for (x, exact) in x.iter().zip(exact) {
            let off = (f64::from(gelu(*x)) - exact).abs();
            assert!(off < 2e-6, "{off} at {x}");
        }
    }

    proptest! {
        #[test]
        fn a_token_is_off_by_half_a_step_whatever_is_beside_it(
            rows in prop::collection::vec(prop::collection::vec(-1e3_f32..1e3, 70), 1..5),
            factor in prop::sample::select(vec![0.0, 1e-12, 1.0, 1e12]),
        ) {
            let rows: Vec<Vec<f32>> = rows.iter().map(|row| row.iter().map(|x| x * factor).collect()).collect();
            let quantize = |rows: &[Vec<f32>]| {
                let x = Tensor::from_slice(&rows.concat()).view([rows.len() as i64, -1]);
                let tokens = Tokens::quantize(&x, |_, _| ()).unwrap();
                let steps: Vec<u8> = tokens.steps.flatten(0, 1).try_into().unwrap();
                (steps, tokens.scales)
            };
            let (steps, scales) = quantize(&rows);
            for ((row, steps), &scale) in rows.iter().zip(steps.chunks(70)).zip(&scales) {
                for (x, &step) in row.iter().zip(steps) {
                    let back = scale * (i32::from(step) - zero()) as f32 / levels() as f32;
                    let off = (x - back).abs() * levels() as f32 / scale;
                    prop_assert!(off < 0.501, "{x} became {back}, off by {off} steps");
                }
                prop_assert_eq!(quantize(std::slice::from_ref(row)), (steps.to_vec(), vec![scale]));
            }
        }
    }
}
