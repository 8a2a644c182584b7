//! What is done to the numbers of one token, in loops that a compiler turns into vector instructions.

use pulp::Simd;

/// What is smaller counts as 0: its reciprocal would be too large for 32-bit floats.
pub(super) const SMALLEST: f32 = 1e-30;

/// A number added to this one is rounded, and is what the sum's lowest bits say.
pub(super) const WHOLE: f32 = 12_582_912.0;

/// The lowest and the highest number, or 0 where that is lower or higher.
#[inline(always)]
pub(super) fn range<S: Simd>(simd: S, row: &[f32]) -> (f32, f32) {
    let lower = |a, b| simd.min_f32s(a, b);
    let higher = |a, b| simd.max_f32s(a, b);
    (
        simd.reduce_min_f32s(fold(simd, row, 0.0, lower, lower)),
        simd.reduce_max_f32s(fold(simd, row, 0.0, higher, higher)),
    )
}

/// To a mean of 0 and a variance of 1.
#[inline(always)]
pub(super) fn normalise<S: Simd>(simd: S, row: &mut [f32], eps: f32) {
    let count = row.len() as f32;
    let add = |a, b| simd.add_f32s(a, b);
    let mean = simd.reduce_sum_f32s(fold(simd, row, 0.0, add, add)) / count;
    for x in row.iter_mut() {
        *x -= mean;
    }
    let add_square = |sum, x| simd.mul_add_e_f32s(x, x, sum);
    let squares = simd.reduce_sum_f32s(fold(simd, row, 0.0, add_square, add));
    let factor = 1.0 / (squares / count + eps).sqrt();
    for x in row {
        *x *= factor;
    }
}

/// Each number put `into` one of several results that begin with `start`, and these then `together`.
/// Behind the last number zeros fill in a vector.
#[inline(always)]
pub(super) fn fold<S: Simd>(
    simd: S,
    row: &[f32],
    start: f32,
    into: impl Fn(S::f32s, S::f32s) -> S::f32s,
    together: impl Fn(S::f32s, S::f32s) -> S::f32s,
) -> S::f32s {
    let (vectors, rest) = S::as_simd_f32s(row);
    let (vectors, more) = vectors.as_chunks::<4>();
    // Four, which need not wait for each other.
    let [mut a, mut b, mut c, mut d] = [simd.splat_f32s(start); 4];
    for [p, q, r, s] in vectors {
        a = into(a, *p);
        b = into(b, *q);
        c = into(c, *r);
        d = into(d, *s);
    }
    for p in more {
        a = into(a, *p);
    }
    if !rest.is_empty() {
        b = into(b, simd.partial_load_f32s(rest));
    }
    together(together(a, b), together(c, d))
}

/// From scores, so many of them, to shares. What is behind them becomes 0.
#[inline(always)]
pub(super) fn softmax<S: Simd>(simd: S, scores: &mut [f32], length: usize) {
    scores[length..].fill(f32::NEG_INFINITY);
    let higher = |a, b| simd.max_f32s(a, b);
    let highest = simd.reduce_max_f32s(fold(simd, scores, f32::NEG_INFINITY, higher, higher));
    for score in scores.iter_mut() {
        *score = exp(*score - highest);
    }
    let add = |a, b| simd.add_f32s(a, b);
    let factor = 1.0 / simd.reduce_sum_f32s(fold(simd, scores, 0.0, add, add));
    for score in scores {
        *score *= factor;
    }
}

/// e to the power of what is not above 0, to 5e-7 of it; 0 below -87.
#[inline(always)]
pub(super) fn exp(x: f32) -> f32 {
    // Taylor's, for at most half the logarithm of 2; the rest is a whole power of 2.
    const SERIES: [f32; 7] = [
        1.0 / 720.0,
        1.0 / 120.0,
        1.0 / 24.0,
        1.0 / 6.0,
        1.0 / 2.0,
        1.0,
        1.0,
    ];
    let inner = if x > -87.0 { x } else { -87.0 };
    let power = inner.mul_add(std::f32::consts::LOG2_E, WHOLE);
    let rest = (power - WHOLE).mul_add(-std::f32::consts::LN_2, inner);
    let mut series = 0.0;
    for factor in SERIES {
        series = rest.mul_add(series, factor);
    }
    let result = series * f32::from_bits((power.to_bits() + 127) << 23);
    if x < -87.0 { 0.0 } else { result }
}

/// The exact GELU, x · Φ(x), to 4e-5.
///
/// Between -[`END`] and [`END`] Φ(x) - ½ is x · p(x²), where p is the polynomial for which x · Φ(x) is
/// off by the least at its worst, found by Lawson's algorithm; beyond them it is ½.
#[inline(always)]
pub(super) fn gelu(x: f32) -> f32 {
    const END: f32 = 4.4;
    const P: [f32; 9] = [
        3.569_43e-11,
        -3.754_05e-9,
        1.740_847_8e-7,
        -4.724_869e-6,
        8.429_302_4e-5,
        -1.054_992_6e-3,
        9.643_028e-3,
        -6.607_643e-2,
        3.987_616e-1,
    ];
    let inner = x.clamp(-END, END);
    let square = inner * inner;
    let mut p = 0.0;
    for factor in P {
        p = square.mul_add(p, factor);
    }
    x * inner.mul_add(p, 0.5)
}

/// The exact GELU, x · Φ(x), to about 1e-6.
#[inline(always)]
pub(super) fn gelu_exact(x: f32) -> f32 {
    0.5 * x * (1.0 + erf(x * std::f32::consts::FRAC_1_SQRT_2))
}

/// To 1.5e-7: Abramowitz and Stegun, Handbook of Mathematical Functions, 7.1.26.
#[inline(always)]
fn erf(x: f32) -> f32 {
    const SERIES: [f32; 5] = [
        1.061_405_4,
        -1.453_152_1,
        1.421_413_8,
        -0.284_496_72,
        0.254_829_6,
    ];
    let size = x.abs();
    let t = 1.0 / 0.327_591_1_f32.mul_add(size, 1.0);
    let mut sum = 0.0;
    for factor in SERIES {
        sum = t.mul_add(sum, factor);
    }
    (1.0 - t * sum * exp(-size * size)).copysign(x)
}

#[cfg(test)]
mod tests {
    use tch::{Kind, Tensor};

    use super::*;

    #[test]
    fn gelu_is_nearly_the_exact_one() {
        let x: Vec<f32> = (-4000..4000).map(|x| x as f32 / 400.0).collect();
        let exact = Tensor::from_slice(&x).to_kind(Kind::Double).gelu("none");
        let exact: Vec<f64> = exact.try_into().unwrap();
        for (x, exact) in x.iter().zip(exact) {
            let off = (f64::from(gelu(*x)) - exact).abs();
            assert!(off < 4e-5, "{off} at {x}");
            let off = (f64::from(gelu_exact(*x)) - exact).abs();
            assert!(off < 1e-6, "{off} at {x}");
        }
    }

    #[test]
    fn exp_is_nearly_exact() {
        for x in (0..9000).map(|x| x as f32 / -100.0) {
            let exact = f64::from(x).exp();
            let off = (f64::from(exp(x)) - exact).abs();
            assert!(off < 5e-7 * exact || off < 1e-37, "{off} of {exact} at {x}");
        }
        assert_eq!(exp(0.0), 1.0);
        assert_eq!(exp(f32::NEG_INFINITY), 0.0);
    }
}
