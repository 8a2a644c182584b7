//! The attention of one text, on the processor.
//!
//! A tweet's is so little work that calls of a library for each of its steps take longer.

use std::array;

use pulp::{Arch, Simd, WithSimd};

use crate::roberta::vector::softmax;

/// So many queries at a time share what is loaded of keys and values.
const GROUP: usize = 4;

/// Attention of one text after the other.
#[derive(Debug)]
pub(in crate::roberta) struct TextAttention {
    arch: Arch,
    heads: usize,
    room: Room,
    attended: Vec<f32>,
}

/// What comes about on the way, for one head.
#[derive(Debug, Default)]
struct Room {
    /// Panels of two vectors, each with a row a dimension. What fills in is of no account, and may be
    /// what was there before.
    keys: Vec<f32>,
    /// Panels of two vectors, each with a row a token.
    values: Vec<f32>,
    /// A row a query.
    scores: Vec<f32>,
}

impl TextAttention {
    pub(in crate::roberta) fn new(heads: i64) -> Self {
        Self {
            arch: Arch::new(),
            heads: heads as usize,
            room: Room::default(),
            attended: Vec::new(),
        }
    }

    /// Every token attends to all of them. `qkv` holds a row a token: queries, scaled, keys and values
    /// of all heads. What comes of it is as many rows.
    pub(in crate::roberta) fn attend(&mut self, qkv: &[f32], length: usize) -> &mut [f32] {
        let stride = qkv.len() / length;
        let hidden = stride / 3;
        let rows = |start| Rows {
            numbers: &qkv[start..],
            stride,
        };
        self.run(
            length,
            rows(0),
            rows(hidden),
            rows(2 * hidden),
            length,
            hidden,
        )
    }

    /// One token, whose queries are `q`, attends to all. `kv` holds a row a token: keys and values of
    /// all heads. What comes of it is one row.
    pub(in crate::roberta) fn attend_first(
        &mut self,
        q: &[f32],
        kv: &[f32],
        length: usize,
    ) -> &mut [f32] {
        let hidden = q.len();
        let query = Rows {
            numbers: q,
            stride: hidden,
        };
        let rows = |start| Rows {
            numbers: &kv[start..],
            stride: 2 * hidden,
        };
        self.run(1, query, rows(0), rows(hidden), length, hidden)
    }

    fn run(
        &mut self,
        count: usize,
        queries: Rows<'_>,
        keys: Rows<'_>,
        values: Rows<'_>,
        length: usize,
        hidden: usize,
    ) -> &mut [f32] {
        self.attended.resize(count * hidden, 0.0);
        for head in 0..self.heads {
            let width = hidden / self.heads;
            self.arch.dispatch(Head {
                start: head * width,
                width,
                queries,
                count,
                keys,
                values,
                length,
                out: &mut self.attended,
                hidden,
                room: &mut self.room,
            });
        }
        &mut self.attended
    }
}

/// A vector a token, so many numbers from the beginning of one to that of the next.
#[derive(Debug, Clone, Copy)]
struct Rows<'a> {
    numbers: &'a [f32],
    stride: usize,
}

impl<'a> Rows<'a> {
    #[inline(always)]
    fn part(self, row: usize, start: usize, width: usize) -> &'a [f32] {
        &self.numbers[row * self.stride + start..][..width]
    }

    /// The parts of some rows. Where there are fewer, the last one is there several times.
    #[inline(always)]
    fn group(self, first: usize, count: usize, start: usize, width: usize) -> Group<'a> {
        array::from_fn(|index| self.part((first + index).min(count - 1), start, width))
    }
}

/// softmax(q · kᵀ) · v for one head.
struct Head<'a> {
    /// Where its part of each vector begins.
    start: usize,
    width: usize,
    queries: Rows<'a>,
    count: usize,
    keys: Rows<'a>,
    values: Rows<'a>,
    length: usize,
    out: &'a mut [f32],
    hidden: usize,
    room: &'a mut Room,
}

impl WithSimd for Head<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self {
            start,
            width,
            length,
            ..
        } = self;
        let Room {
            keys,
            values,
            scores,
        } = self.room;
        let panel = 2 * S::F32_LANES;

        let columns = length.next_multiple_of(panel);
        keys.resize(width * columns, 0.0);
        for (index, keys) in keys.chunks_exact_mut(width * panel).enumerate() {
            for column in (0..panel).step_by(GROUP) {
                let token = index * panel + column;
                if token < length {
                    let rows = self.keys.group(token, length, start, width);
                    transpose(rows, keys, panel, column);
                }
            }
        }
        let dimensions = width.next_multiple_of(panel);
        values.resize(length * dimensions, 0.0);
        for (index, values) in values.chunks_exact_mut(length * panel).enumerate() {
            let (start, width) = (start + index * panel, panel.min(width - index * panel));
            for (token, row) in values.chunks_exact_mut(panel).enumerate() {
                for (to, from) in row.iter_mut().zip(self.values.part(token, start, width)) {
                    *to = *from;
                }
            }
        }
        scores.resize(GROUP * columns, 0.0);

        for first in (0..self.count).step_by(GROUP) {
            let queries = self.queries.group(first, self.count, start, width);
            for (index, keys) in keys.chunks_exact(width * panel).enumerate() {
                let sums = multiply(simd, queries, keys);
                for (row, sums) in scores.chunks_exact_mut(columns).zip(sums) {
                    store(simd, &mut row[index * panel..], sums);
                }
            }
            for scores in scores.chunks_exact_mut(columns) {
                softmax(simd, scores, length);
            }
            let shares = array::from_fn(|query| &scores[query * columns..][..length]);
            for (index, values) in values.chunks_exact(length * panel).enumerate() {
                let sums = multiply(simd, shares, values);
                let rows = self.out.chunks_exact_mut(self.hidden).skip(first);
                for (row, sums) in rows.zip(sums) {
                    store(simd, &mut row[start..start + width][index * panel..], sums);
                }
            }
        }
    }
}

/// Each of the rows to a column of another, whose rows are so many numbers apart, from `column` on.
#[inline(always)]
fn transpose(rows: Group<'_>, into: &mut [f32], stride: usize, column: usize) {
    for (into, (((a, b), c), d)) in into.chunks_exact_mut(stride).zip(together(rows)) {
        into[column..][..GROUP].copy_from_slice(&[*a, *b, *c, *d]);
    }
}

/// `a · b`, where `b` has rows of two vectors.
#[inline(always)]
fn multiply<S: Simd>(simd: S, a: Group<'_>, b: &[f32]) -> [[S::f32s; 2]; GROUP] {
    let b = S::as_simd_f32s(b).0.as_chunks::<2>().0;
    let mut sums = [[simd.splat_f32s(0.0); 2]; GROUP];
    for (b, (((p, q), r), s)) in b.iter().zip(together(a)) {
        for (x, sums) in [p, q, r, s].into_iter().zip(&mut sums) {
            let x = simd.splat_f32s(*x);
            sums[0] = simd.mul_add_e_f32s(x, b[0], sums[0]);
            sums[1] = simd.mul_add_e_f32s(x, b[1], sums[1]);
        }
    }
    sums
}

type Group<'a> = [&'a [f32]; GROUP];

#[inline(always)]
fn together<'a>(
    [a, b, c, d]: Group<'a>,
) -> impl Iterator<Item = (((&'a f32, &'a f32), &'a f32), &'a f32)> {
    a.iter().zip(b).zip(c).zip(d)
}

/// To the first of the numbers, as many as there are.
#[inline(always)]
fn store<S: Simd>(simd: S, numbers: &mut [f32], vectors: [S::f32s; 2]) {
    let (to, rest) = S::as_mut_simd_f32s(numbers);
    match to {
        [one, other, ..] => [*one, *other] = vectors,
        [one] => {
            *one = vectors[0];
            simd.partial_store_f32s(rest, vectors[1]);
        }
        [] => simd.partial_store_f32s(rest, vectors[0]),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tch::Tensor;

    use super::*;

    proptest! {
        #[test]
        fn it_is_what_libtorch_does(
            length in 1_usize..70,
            heads in 1_i64..4,
            width in prop::sample::select(vec![4_i64, 16, 20, 64]),
            size in prop::sample::select(vec![0.0, 1.0, 30.0]),
        ) {
            tch::manual_seed(length as i64);
            let hidden = heads * width;
            let qkv = Tensor::randn([length as i64, 3 * hidden], tch::kind::FLOAT_CPU) * size;
            let part = |index| {
                let part = qkv.view([-1, 3, heads, width]).select(1, index);
                part.transpose(0, 1)
            };
            let [q, k, v] = [part(0), part(1), part(2)];
            let shares = q.matmul(&k.transpose(1, 2)).softmax(-1, None);
            let exact = shares.matmul(&v).transpose(0, 1).reshape([-1]);
            let exact: Vec<f32> = exact.try_into().unwrap();

            let numbers: Vec<f32> = qkv.reshape([-1]).try_into().unwrap();
            let mut attention = TextAttention::new(heads);
            let near = |attended: &[f32]| {
                exact.iter().zip(attended).all(|(a, b)| (a - b).abs() < 2e-5 * size.max(1.0) as f32)
            };
            let attended = attention.attend(&numbers, length);
            prop_assert_eq!(attended.len(), exact.len());
            prop_assert!(near(attended), "{attended:?} and not {exact:?}");

            let (hidden, stride) = (hidden as usize, 3 * hidden as usize);
            let kv: Vec<f32> = numbers.chunks(stride).flat_map(|row| &row[hidden..]).copied().collect();
            let first = attention.attend_first(&numbers[..hidden], &kv, length);
            prop_assert_eq!(first.len(), hidden);
            prop_assert!(near(first));
        }
    }
}
