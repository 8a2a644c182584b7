//! Layers in 32-bit floats on the processor, without LibTorch.
//!
//! Tokens lie side by side in the vectors of the processor, feature after feature. What is done to a
//! token is done in one lane then: no step but the first and the last turns or sorts numbers, and a
//! linear layer adds to its residual as it sums. Weights are read from memory while others are computed
//! with.

mod attention;
mod block;
mod linear;
mod step;
mod tokens;

use std::ops::Range;

use heartbeat_core::Result;
use rayon::ThreadPool;
use tch::{TchError, Tensor};

use self::attention::{Heads, attend, attend_first};
use self::linear::BlockLinear;
use self::tokens::Tokens;
pub(super) use self::tokens::grain;
use super::attention::texts;
use super::layer::{self, Keep, LastLayer, Layer, Rest};
use super::norm::{LayerNorm, Norm};
use super::packed::PackedTexts;
use super::weights::{Parameters, Weights};
use crate::architecture::Architecture;
use crate::error;

pub(super) type Stack = layer::Stack<BlockLinear, Norm>;

/// Whether these layers are for models of that architecture.
pub(super) fn fit(architecture: &Architecture) -> bool {
    let inner = architecture.intermediate as usize;
    heads(architecture).fit() && inner.is_multiple_of(tokens::FEATURES)
}

fn heads(architecture: &Architecture) -> Heads {
    Heads::new(architecture.heads, architecture.hidden as usize)
}

/// How these layers' parts are kept.
pub(super) struct InBlocks;

impl Keep for InBlocks {
    type Linear = BlockLinear;
    type Norm = Norm;

    fn linear(&self, parameters: Parameters) -> Result<BlockLinear> {
        BlockLinear::new(&parameters).map_err(error::torch("laying out weights"))
    }

    fn norm(&self, norm: LayerNorm) -> Result<Norm> {
        Norm::new(&norm).map_err(error::torch("copying weights"))
    }

    /// All of them of some heads, then of others.
    fn attention(&self, weights: &Weights<'_>, names: &[&str]) -> Result<BlockLinear> {
        let Parameters { weight, bias } = weights.attention(names)?;
        let heads = heads(weights.architecture);
        let reorder = |it| {
            heads
                .reorder(it, names.len())
                .map_err(error::torch("ordering weights"))
        };
        self.linear(Parameters {
            weight: reorder(&weight)?,
            bias: reorder(&bias)?,
        })
    }
}

/// What comes about in a layer and may be overwritten in the next one.
#[derive(Debug)]
struct Room {
    attended: Tokens,
    inner: Tokens,
}

impl Stack {
    /// From a row a token to a row a text, which is that of its first token. The threads share each step
    /// that is not one of theirs.
    pub(super) fn forward(
        &self,
        x: &Tensor,
        all: &PackedTexts,
        threads: &ThreadPool,
    ) -> Result<Tensor, TchError> {
        let mut x = Tokens::from_tensor(x)?;
        let texts: Vec<Range<usize>> = texts(&all.runs).collect();
        let first = threads.install(|| {
            let mut room = self.last.rest.room(&x);
            for layer in &self.layers {
                layer.forward(&mut x, &texts, &mut room);
            }
            self.last.forward(&x, &texts)
        });
        first.to_tensor()
    }
}

impl Layer<BlockLinear, Norm> {
    fn forward(&self, x: &mut Tokens, texts: &[Range<usize>], room: &mut Room) {
        let heads = Heads::new(self.rest.heads, self.rest.output.outputs());
        attend(&self.qkv, x, texts, heads, &mut room.attended);
        self.rest.forward(x, room);
    }
}

impl LastLayer<BlockLinear, Norm> {
    /// From all tokens to the first one of each text.
    fn forward(&self, x: &Tokens, texts: &[Range<usize>]) -> Tokens {
        let first: Vec<usize> = texts.iter().map(|text| text.start).collect();
        let mut first = x.select(&first);
        let mut room = self.rest.room(&first);
        let heads = Heads::new(self.rest.heads, self.query.outputs());
        let queries = self.query.forward(&first);
        attend_first(&queries, &self.kv, x, texts, heads, &mut room.attended);
        self.rest.forward(&mut first, &mut room);
        first
    }
}

impl Rest<BlockLinear, Norm> {
    /// For these tokens in any of the layers.
    fn room(&self, x: &Tokens) -> Room {
        Room {
            attended: x.beside(self.output.outputs()),
            inner: x.beside(self.up.outputs()),
        }
    }

    fn forward(&self, x: &mut Tokens, Room { attended, inner }: &mut Room) {
        self.output.forward_add(attended, x);
        x.normalise(&self.attention_norm);
        self.up.forward_gelu(x, inner);
        self.down.forward_add(inner, x);
        x.normalise(&self.norm);
    }
}
