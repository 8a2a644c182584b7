//! The numbers of tokens, laid out for vector instructions.

use std::iter;
use std::sync::Arc;

use aligned_vec::{AVec, ConstAlign};
use pulp::bytemuck::cast;
use pulp::{Arch, Simd, WithSimd, c32};
use tch::{TchError, Tensor};

use crate::roberta::norm::Norm;
use crate::roberta::rows::numbers;

/// So many features are a block. A linear layer is computed from blocks to blocks.
pub(super) const FEATURES: usize = 64;

/// The most tokens of a group, with the longest vectors there are.
pub(super) const WIDEST: usize = 3 * 16;

/// A group has at most so many vectors of tokens: sums for each of them and some outputs fill the
/// registers.
pub(super) const fn vectors<S: Simd>() -> usize {
    if S::REGISTER_COUNT >= 32 { 3 } else { 2 }
}

/// Begin where a vector may begin that is not to lie in two lines of a processor's cache.
pub(super) type Numbers = AVec<f32, ConstAlign<64>>;

pub(super) fn zeros(count: usize) -> Numbers {
    AVec::from_iter(64, iter::repeat_n(0.0, count))
}

/// Tokens are so many, or twice, three times as many, some of them fill-in: half a vector of them.
pub(in crate::roberta) fn grain() -> usize {
    (Arch::new().dispatch(Shape).0 / 2).max(1)
}

struct Shape;

impl WithSimd for Shape {
    /// The numbers of a vector, and the vectors of a group.
    type Output = (usize, usize);

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> (usize, usize) {
        (S::F32_LANES, vectors::<S>())
    }
}

/// Tokens whose numbers are side by side.
#[derive(Debug, Clone, Copy)]
pub(super) struct Group {
    /// The first one.
    pub(super) start: usize,
    /// How many they are: some vectors full, or half a vector.
    pub(super) width: usize,
    /// Of half a vector of tokens, two features of each are side by side, so that vectors are full: 2.
    /// Else 1.
    pub(super) depth: usize,
}

impl Group {
    /// As few groups for so many tokens, a multiple of [`grain`], as there can be: the last two that
    /// have vectors full of about the same width, then perhaps one of half a vector.
    fn cut(tokens: usize) -> Arc<[Self]> {
        let (lanes, most) = Arch::new().dispatch(Shape);
        let (mut groups, mut start) = (Vec::new(), 0);
        while start < tokens {
            let (width, depth) = match (tokens - start) / lanes {
                0 => (tokens - start, 2),
                left if left == most + 1 => (left.div_ceil(2) * lanes, 1),
                left => (left.min(most) * lanes, 1),
            };
            groups.push(Self {
                start,
                width,
                depth,
            });
            start += width;
        }
        groups.into()
    }

    /// Where in a block the number of one of its tokens is.
    pub(super) fn place(self, token: usize, feature: usize) -> usize {
        let Self {
            start,
            width,
            depth,
        } = self;
        let place = if depth == 1 {
            feature * width + token
        } else {
            2 * (feature / 2 * width + token) + feature % 2
        };
        start * FEATURES + place
    }

    /// Puts the numbers of its tokens for a feature into a block.
    pub(super) fn put(self, feature: usize, numbers: &[f32], block: &mut [f32]) {
        if self.depth == 1 {
            block[self.place(0, feature)..][..self.width].copy_from_slice(&numbers[..self.width]);
        } else {
            for (token, number) in numbers[..self.width].iter().enumerate() {
                block[self.place(token, feature)] = *number;
            }
        }
    }
}

/// Where in a block the numbers of a token are.
#[derive(Debug, Clone, Copy)]
pub(super) struct Column {
    group: Group,
    token: usize,
}

impl Column {
    pub(super) fn place(self, feature: usize) -> usize {
        self.group.place(self.token, feature)
    }
}

/// A vector of features for each token.
///
/// Block after block of [`FEATURES`] features; in each, group after group of tokens; in each, feature
/// after feature, the tokens side by side, or, in half a vector of them, feature after feature of two.
#[derive(Debug)]
pub(in crate::roberta) struct Tokens {
    pub(super) numbers: Numbers,
    pub(super) groups: Arc<[Group]>,
    /// How many tokens there are.
    pub(super) count: usize,
}

impl Tokens {
    /// `count` is a multiple of [`grain`], `features` of [`FEATURES`]. All are 0.
    pub(super) fn new(count: usize, features: usize) -> Self {
        Self {
            numbers: zeros(count * features),
            groups: Group::cut(count),
            count,
        }
    }

    /// As many features for each of the same tokens, all 0.
    pub(super) fn beside(&self, features: usize) -> Self {
        Self {
            numbers: zeros(self.count * features),
            groups: Arc::clone(&self.groups),
            count: self.count,
        }
    }

    /// `x` holds a row a token.
    pub(in crate::roberta) fn from_tensor(x: &Tensor) -> Result<Self, TchError> {
        let (count, features) = x.size2()?;
        let (count, features) = (count as usize, features as usize);
        let rows = numbers(x)?;
        let mut tokens = Self::new(count, features);
        let size = tokens.block();
        for (token, row) in rows.chunks_exact(features).enumerate() {
            let column = tokens.column(token);
            let blocks = tokens.numbers.chunks_exact_mut(size);
            for (block, row) in blocks.zip(row.as_chunks::<FEATURES>().0) {
                for (feature, number) in row.iter().enumerate() {
                    block[column.place(feature)] = *number;
                }
            }
        }
        Ok(tokens)
    }

    /// A row a token.
    pub(in crate::roberta) fn to_tensor(&self) -> Result<Tensor, TchError> {
        let mut rows = Vec::with_capacity(self.numbers.len());
        for column in (0..self.count).map(|token| self.column(token)) {
            for block in self.numbers.chunks_exact(self.block()) {
                rows.extend((0..FEATURES).map(|feature| block[column.place(feature)]));
            }
        }
        Tensor::f_from_slice(&rows)?.f_view([self.count as i64, -1])
    }

    /// Some of the tokens, then fill-in.
    pub(super) fn select(&self, tokens: &[usize]) -> Self {
        let features = self.numbers.len() / self.count;
        let mut some = Self::new(tokens.len().next_multiple_of(grain()), features);
        for (to, from) in tokens.iter().enumerate() {
            let (to, from) = (some.column(to), self.column(*from));
            let size = some.block();
            let blocks = some.numbers.chunks_exact_mut(size);
            for (some, all) in blocks.zip(self.numbers.chunks_exact(self.block())) {
                for feature in 0..FEATURES {
                    some[to.place(feature)] = all[from.place(feature)];
                }
            }
        }
        some
    }

    /// How many numbers a block has.
    pub(super) fn block(&self) -> usize {
        self.count * FEATURES
    }

    pub(super) fn column(&self, token: usize) -> Column {
        let index = self.groups.partition_point(|group| group.start <= token) - 1;
        let group = self.groups[index];
        Column {
            group,
            token: token - group.start,
        }
    }

    pub(super) fn normalise(&mut self, norm: &Norm) {
        Arch::new().dispatch(Normalise { tokens: self, norm });
    }
}

struct Normalise<'a> {
    tokens: &'a mut Tokens,
    norm: &'a Norm,
}

impl WithSimd for Normalise<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { tokens, norm } = self;
        let size = tokens.block();
        for &group in &*tokens.groups {
            let numbers = &mut tokens.numbers[group.start * FEATURES..];
            match group.width / S::F32_LANES {
                3 => normalise::<S, 3, 1>(simd, numbers, size, norm),
                2 => normalise::<S, 2, 1>(simd, numbers, size, norm),
                1 => normalise::<S, 1, 1>(simd, numbers, size, norm),
                _ => normalise::<S, 1, 2>(simd, numbers, size, norm),
            }
        }
    }
}

/// `V` vectors of tokens, of `D` features each, the numbers of which are so far from block to block.
#[inline(always)]
fn normalise<S: Simd, const V: usize, const D: usize>(
    simd: S,
    numbers: &mut [f32],
    size: usize,
    norm: &Norm,
) {
    let part = ..V * S::F32_LANES / D * FEATURES;
    let share = simd.splat_f32s(1.0 / norm.weight.len() as f32);

    let mut means = [simd.splat_f32s(0.0); V];
    for block in numbers.chunks(size) {
        for row in S::as_simd_f32s(&block[part]).0.as_chunks::<V>().0 {
            for (mean, x) in means.iter_mut().zip(row) {
                *mean = simd.add_f32s(*mean, *x);
            }
        }
    }
    for mean in &mut means {
        *mean = simd.mul_f32s(whole::<S, D>(simd, *mean), share);
    }

    let mut factors = [simd.splat_f32s(0.0); V];
    for block in numbers.chunks(size) {
        for row in S::as_simd_f32s(&block[part]).0.as_chunks::<V>().0 {
            for ((square, x), mean) in factors.iter_mut().zip(row).zip(&means) {
                let x = simd.sub_f32s(*x, *mean);
                *square = simd.mul_add_e_f32s(x, x, *square);
            }
        }
    }
    for factor in &mut factors {
        let squares = whole::<S, D>(simd, *factor);
        let variance = simd.mul_add_e_f32s(squares, share, simd.splat_f32s(norm.eps));
        *factor = simd.div_f32s(simd.splat_f32s(1.0), simd.sqrt_f32s(variance));
    }

    let weights = norm.weight.as_chunks::<FEATURES>().0;
    let biases = norm.bias.as_chunks::<FEATURES>().0;
    for ((block, weights), biases) in numbers.chunks_mut(size).zip(weights).zip(biases) {
        let rows = S::as_mut_simd_f32s(&mut block[part])
            .0
            .as_chunks_mut::<V>()
            .0;
        let (weights, biases) = (weights.as_chunks::<D>().0, biases.as_chunks::<D>().0);
        for ((row, weight), bias) in rows.iter_mut().zip(weights).zip(biases) {
            let (weight, bias) = (splat(simd, weight), splat(simd, bias));
            for ((x, mean), factor) in row.iter_mut().zip(&means).zip(&factors) {
                let normal = simd.mul_f32s(simd.sub_f32s(*x, *mean), *factor);
                *x = simd.mul_add_e_f32s(normal, weight, bias);
            }
        }
    }
}

/// The numbers of one feature, or of two, for all tokens of a vector.
#[inline(always)]
pub(super) fn splat<S: Simd, const D: usize>(simd: S, numbers: &[f32; D]) -> S::f32s {
    match numbers.as_slice() {
        [even, odd] => cast(simd.splat_c32s(c32::new(*even, *odd))),
        numbers => simd.splat_f32s(numbers[0]),
    }
}

/// What was summed for each of `D` features, summed for each token.
#[inline(always)]
fn whole<S: Simd, const D: usize>(simd: S, sums: S::f32s) -> S::f32s {
    if D == 1 {
        sums
    } else {
        simd.add_f32s(sums, cast(simd.swap_re_im_c32s(cast(sums))))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tch::kind::FLOAT_CPU;

    use super::*;
    use crate::roberta::norm::LayerNorm;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn they_are_a_tensors_rows(halves in 1_usize..24, blocks in 1_usize..4, chosen in prop::collection::vec(any::<prop::sample::Index>(), 1..40)) {
            let (count, features) = (halves * grain(), blocks * FEATURES);
            let rows = Tensor::randn([count as i64, features as i64], FLOAT_CPU);
            let mut tokens = Tokens::from_tensor(&rows).unwrap();
            prop_assert_eq!(tokens.to_tensor().unwrap(), rows.shallow_clone());

            let chosen: Vec<usize> = chosen.iter().map(|index| index.index(count)).collect();
            let some = tokens.select(&chosen).to_tensor().unwrap();
            for (index, token) in (0..).zip(&chosen) {
                prop_assert_eq!(some.get(index), rows.get(*token as i64));
            }

            let norm = LayerNorm {
                weight: Tensor::randn([features as i64], FLOAT_CPU).into(),
                bias: Tensor::randn([features as i64], FLOAT_CPU).into(),
                eps: 1e-5,
            };
            tokens.normalise(&Norm::new(&norm).unwrap());
            let off = tokens.to_tensor().unwrap() - norm.forward(&rows).unwrap();
            prop_assert!(off.abs().max().double_value(&[]) < 1e-5);
        }

        #[test]
        fn groups_are_wide(halves in 1_usize..80) {
            let (lanes, most) = Arch::new().dispatch(Shape);
            let tokens = halves * grain();
            let groups = Group::cut(tokens);
            let mut next = 0;
            for group in &*groups {
                prop_assert_eq!(group.start, next);
                prop_assert!(group.width <= most * lanes && group.width <= WIDEST);
                prop_assert_eq!(group.width * group.depth % lanes, 0);
                next += group.width;
            }
            prop_assert_eq!(next, tokens);
            prop_assert_eq!(groups.len(), (tokens / lanes).div_ceil(most) + usize::from(!tokens.is_multiple_of(lanes)));
        }
    }
}
