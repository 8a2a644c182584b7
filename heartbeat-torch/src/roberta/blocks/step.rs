//! From some blocks of inputs to a block of outputs.

use prefetch_index::prefetch_index;
use pulp::Simd;

use super::block::Place;
use super::tokens::{FEATURES, Group, splat};

/// So many outputs lie side by side in a weight.
pub(super) const OUTPUTS: usize = 8;

/// How many numbers a block of inputs and a block of outputs have between them.
pub(super) const SQUARE: usize = FEATURES * FEATURES;

/// Of a processor's cache, in numbers.
const LINE: usize = 16;

/// The weights between a block of inputs and a block of outputs.
pub(super) type Square = [[[[f32; 2]; OUTPUTS]; FEATURES / 2]; FEATURES / OUTPUTS];

/// A weight's numbers, as [`Square`]s.
pub(super) fn squares(numbers: &[f32]) -> &[Square] {
    let parts = numbers.as_chunks().0.as_chunks().0;
    parts.as_chunks().0.as_chunks().0
}

/// The reverse of [`squares`].
pub(super) fn numbers(squares: &[Square]) -> &[f32] {
    let parts = squares.as_flattened().as_flattened();
    parts.as_flattened().as_flattened()
}

/// What some blocks of inputs are to a group of tokens.
///
/// Loops over sums are short and of constant length: compilers keep the sums in registers then.
#[derive(Clone, Copy)]
pub(super) struct Step<'a> {
    /// From the group's first number in the first of the blocks on.
    pub(super) x: &'a [f32],
    /// How far it is to the next block.
    pub(super) size: usize,
    pub(super) weight: &'a [Square],
    /// What is to be read into the cache meanwhile.
    pub(super) next: &'a [f32],
    pub(super) bias: Option<&'a [f32; FEATURES]>,
    /// To what is there.
    pub(super) add: bool,
    pub(super) group: Group,
    pub(super) place: Place,
}

impl Step<'_> {
    /// `V` vectors of tokens, `C` sums for each.
    #[inline(always)]
    pub(super) fn group<S: Simd, const V: usize, const C: usize, const T: usize>(
        self,
        simd: S,
        y: &mut [f32],
    ) {
        let (first, stride) = self.place.of(self.group);
        let width = V * S::F32_LANES;
        for output in (0..FEATURES).step_by(T) {
            let y = &mut y[first + output * stride..];
            let mut sums = [[[simd.splat_f32s(0.0); V]; T]; C];
            if self.add {
                for index in 0..T {
                    let y = S::as_simd_f32s(&y[index * stride..][..width]).0;
                    if let Some(y) = y.first_chunk() {
                        sums[0][index] = *y;
                    }
                }
            }
            if let Some(bias) = self.bias
                && let Some(bias) = bias[output..].first_chunk::<T>()
            {
                for index in 0..T {
                    let bias = simd.splat_f32s(bias[index]);
                    for sum in &mut sums[0][index] {
                        *sum = simd.add_f32s(*sum, bias);
                    }
                }
            }
            self.tile(simd, output, &mut sums);
            for index in 0..T {
                let y = S::as_mut_simd_f32s(&mut y[index * stride..][..width]).0;
                if let Some(y) = y.first_chunk_mut() {
                    *y = sums[0][index];
                    for sums in &sums[1..] {
                        for (y, sum) in y.iter_mut().zip(&sums[index]) {
                            *y = simd.add_f32s(*y, *sum);
                        }
                    }
                }
            }
        }
    }

    /// Half a vector of tokens.
    #[inline(always)]
    pub(super) fn half<S: Simd>(self, simd: S, y: &mut [f32]) {
        match S::F32_LANES {
            16 => self.pairs::<S, 8, 1, 2>(simd, y),
            8 => self.pairs::<S, 4, 2, 1>(simd, y),
            _ => self.pairs::<S, 2, 4, 1>(simd, y),
        }
    }

    /// Two features of each of `P` tokens are broadcast, and the weights of two inputs are vectors: of
    /// `Q` times [`OUTPUTS`] outputs, `U` each time.
    #[inline(always)]
    fn pairs<S: Simd, const P: usize, const U: usize, const Q: usize>(
        self,
        simd: S,
        y: &mut [f32],
    ) {
        let tiles = FEATURES / OUTPUTS / Q;
        for tile in 0..tiles {
            let next = share(self.next, tile, tiles);
            let mut ahead = Ahead::new(next, self.weight.len() * FEATURES / 2);
            let mut sums = [[[simd.splat_f32s(0.0); U]; Q]; P];
            for (block, weight) in self.weight.iter().enumerate() {
                let x = self.x[block * self.size..].as_chunks::<2>().0;
                let x = &x.as_chunks::<P>().0[..FEATURES / 2];
                let weight = &weight.as_chunks::<Q>().0[tile];
                for (row, x) in x.iter().enumerate() {
                    ahead.step();
                    let mut weights = [[simd.splat_f32s(0.0); U]; Q];
                    for (weights, part) in weights.iter_mut().zip(weight) {
                        let part = S::as_simd_f32s(part[row].as_flattened()).0;
                        if let Some(part) = part.first_chunk() {
                            *weights = *part;
                        }
                    }
                    for (x, sums) in x.iter().zip(&mut sums) {
                        let x = splat(simd, x);
                        for (weights, sums) in weights.iter().zip(sums) {
                            for (weight, sum) in weights.iter().zip(sums) {
                                *sum = simd.mul_add_e_f32s(x, *weight, *sum);
                            }
                        }
                    }
                }
            }
            let mut pairs = [[[[0.0; 2]; OUTPUTS]; Q]; P];
            for token in 0..P {
                for part in 0..Q {
                    let to = S::as_mut_simd_f32s(pairs[token][part].as_flattened_mut()).0;
                    if let Some(to) = to.first_chunk_mut() {
                        *to = sums[token][part];
                    }
                }
            }
            for (token, pairs) in pairs.iter().enumerate() {
                let outputs = (tile * Q * OUTPUTS..).zip(pairs.as_flattened());
                for (output, [even, odd]) in outputs {
                    let y = &mut y[self.place.of_token(self.group, token, output)];
                    let before = if self.add { *y } else { 0.0 };
                    let bias = self.bias.map_or(0.0, |bias| bias[output]);
                    *y = before + bias + (even + odd);
                }
            }
        }
    }

    #[inline(always)]
    fn tile<S: Simd, const V: usize, const C: usize, const T: usize>(
        self,
        simd: S,
        output: usize,
        sums: &mut [[[S::f32s; V]; T]; C],
    ) {
        /// So many inputs between two looks at what is to be read.
        const INPUTS: usize = 4;
        let next = share(self.next, output / T, FEATURES / T);
        let mut ahead = Ahead::new(next, self.weight.len() * FEATURES / INPUTS);
        for (block, weight) in self.weight.iter().enumerate() {
            let x = &self.x[block * self.size..][..V * S::F32_LANES * FEATURES];
            let x = S::as_simd_f32s(x)
                .0
                .as_chunks::<V>()
                .0
                .as_chunks::<INPUTS>()
                .0;
            let weight = weight[output / OUTPUTS].as_chunks::<{ INPUTS / 2 }>().0;
            for (x, weight) in x.iter().zip(weight) {
                ahead.step();
                for index in 0..INPUTS {
                    let weight = &weight[index / 2].as_chunks::<T>().0[output % OUTPUTS / T];
                    let sums = &mut sums[index % C];
                    for (weight, sums) in weight.iter().zip(sums) {
                        let weight = simd.splat_f32s(weight[index % 2]);
                        for (x, sum) in x[index].iter().zip(sums) {
                            *sum = simd.mul_add_e_f32s(*x, weight, *sum);
                        }
                    }
                }
            }
        }
    }
}

/// One of so many parts.
#[inline(always)]
fn share(numbers: &[f32], part: usize, parts: usize) -> &[f32] {
    &numbers[numbers.len() * part / parts..numbers.len() * (part + 1) / parts]
}

/// What is read into a cache while something else is done, in so many steps: as much in each, since a
/// processor waits when it has too much to read at a time.
struct Ahead<'a> {
    numbers: &'a [f32],
    steps: usize,
    at: usize,
    due: usize,
}

impl<'a> Ahead<'a> {
    #[inline(always)]
    fn new(numbers: &'a [f32], steps: usize) -> Self {
        Self {
            numbers,
            steps,
            at: 0,
            due: 0,
        }
    }

    #[inline(always)]
    fn step(&mut self) {
        self.due += self.numbers.len();
        if self.at * self.steps < self.due {
            prefetch_index(self.numbers, self.at);
            prefetch_index(self.numbers, self.at + LINE);
            self.at += 2 * LINE;
        }
    }
}
