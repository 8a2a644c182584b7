//! The vectors of tokens.

use pulp::{Arch, Simd, WithSimd};
use tch::{Kind, TchError, Tensor};

use crate::roberta::rows::{RowReader, numbers};
use crate::roberta::vector::{SMALLEST, WHOLE, range};

/// A vector a token, as it is and in 8-bit integers.
#[derive(Debug)]
pub(in crate::roberta) struct Tokens {
    /// One vector after the other.
    pub(super) values: Vec<f32>,
    pub(super) quantized: Quantized,
}

impl Tokens {
    /// `x` holds a row a token.
    pub(in crate::roberta) fn new(x: &Tensor) -> Result<Self, TchError> {
        let (rows, width) = x.size2()?;
        let mut values = numbers(x)?;
        let mut quantizer = Quantizer::new(rows as usize, width as usize);
        quantizer.take_rows(&mut values, &mut ());
        Ok(Self {
            values,
            quantized: quantizer.finish()?,
        })
    }

    /// A row a token.
    pub(super) fn to_tensor(&self) -> Result<Tensor, TchError> {
        let rows = self.quantized.count() as i64;
        Tensor::f_from_slice(&self.values)?.f_view([rows, -1])
    }
}

/// A vector a token in unsigned 8-bit integers: steps of equal size from the token's lowest number to
/// its highest.
#[derive(Debug)]
pub(super) struct Quantized {
    /// A row a token.
    pub(super) steps: Tensor,
    /// How far it is from one step to the next, for each token.
    pub(super) scales: Vec<f32>,
    /// By how much the step that stands for 0 is above the one in the middle, for each token.
    pub(super) zeros: Vec<f32>,
    /// Which step is in the middle.
    pub(super) middle: u8,
}

impl Quantized {
    /// Each row of `x` as `prepare` leaves it.
    pub(super) fn new(x: &Tensor, prepare: &mut impl Prepare) -> Result<Self, TchError> {
        let (rows, width) = x.size2()?;
        let mut quantizer = Quantizer::new(rows as usize, width as usize);
        quantizer.take(x, prepare)?;
        quantizer.finish()
    }

    /// How many tokens there are.
    pub(super) fn count(&self) -> usize {
        self.scales.len()
    }
}

/// Makes [`Quantized`] of some rows after the other.
#[derive(Debug)]
pub(super) struct Quantizer {
    arch: Arch,
    levels: f32,
    rows: usize,
    width: usize,
    steps: Vec<u8>,
    scales: Vec<f32>,
    zeros: Vec<f32>,
}

impl Quantizer {
    pub(super) fn new(rows: usize, width: usize) -> Self {
        Self {
            arch: Arch::new(),
            levels: levels(),
            rows,
            width,
            steps: Vec::with_capacity(rows * width),
            scales: Vec::with_capacity(rows),
            zeros: Vec::with_capacity(rows),
        }
    }

    /// Each row of `x` as `prepare` leaves it.
    pub(super) fn take(&mut self, x: &Tensor, prepare: &mut impl Prepare) -> Result<(), TchError> {
        /// So many numbers at a time stay in a processor's cache.
        const BLOCK: usize = 1 << 15;
        let rows = x.size2()?.0 as usize;
        let at_a_time = (BLOCK / self.width).max(1);
        let mut reader = RowReader::default();
        for start in (0..rows).step_by(at_a_time) {
            let rows = reader.read(x, start..rows.min(start + at_a_time))?;
            self.take_rows(rows, prepare);
        }
        Ok(())
    }

    /// As [`Self::take`], from rows one after the other.
    pub(super) fn take_rows(&mut self, rows: &mut [f32], prepare: &mut impl Prepare) {
        for row in rows.chunks_exact_mut(self.width) {
            let (scale, zero) = self.arch.dispatch(Quantize {
                row,
                token: self.scales.len(),
                prepare,
                levels: self.levels,
                steps: &mut self.steps,
            });
            self.scales.push(scale);
            self.zeros.push(zero);
        }
    }

    /// Rows that are missing become 0.
    pub(super) fn finish(mut self) -> Result<Quantized, TchError> {
        let middle = middle(self.levels);
        self.steps.resize(self.rows * self.width, middle as u8);
        self.scales.resize(self.rows, 1.0);
        self.zeros.resize(self.rows, 0.0);
        let size = [self.rows as i64, self.width as i64];
        Ok(Quantized {
            steps: Tensor::f_from_data_size(&self.steps, &size, Kind::Uint8)?,
            scales: self.scales,
            zeros: self.zeros,
            middle: middle as u8,
        })
    }
}

/// What is done to a token's numbers before they are quantized.
///
/// To be inlined, so that it is compiled for the processor at hand. A closure is not always.
pub(super) trait Prepare {
    fn prepare<S: Simd>(&mut self, simd: S, token: usize, row: &mut [f32]);
}

/// Nothing.
impl Prepare for () {
    #[inline(always)]
    fn prepare<S: Simd>(&mut self, _: S, _: usize, _: &mut [f32]) {}
}

struct Quantize<'a, P> {
    row: &'a mut [f32],
    token: usize,
    prepare: &'a mut P,
    levels: f32,
    steps: &'a mut Vec<u8>,
}

impl<P: Prepare> WithSimd for Quantize<'_, P> {
    /// The scale and the zero.
    type Output = (f32, f32);

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> (f32, f32) {
        self.prepare.prepare(simd, self.token, self.row);
        let (low, high) = range(simd, self.row);
        let to_steps = self.levels / (high - low).max(SMALLEST);
        // Rounded up, so that nothing comes below the first step or above the last, which is one more.
        let zero = WHOLE + (0.5 - low * to_steps);
        let steps = self.row.iter();
        self.steps
            .extend(steps.map(|x| x.mul_add(to_steps, zero).to_bits() as u8));
        (1.0 / to_steps, zero - WHOLE - middle(self.levels))
    }
}

/// The highest step but one.
///
/// A processor without the VNNI instructions sums two products of 8-bit integers in 16 bits: they
/// fit for certain only when one of the factors has 7 bits.
fn levels() -> f32 {
    #[cfg(target_arch = "x86_64")]
    let vnni = is_x86_feature_detected!("avx512vnni") || is_x86_feature_detected!("avxvnni");
    #[cfg(not(target_arch = "x86_64"))]
    let vnni = false;
    if vnni { 254.0 } else { 126.0 }
}

fn middle(levels: f32) -> f32 {
    levels / 2.0 + 1.0
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_token_is_off_by_half_a_step_whatever_is_beside_it(
            rows in prop::collection::vec(prop::collection::vec(-1e3_f32..1e3, 70), 1..5),
            shift in -2e3_f32..2e3,
            factor in prop::sample::select(vec![0.0, 1e-12, 1.0, 1e12]),
        ) {
            let rows: Vec<Vec<f32>> = rows
                .iter()
                .map(|row| row.iter().map(|x| (x + shift) * factor).collect())
                .collect();
            let quantize = |rows: &[Vec<f32>]| {
                let x = Tensor::from_slice(&rows.concat()).view([rows.len() as i64, -1]);
                let quantized = Quantized::new(&x, &mut ()).unwrap();
                let steps: Vec<u8> = quantized.steps.flatten(0, 1).try_into().unwrap();
                let middle = f32::from(quantized.middle);
                let zeros: Vec<f32> = quantized.zeros.iter().map(|zero| zero + middle).collect();
                (steps, quantized.scales, zeros)
            };
            let (steps, scales, zeros) = quantize(&rows);
            for (index, (row, steps)) in rows.iter().zip(steps.chunks(70)).enumerate() {
                let (scale, zero) = (scales[index], zeros[index]);
                for (x, &step) in row.iter().zip(steps) {
                    let back = scale * (f32::from(step) - zero);
                    let off = (x - back).abs() / scale;
                    prop_assert!(off < 0.501, "{x} became {back}, off by {off} steps");
                }
                prop_assert_eq!(
                    quantize(std::slice::from_ref(row)),
                    (steps.to_vec(), vec![scale], vec![zero])
                );
            }
        }
    }
}
