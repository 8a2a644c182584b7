//! A block of a linear layer's outputs.

use std::ops::Range;

use pulp::{Simd, WithSimd};

use super::step::{OUTPUTS, Square, Step, numbers};
use super::tokens::{FEATURES, Group, Tokens};
use crate::roberta::vector::gelu_exact;

/// So many blocks of inputs are computed with at a time: those of a group stay in a processor's first
/// cache then.
const DEPTH: usize = 2;

/// While all groups are computed with so many, as many that come next are read into a cache.
const READ: usize = 6;

/// Some blocks of inputs for some groups of tokens.
#[derive(Debug, Clone)]
pub(super) struct Part<'a> {
    pub(super) x: &'a Tokens,
    pub(super) groups: &'a [Group],
    pub(super) inputs: Range<usize>,
}

/// What becomes of sums.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Finish {
    /// They are written to their place.
    Write,
    /// They are added to what is there.
    Add,
    /// They go through GELU, in blocks only.
    Gelu,
}

/// Where the numbers of a block are.
#[derive(Debug, Clone, Copy)]
pub(super) enum Place {
    /// As in [`Tokens`].
    Blocks,
    /// A row a feature, so many numbers from one to the next.
    Rows(usize),
}

impl Place {
    /// Where that of one of a group's tokens is.
    #[inline(always)]
    pub(super) fn of_token(self, group: Group, token: usize, feature: usize) -> usize {
        match self {
            Self::Blocks => group.place(token, feature),
            Self::Rows(stride) => feature * stride + group.start + token,
        }
    }

    /// Where those of a group begin, and how far it is from one feature to the next.
    #[inline(always)]
    pub(super) fn of(self, group: Group) -> (usize, usize) {
        match self {
            Self::Blocks => (group.start * FEATURES, group.width),
            Self::Rows(stride) => (group.start, stride),
        }
    }
}

/// A block of outputs.
pub(super) struct Block<'a> {
    pub(super) weight: &'a [Square],
    pub(super) bias: &'a [f32; FEATURES],
    /// The weights that are probably wanted next.
    pub(super) behind: &'a [Square],
    pub(super) part: Part<'a>,
    pub(super) y: &'a mut [f32],
    pub(super) place: Place,
    pub(super) finish: Finish,
}

impl WithSimd for Block<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        if S::REGISTER_COUNT >= 32 {
            self.compute::<S, 8, 2>(simd);
        } else {
            self.compute::<S, 4, 1>(simd);
        }
    }
}

impl Block<'_> {
    /// `T` outputs at a time: with [`vectors`](super::tokens::vectors) sums for each, the registers
    /// are full. Of a group of one vector more outputs, with `C` sums for each: fewer sums in all would
    /// wait for each other.
    #[inline(always)]
    fn compute<S: Simd, const T: usize, const C: usize>(&mut self, simd: S) {
        let Part { x, groups, inputs } = self.part.clone();
        let size = x.block();
        let tokens: usize = groups.iter().map(|group| group.width).sum();
        for read in inputs.clone().step_by(READ) {
            let until = inputs.end.min(read + READ);
            let next = if until < inputs.end {
                &self.weight[until..]
            } else {
                self.behind
            };
            let mut next = numbers(&next[..next.len().min(until - read)]);
            // For a token and a block of inputs.
            let each = next.len() / tokens / (until - read);
            for &group in groups {
                // The sums of half a vector are costlier to put away.
                let depth = if group.depth == 1 { DEPTH } else { READ };
                for start in (read..until).step_by(depth) {
                    let end = until.min(start + depth);
                    let now;
                    (now, next) = next.split_at(each * group.width * (end - start));
                    let step = Step {
                        x: &x.numbers[start * size + group.start * FEATURES..],
                        size,
                        weight: &self.weight[start..end],
                        next: now,
                        bias: (start == 0).then_some(self.bias),
                        add: self.finish == Finish::Add || start > 0,
                        group,
                        place: self.place,
                    };
                    match (group.depth, group.width / S::F32_LANES) {
                        (1, 3) => step.group::<S, 3, 1, T>(simd, self.y),
                        (1, 2) => step.group::<S, 2, 1, T>(simd, self.y),
                        (1, _) => step.group::<S, 1, C, OUTPUTS>(simd, self.y),
                        _ => step.half(simd, self.y),
                    }
                }
            }
        }
        if self.finish == Finish::Gelu && inputs.end == self.weight.len() {
            for group in groups {
                for y in &mut self.y[group.start * FEATURES..][..group.width * FEATURES] {
                    *y = gelu_exact(*y);
                }
            }
        }
    }
}
