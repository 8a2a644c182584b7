//! Linear layers over blocks.

use std::ops::Range;
use std::sync::Arc;

use prefetch_index::prefetch_index;
use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;
use tch::TchError;

use super::tokens::{FEATURES, Group, Numbers, Tokens, zeros};
use crate::roberta::rows::numbers;
use crate::roberta::vector::gelu_exact;
use crate::roberta::weights::Parameters;

/// So many outputs lie side by side in a weight.
const OUTPUTS: usize = 8;

/// So many blocks of inputs are computed with at a time: those of a group stay in a processor's first
/// cache then.
const DEPTH: usize = 2;

/// So many groups at a time: the blocks of some inputs stay in a processor's second cache then.
const GROUPS: usize = 2;

/// So many blocks of inputs at a time, for the same reason.
const BLOCKS: usize = 12;

/// How many numbers a block of inputs and a block of outputs have between them.
const SQUARE: usize = FEATURES * FEATURES;

/// Of a processor's cache, in numbers.
const LINE: usize = 16;

/// `weight · x + bias`. A clone shares the weight.
#[derive(Debug, Clone)]
pub(super) struct BlockLinear {
    /// Block after block of outputs; in each, block after block of inputs; in each, [`OUTPUTS`] after
    /// [`OUTPUTS`]; in each, input after input.
    weight: Arc<Numbers>,
    bias: Arc<[f32]>,
    inputs: usize,
}

impl BlockLinear {
    pub(super) fn new(parameters: &Parameters) -> Result<Self, TchError> {
        let inputs = parameters.weight.size2()?.1 as usize;
        let rows = numbers(&parameters.weight)?;
        let mut weight = zeros(rows.len());
        let blocks = inputs / FEATURES;
        let squares = weight.chunks_exact_mut(SQUARE).enumerate();
        for (index, square) in squares {
            let (output, input) = (index / blocks * FEATURES, index % blocks * FEATURES);
            let parts = square.chunks_exact_mut(OUTPUTS * FEATURES).enumerate();
            for (part, numbers) in parts {
                for side in 0..OUTPUTS {
                    let row = (output + part * OUTPUTS + side) * inputs + input;
                    let places = numbers[side..].iter_mut().step_by(OUTPUTS);
                    for (to, from) in places.zip(&rows[row..row + FEATURES]) {
                        *to = *from;
                    }
                }
            }
        }
        Ok(Self {
            weight: Arc::new(weight),
            bias: numbers(&parameters.bias)?.into(),
            inputs,
        })
    }

    pub(super) fn outputs(&self) -> usize {
        self.bias.len()
    }

    pub(super) fn forward(&self, x: &Tokens) -> Tokens {
        let mut y = x.beside(self.outputs());
        self.blocks(x, &mut y, Finish::Write);
        y
    }

    /// Added to `y`.
    pub(super) fn forward_add(&self, x: &Tokens, y: &mut Tokens) {
        self.blocks(x, y, Finish::Add);
    }

    /// Through GELU, the exact one.
    pub(super) fn forward_gelu(&self, x: &Tokens, y: &mut Tokens) {
        self.blocks(x, y, Finish::Gelu);
    }

    fn blocks(&self, x: &Tokens, y: &mut Tokens, finish: Finish) {
        let size = y.block();
        self.each_part(x, |part| {
            let blocks = y.numbers.par_chunks_exact_mut(size).enumerate();
            // One by one, since processors are not equally fast.
            blocks.with_max_len(1).for_each(|(index, y)| {
                self.block(index, part.clone(), y, Place::Blocks, finish);
            });
        });
    }

    /// The blocks of outputs from `first` on, a row a feature, so many numbers from one to the next.
    pub(super) fn rows(&self, first: usize, x: &Tokens, y: &mut [f32], stride: usize) {
        self.each_part(x, |part| {
            for (index, y) in y.chunks_exact_mut(FEATURES * stride).enumerate() {
                let place = Place::Rows(stride);
                self.block(first + index, part.clone(), y, place, Finish::Write);
            }
        });
    }

    fn each_part<'a>(&self, x: &'a Tokens, mut compute: impl FnMut(Part<'a>)) {
        let blocks = self.inputs / FEATURES;
        for start in (0..blocks).step_by(BLOCKS) {
            for groups in x.groups.chunks(GROUPS) {
                compute(Part {
                    x,
                    groups,
                    inputs: start..blocks.min(start + BLOCKS),
                });
            }
        }
    }

    /// One of the blocks of outputs.
    fn block(&self, index: usize, part: Part<'_>, y: &mut [f32], place: Place, finish: Finish) {
        let from_here = &self.weight[index * FEATURES * self.inputs..];
        let (weight, behind) = from_here.split_at(FEATURES * self.inputs);
        let Some(bias) = self.bias[index * FEATURES..].first_chunk() else {
            return;
        };
        Arch::new().dispatch(Block {
            weight: weight.as_chunks().0.as_chunks().0.as_chunks().0,
            bias,
            behind: behind.get(part.inputs.start * SQUARE..).unwrap_or_default(),
            part,
            y,
            place,
            finish,
        });
    }
}

/// Some blocks of inputs for some groups of tokens.
#[derive(Debug, Clone)]
struct Part<'a> {
    x: &'a Tokens,
    groups: &'a [Group],
    inputs: Range<usize>,
}

/// What becomes of sums.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Finish {
    /// They are written to their place.
    Write,
    /// They are added to what is there.
    Add,
    /// They go through GELU, in blocks only.
    Gelu,
}

/// Where the numbers of a block are.
#[derive(Debug, Clone, Copy)]
enum Place {
    /// As in [`Tokens`].
    Blocks,
    /// A row a feature, so many numbers from one to the next.
    Rows(usize),
}

impl Place {
    /// Where those of a group begin, and how far it is from one feature to the next.
    #[inline(always)]
    fn of(self, group: Group) -> (usize, usize) {
        match self {
            Self::Blocks => (group.start * FEATURES, group.width),
            Self::Rows(stride) => (group.start, stride),
        }
    }
}

/// The weights between a block of inputs and a block of outputs.
type Square = [[[f32; OUTPUTS]; FEATURES]; FEATURES / OUTPUTS];

/// A block of outputs.
struct Block<'a> {
    weight: &'a [Square],
    bias: &'a [f32; FEATURES],
    /// The weights that are probably wanted next.
    behind: &'a [f32],
    part: Part<'a>,
    y: &'a mut [f32],
    place: Place,
    finish: Finish,
}

impl WithSimd for Block<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        if S::REGISTER_COUNT >= 32 {
            self.compute::<S, 8>(simd);
        } else {
            self.compute::<S, 4>(simd);
        }
    }
}

impl Block<'_> {
    /// `T` outputs at a time: with [`vectors`](super::tokens::vectors) sums for each, the registers
    /// are full.
    #[inline(always)]
    fn compute<S: Simd, const T: usize>(&mut self, simd: S) {
        let Part { x, groups, inputs } = &self.part;
        let size = x.block();
        for start in inputs.clone().step_by(DEPTH) {
            let end = inputs.end.min(start + DEPTH);
            let next = if end < inputs.end {
                let squares = &self.weight[end..];
                squares.as_flattened().as_flattened().as_flattened()
            } else {
                self.behind
            };
            let next = &next[..next.len().min(DEPTH * SQUARE)];
            let share = next.len().div_ceil(groups.len());
            for (index, &group) in groups.iter().enumerate() {
                let next = next.get(index * share..).unwrap_or_default();
                let step = Step {
                    x: &x.numbers[start * size + group.start * FEATURES..],
                    size,
                    weight: &self.weight[start..end],
                    next: &next[..share.min(next.len())],
                    bias: (start == 0).then_some(self.bias),
                    add: self.finish == Finish::Add || start > 0,
                };
                let (first, stride) = self.place.of(group);
                let y = &mut self.y[first..];
                match group.width / S::F32_LANES {
                    3 => step.group::<S, 3, 1, T>(simd, y, stride),
                    2 => step.group::<S, 2, 1, T>(simd, y, stride),
                    // With one vector only, sums would wait for each other.
                    _ => step.group::<S, 1, 2, T>(simd, y, stride),
                }
                if self.finish == Finish::Gelu && end == self.weight.len() {
                    for y in &mut y[..group.width * FEATURES] {
                        *y = gelu_exact(*y);
                    }
                }
            }
        }
    }
}

/// What some blocks of inputs are to a group of tokens.
#[derive(Clone, Copy)]
struct Step<'a> {
    /// From the group's first number in the first of the blocks on.
    x: &'a [f32],
    /// How far it is to the next block.
    size: usize,
    weight: &'a [Square],
    /// What is to be read into the cache meanwhile.
    next: &'a [f32],
    bias: Option<&'a [f32; FEATURES]>,
    /// To what is there.
    add: bool,
}

impl Step<'_> {
    /// `V` vectors of tokens, `C` sums for each.
    #[inline(always)]
    fn group<S: Simd, const V: usize, const C: usize, const T: usize>(
        self,
        simd: S,
        y: &mut [f32],
        stride: usize,
    ) {
        let width = V * S::F32_LANES;
        let lines = self.next.len().div_ceil(FEATURES / T);
        for output in (0..FEATURES).step_by(T) {
            let next = self.next.get(output / T * lines..).unwrap_or_default();
            let next = &next[..lines.min(next.len())];
            let y = &mut y[output * stride..];

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
            self.tile(simd, output, next, &mut sums);
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

    #[inline(always)]
    fn tile<S: Simd, const V: usize, const C: usize, const T: usize>(
        self,
        simd: S,
        output: usize,
        next: &[f32],
        sums: &mut [[[S::f32s; V]; T]; C],
    ) {
        /// So many inputs between two looks at what is to be read.
        const INPUTS: usize = 4;
        let mut line = 0;
        for (block, weight) in self.weight.iter().enumerate() {
            let x = &self.x[block * self.size..][..V * S::F32_LANES * FEATURES];
            let x = S::as_simd_f32s(x)
                .0
                .as_chunks::<V>()
                .0
                .as_chunks::<INPUTS>()
                .0;
            let weight = weight[output / OUTPUTS].as_chunks::<INPUTS>().0;
            for (x, weight) in x.iter().zip(weight) {
                if line < next.len() {
                    prefetch_index(next, line);
                    prefetch_index(next, line + LINE);
                    line += 2 * LINE;
                }
                for index in 0..INPUTS {
                    let weight = &weight[index].as_chunks::<T>().0[output % OUTPUTS / T];
                    let sums = &mut sums[index % C];
                    for (weight, sums) in weight.iter().zip(sums) {
                        let weight = simd.splat_f32s(*weight);
                        for (x, sum) in x[index].iter().zip(sums) {
                            *sum = simd.mul_add_e_f32s(*x, weight, *sum);
                        }
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tch::Tensor;
    use tch::kind::FLOAT_CPU;

    use super::super::tokens::lanes;
    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(16))]
        #[test]
        fn they_are_what_libtorch_does(
            tokens in 1_usize..300,
            // More blocks than are computed with at a time.
            inputs in prop::sample::select(vec![64_i64, 128, 192, 64 * (BLOCKS as i64 + 3)]),
            outputs in prop::sample::select(vec![64_i64, 192]),
        ) {
            tch::manual_seed(tokens as i64);
            let rows = tokens.next_multiple_of(lanes()) as i64;
            let x = Tensor::randn([rows, inputs], FLOAT_CPU);
            let residual = Tensor::randn([rows, outputs], FLOAT_CPU);
            let weight = Tensor::randn([outputs, inputs], FLOAT_CPU) / (inputs as f64).sqrt();
            let bias = Tensor::randn([outputs], FLOAT_CPU);
            let exact = x.linear(&weight, Some(&bias));
            let linear = BlockLinear::new(&Parameters { weight, bias }).unwrap();
            let off = |y: &Tokens, exact: &Tensor| {
                (y.to_tensor().unwrap() - exact).abs().max().double_value(&[])
            };

            let x = Tokens::from_tensor(&x).unwrap();
            let y = linear.forward(&x);
            prop_assert!(off(&y, &exact) < 3e-5, "{}", off(&y, &exact));

            let mut y = Tokens::from_tensor(&residual).unwrap();
            linear.forward_add(&x, &mut y);
            let sum = residual + &exact;
            prop_assert!(off(&y, &sum) < 3e-5, "{}", off(&y, &sum));

            linear.forward_gelu(&x, &mut y);
            let exact = exact.gelu("none");
            prop_assert!(off(&y, &exact) < 3e-5, "{}", off(&y, &exact));
        }
    }
}
