//! Linear layers over blocks.

use std::sync::Arc;

use pulp::Arch;
use rayon::prelude::*;
use tch::TchError;

use super::block::{Block, Finish, Part, Place};
use super::step::{OUTPUTS, SQUARE, squares};
use super::tokens::{FEATURES, Numbers, Tokens, WIDEST, zeros};
use crate::roberta::rows::numbers;
use crate::roberta::weights::Parameters;

/// So many tokens at a time: the blocks of some inputs stay in a processor's second cache then.
const TOKENS: usize = 2 * WIDEST;

/// So many blocks of inputs at a time, for the same reason.
const BLOCKS: usize = 12;

/// `weight · x + bias`. A clone shares the weight.
#[derive(Debug, Clone)]
pub(in crate::roberta) struct BlockLinear {
    /// Block after block of outputs; in each, block after block of inputs; in each, [`OUTPUTS`] after
    /// [`OUTPUTS`]; in each, two inputs after two; in each, output after output.
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
                    let pairs = numbers.as_chunks_mut().0[side..]
                        .iter_mut()
                        .step_by(OUTPUTS);
                    for (to, from) in pairs.zip(rows[row..row + FEATURES].as_chunks::<2>().0) {
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
        let widest = x.groups.iter().map(|group| group.width).max();
        let at_a_time = TOKENS / widest.unwrap_or(TOKENS);
        for start in (0..blocks).step_by(BLOCKS) {
            for groups in x.groups.chunks(at_a_time) {
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
        let from_here = squares(&self.weight[index * FEATURES * self.inputs..]);
        let (weight, behind) = from_here.split_at(self.inputs / FEATURES);
        let Some(bias) = self.bias[index * FEATURES..].first_chunk() else {
            return;
        };
        Arch::new().dispatch(Block {
            weight,
            bias,
            behind: behind.get(part.inputs.start..).unwrap_or_default(),
            part,
            y,
            place,
            finish,
        });
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tch::Tensor;
    use tch::kind::FLOAT_CPU;

    use super::super::tokens::grain;
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
            let rows = tokens.next_multiple_of(grain()) as i64;
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
