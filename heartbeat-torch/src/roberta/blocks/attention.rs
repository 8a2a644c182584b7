//! Self-attention over blocks.

use std::array;
use std::cell::RefCell;
use std::ops::Range;

use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;
use tch::{TchError, Tensor};

use super::linear::BlockLinear;
use super::tokens::{Column, FEATURES, Numbers, Tokens, WIDEST, vectors, zeros};
use crate::roberta::vector::{exp, softmax};

/// Heads, the numbers of several of which may be in one block, or those of one in several.
#[derive(Debug, Clone, Copy)]
pub(super) struct Heads {
    count: usize,
    /// How many features each has.
    width: usize,
}

impl Heads {
    /// So many, which share so many features.
    pub(super) fn new(count: i64, features: usize) -> Self {
        let count = count as usize;
        Self {
            count,
            width: features / count,
        }
    }

    /// Whether they lie in blocks as they should.
    pub(super) fn fit(self) -> bool {
        let Self { count, width } = self;
        (count * width).is_multiple_of(FEATURES)
            && width.is_multiple_of(8)
            && (FEATURES.is_multiple_of(width) || width.is_multiple_of(FEATURES))
    }

    /// From all features of one part after those of another to those of the same blocks of all parts.
    pub(super) fn reorder(self, it: &Tensor, parts: usize) -> Result<Tensor, TchError> {
        let size = it.size();
        let inputs = size.get(1).copied().unwrap_or(1);
        it.f_view([parts as i64, -1, self.features() as i64, inputs])?
            .f_transpose(0, 1)?
            .f_reshape(size)
    }

    /// How many blocks have whole heads.
    fn blocks(self) -> usize {
        self.width.div_ceil(FEATURES)
    }

    /// How many features these blocks have.
    pub(super) fn features(self) -> usize {
        self.blocks() * FEATURES
    }
}

thread_local! {
    static ROOM: RefCell<Room> = RefCell::new(Room::default());
}

/// What comes about on the way, for the heads of a block.
#[derive(Debug)]
struct Room {
    /// Queries, keys and values: a row a feature.
    parts: Numbers,
    /// A row a key for some queries.
    scores: Numbers,
    /// A row a feature. Where there is one query a text: that query, and what comes of it.
    attended: Numbers,
}

impl Default for Room {
    fn default() -> Self {
        Self {
            parts: zeros(0),
            scores: zeros(0),
            attended: zeros(0),
        }
    }
}

/// How far it is from one feature to the next in [`Room`]. Behind the last token there is room for what
/// a vector has too many. An odd number of lines, so that features do not compete for the same places
/// in a processor's cache.
fn stride(tokens: usize) -> usize {
    const LINE: usize = 16;
    ((tokens + WIDEST).div_ceil(LINE) | 1) * LINE
}

/// Every token attends to those of its own text. Queries, scaled, keys and values are what `qkv` makes
/// of `x`, all three of some heads, then of others.
pub(super) fn attend(
    qkv: &BlockLinear,
    x: &Tokens,
    texts: &[Range<usize>],
    heads: Heads,
    attended: &mut Tokens,
) {
    let (features, stride) = (heads.features(), stride(x.count));
    let longest = texts.iter().map(Range::len).max().unwrap_or(0);
    for_heads(heads, attended, |index, room, out| {
        room.parts.resize(3 * features * stride, 0.0);
        qkv.rows(index * 3 * heads.blocks(), x, &mut room.parts, stride);
        let (queries, others) = room.parts.split_at(features * stride);
        let (keys, values) = others.split_at(features * stride);

        let keys_at_most = longest.next_multiple_of(8);
        room.scores.resize(keys_at_most * WIDEST, 0.0);
        room.attended.resize(features * stride, 0.0);
        for first in (0..features).step_by(heads.width) {
            for text in texts {
                let from = first * stride + text.start;
                Arch::new().dispatch(Head {
                    queries: &queries[from..],
                    keys: &keys[from..],
                    values: &values[from..],
                    stride,
                    width: heads.width,
                    length: text.len(),
                    scores: &mut room.scores,
                    attended: &mut room.attended[from..],
                });
            }
        }

        let blocks = room.attended.chunks_exact(FEATURES * stride);
        for (out, rows) in out.chunks_exact_mut(x.block()).zip(blocks) {
            for group in &*x.groups {
                for (feature, row) in rows.chunks_exact(stride).enumerate() {
                    group.put(feature, &row[group.start..], out);
                }
            }
        }
    });
}

/// One token of each text, whose queries, scaled, are `queries`, attends to those of its own text. Keys
/// and values are what `kv` makes of `x`, both of some heads, then of others.
pub(super) fn attend_first(
    queries: &Tokens,
    kv: &BlockLinear,
    x: &Tokens,
    texts: &[Range<usize>],
    heads: Heads,
    attended: &mut Tokens,
) {
    let (features, stride) = (heads.features(), stride(x.count));
    let longest = texts.iter().map(Range::len).max().unwrap_or(0);
    let size = queries.block();
    let columns: Vec<Column> = (0..texts.len()).map(|text| queries.column(text)).collect();
    for_heads(heads, attended, |index, room, out| {
        room.parts.resize(2 * features * stride, 0.0);
        kv.rows(index * 2 * heads.blocks(), x, &mut room.parts, stride);
        let (keys, values) = room.parts.split_at(features * stride);
        let queries = &queries.numbers[index * heads.blocks() * size..];
        room.scores.resize(longest, 0.0);
        room.attended.resize(2 * heads.width, 0.0);
        let (query, attended) = room.attended.split_at_mut(heads.width);

        for (text, column) in texts.iter().zip(&columns) {
            for first in (0..features).step_by(heads.width) {
                let place = |feature| {
                    let feature = first + feature;
                    feature / FEATURES * size + column.place(feature % FEATURES)
                };
                for (feature, query) in query.iter_mut().enumerate() {
                    *query = queries[place(feature)];
                }
                let from = first * stride + text.start;
                Arch::new().dispatch(Query {
                    query,
                    keys: &keys[from..],
                    values: &values[from..],
                    stride,
                    scores: &mut room.scores[..text.len()],
                    attended,
                });
                for (feature, attended) in attended.iter().enumerate() {
                    out[place(feature)] = *attended;
                }
            }
        }
    });
}

/// For the heads of each block, or of as many blocks as a head has: which they are, what is used on the
/// way, and what comes of it.
fn for_heads(
    heads: Heads,
    attended: &mut Tokens,
    compute: impl Fn(usize, &mut Room, &mut [f32]) + Sync,
) {
    let size = heads.blocks() * attended.block();
    let blocks = attended.numbers.par_chunks_exact_mut(size).enumerate();
    // One by one, since processors are not equally fast.
    blocks
        .with_max_len(1)
        .for_each(|(index, out)| ROOM.with_borrow_mut(|room| compute(index, room, out)));
}

/// What one head makes of one text. All but the scores have a row a feature, that of the text's first
/// token first.
struct Head<'a> {
    queries: &'a [f32],
    keys: &'a [f32],
    values: &'a [f32],
    stride: usize,
    width: usize,
    length: usize,
    scores: &'a mut [f32],
    /// What is behind the text's tokens may be overwritten.
    attended: &'a mut [f32],
}

impl WithSimd for Head<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        if S::REGISTER_COUNT >= 32 {
            self.attend::<S, 8>(simd);
        } else {
            self.attend::<S, 4>(simd);
        }
    }
}

impl Head<'_> {
    #[inline(always)]
    fn attend<S: Simd, const T: usize>(&mut self, simd: S) {
        for first in (0..self.length).step_by(vectors::<S>() * S::F32_LANES) {
            let left = (self.length - first).div_ceil(S::F32_LANES);
            match left.min(vectors::<S>()) {
                3 => self.some::<S, 3, T>(simd, first),
                2 => self.some::<S, 2, T>(simd, first),
                _ => self.some::<S, 1, T>(simd, first),
            }
        }
    }

    /// `V` vectors of queries, from `first` on.
    #[inline(always)]
    fn some<S: Simd, const V: usize, const T: usize>(&mut self, simd: S, first: usize) {
        let lanes = V * S::F32_LANES;
        let Self {
            stride,
            width,
            length,
            ..
        } = *self;
        let scores = &mut self.scores[..length.next_multiple_of(T) * lanes];
        for (index, scores) in scores.chunks_exact_mut(T * lanes).enumerate() {
            let mut sums = [[simd.splat_f32s(0.0); V]; T];
            let queries = self.queries[first..].chunks(stride);
            for (x, keys) in queries
                .zip(self.keys[index * T..].chunks(stride))
                .take(width)
            {
                let (Some(x), Some(keys)) = (
                    S::as_simd_f32s(&x[..lanes]).0.first_chunk(),
                    keys.first_chunk(),
                ) else {
                    return;
                };
                add_products(simd, &mut sums, x, keys);
            }
            let scores = S::as_mut_simd_f32s(scores).0.as_chunks_mut::<V>().0;
            scores.copy_from_slice(&sums);
        }

        let scores = &mut scores[..length * lanes];
        let mut highest = [f32::NEG_INFINITY; WIDEST];
        let highest = &mut highest[..lanes];
        for row in scores.chunks_exact(lanes) {
            for (highest, score) in highest.iter_mut().zip(row) {
                *highest = if score > highest { *score } else { *highest };
            }
        }
        let mut sums = [0.0; WIDEST];
        let sums = &mut sums[..lanes];
        for row in scores.chunks_exact_mut(lanes) {
            for ((score, highest), sum) in row.iter_mut().zip(&*highest).zip(&mut *sums) {
                *score = exp(*score - highest);
                *sum += *score;
            }
        }
        for sum in sums.iter_mut() {
            *sum = 1.0 / *sum;
        }
        let Some(factors) = S::as_simd_f32s(sums).0.first_chunk::<V>() else {
            return;
        };

        let scores = S::as_simd_f32s(scores).0.as_chunks::<V>().0;
        for feature in (0..width).step_by(T) {
            let values: [&[f32]; T] =
                array::from_fn(|index| &self.values[(feature + index) * stride..][..length]);
            let mut sums = [[simd.splat_f32s(0.0); V]; T];
            for (key, scores) in scores.iter().enumerate() {
                let values = array::from_fn(|index| values[index][key]);
                add_products(simd, &mut sums, scores, &values);
            }
            for (index, sums) in sums.iter().enumerate() {
                let to = &mut self.attended[(feature + index) * stride + first..][..lanes];
                let to = S::as_mut_simd_f32s(to).0;
                for ((to, sum), factor) in to.iter_mut().zip(sums).zip(factors) {
                    *to = simd.mul_f32s(*sum, *factor);
                }
            }
        }
    }
}

/// Each of `x` times each of `y`.
#[inline(always)]
fn add_products<S: Simd, const V: usize, const T: usize>(
    simd: S,
    sums: &mut [[S::f32s; V]; T],
    x: &[S::f32s; V],
    y: &[f32; T],
) {
    for (y, sums) in y.iter().zip(sums) {
        let y = simd.splat_f32s(*y);
        for (x, sum) in x.iter().zip(sums) {
            *sum = simd.mul_add_e_f32s(*x, y, *sum);
        }
    }
}

/// What one head makes of one text for one query.
struct Query<'a> {
    query: &'a [f32],
    /// A row a feature, that of the text's first token first.
    keys: &'a [f32],
    /// As `keys`.
    values: &'a [f32],
    stride: usize,
    /// As many as there are keys.
    scores: &'a mut [f32],
    attended: &'a mut [f32],
}

impl WithSimd for Query<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let scores = self.scores;
        scores.fill(0.0);
        for (query, keys) in self.query.iter().zip(self.keys.chunks(self.stride)) {
            for (score, key) in scores.iter_mut().zip(keys) {
                *score = key.mul_add(*query, *score);
            }
        }
        softmax(simd, scores, scores.len());
        for (attended, values) in self
            .attended
            .iter_mut()
            .zip(self.values.chunks(self.stride))
        {
            *attended = dot(simd, scores, &values[..scores.len()]);
        }
    }
}

#[inline(always)]
fn dot<S: Simd>(simd: S, a: &[f32], b: &[f32]) -> f32 {
    let ((a, a_rest), (b, b_rest)) = (S::as_simd_f32s(a), S::as_simd_f32s(b));
    let mut sums = simd.mul_f32s(
        simd.partial_load_f32s(a_rest),
        simd.partial_load_f32s(b_rest),
    );
    for (a, b) in a.iter().zip(b) {
        sums = simd.mul_add_e_f32s(*a, *b, sums);
    }
    simd.reduce_sum_f32s(sums)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tch::kind::FLOAT_CPU;

    use super::super::tokens::grain;
    use super::*;
    use crate::roberta::weights::Parameters;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(16))]
        #[test]
        fn it_is_what_libtorch_does(
            lengths in prop::collection::vec(1_usize..120, 1..6),
            (count, width) in prop::sample::select(vec![(1, 64), (2, 32), (6, 32), (8, 8), (3, 64), (1, 128), (2, 128)]),
            size in prop::sample::select(vec![0.0, 1.0, 3.0]),
        ) {
            tch::manual_seed(lengths.len() as i64);
            let hidden = count * width;
            let heads = Heads::new(count, hidden as usize);
            prop_assert!(heads.fit());
            let mut texts: Vec<Range<usize>> = Vec::new();
            for length in lengths {
                let start = texts.last().map_or(0, |text| text.end);
                texts.push(start..start + length);
            }
            let tokens = texts.last().map_or(0, |text| text.end);
            let rows = tokens.next_multiple_of(grain()) as i64;
            let x = Tensor::randn([rows, 64], FLOAT_CPU);
            let random = |parts: i64| {
                let weight = Tensor::randn([parts * hidden, 64], FLOAT_CPU) * size / 8.0;
                let bias = Tensor::randn([parts * hidden], FLOAT_CPU);
                if parts == 3 {
                    for mut queries in [weight.narrow(0, 0, hidden), bias.narrow(0, 0, hidden)] {
                        let _ = queries.multiply_scalar_((width as f64).powf(-0.5));
                    }
                }
                let y = x.linear(&weight, Some(&bias));
                let linear = BlockLinear::new(&Parameters {
                    weight: heads.reorder(&weight, parts as usize).unwrap(),
                    bias: heads.reorder(&bias, parts as usize).unwrap(),
                });
                (linear.unwrap(), y)
            };
            // Queries are scaled already.
            let (qkv, y) = random(3);
            let exact = |y: &Tensor, first: bool| {
                let attended: Vec<Tensor> = texts.iter().map(|text| {
                    let of = y.narrow(0, text.start as i64, text.len() as i64);
                    let part = |index| of.view([-1, 3, count, width]).select(1, index).transpose(0, 1);
                    let [q, k, v] = [part(0), part(1), part(2)];
                    let q = if first { q.narrow(1, 0, 1) } else { q };
                    let shares = q.matmul(&k.transpose(1, 2)).softmax(-1, None);
                    shares.matmul(&v).transpose(0, 1).reshape([-1, hidden])
                }).collect();
                Tensor::cat(&attended, 0)
            };
            let off = |tokens: &Tokens, exact: Tensor| {
                let attended = tokens.to_tensor().unwrap().narrow(0, 0, exact.size()[0]);
                (attended - exact).abs().max().double_value(&[])
            };

            let x = Tokens::from_tensor(&x).unwrap();
            let mut attended = x.beside(hidden as usize);
            attend(&qkv, &x, &texts, heads, &mut attended);
            let off_by = off(&attended, exact(&y, false));
            prop_assert!(off_by < 3e-4, "{off_by}");

            let (kv, others) = random(2);
            let y = Tensor::cat(&[y.narrow(1, 0, hidden), others], 1);
            let all = Tokens::from_tensor(&y.narrow(1, 0, hidden).contiguous()).unwrap();
            let starts: Vec<usize> = texts.iter().map(|text| text.start).collect();
            let queries = all.select(&starts);
            let mut attended = queries.beside(hidden as usize);
            attend_first(&queries, &kv, &x, &texts, heads, &mut attended);
            let off_by = off(&attended, exact(&y, true));
            prop_assert!(off_by < 3e-4, "{off_by}");
        }
    }
}
