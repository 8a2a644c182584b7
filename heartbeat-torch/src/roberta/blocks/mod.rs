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

use self::attention::{Heads, attend, attend_first};
use self::linear::BlockLinear;
pub(super) use self::tokens::{Tokens, grain};
use super::norm::Norm;
use super::rest::Rest;
use super::weights::{KEY, Parameters, QUERY, VALUE, Weights};
use crate::architecture::Architecture;
use crate::error;

/// Whether these layers are for models of that architecture.
pub(super) fn fit(architecture: &Architecture) -> bool {
    let inner = architecture.intermediate as usize;
    heads(architecture).fit() && inner.is_multiple_of(tokens::FEATURES)
}

fn heads(architecture: &Architecture) -> Heads {
    Heads::new(architecture.heads, architecture.hidden as usize)
}

/// As [`Layer`](super::layer::Layer).
#[derive(Debug, Clone)]
pub(super) struct BlockLayer {
    /// Queries, scaled, keys and values in one: those of some heads, then those of others.
    qkv: BlockLinear,
    rest: Rest<BlockLinear, Norm>,
}

/// As [`LastLayer`](super::layer::LastLayer).
#[derive(Debug, Clone)]
pub(super) struct LastBlockLayer {
    query: BlockLinear,
    /// Keys and values in one: those of some heads, then those of others.
    kv: BlockLinear,
    rest: Rest<BlockLinear, Norm>,
}

/// What comes about in a layer and may be overwritten in the next one.
#[derive(Debug)]
pub(super) struct Room {
    attended: Tokens,
    inner: Tokens,
}

impl BlockLayer {
    pub(super) fn load(weights: &Weights<'_>) -> Result<Self> {
        Ok(Self {
            qkv: by_heads(weights, &[QUERY, KEY, VALUE])?,
            rest: rest(weights)?,
        })
    }

    pub(super) fn forward(&self, x: &mut Tokens, texts: &[Range<usize>], room: &mut Room) {
        let heads = Heads::new(self.rest.heads, self.rest.output.outputs());
        attend(&self.qkv, x, texts, heads, &mut room.attended);
        self.rest.forward(x, room);
    }
}

impl LastBlockLayer {
    pub(super) fn load(weights: &Weights<'_>) -> Result<Self> {
        Ok(Self {
            query: linear(weights.attention(&[QUERY])?)?,
            kv: by_heads(weights, &[KEY, VALUE])?,
            rest: rest(weights)?,
        })
    }

    /// From all tokens to the first one of each text.
    pub(super) fn forward(&self, x: &Tokens, texts: &[Range<usize>]) -> Tokens {
        let first: Vec<usize> = texts.iter().map(|text| text.start).collect();
        let mut first = x.select(&first);
        let mut room = self.room(&first);
        let heads = Heads::new(self.rest.heads, self.query.outputs());
        let queries = self.query.forward(&first);
        attend_first(&queries, &self.kv, x, texts, heads, &mut room.attended);
        self.rest.forward(&mut first, &mut room);
        first
    }

    /// For these tokens in any of the layers.
    pub(super) fn room(&self, x: &Tokens) -> Room {
        Room {
            attended: x.beside(self.rest.output.outputs()),
            inner: x.beside(self.rest.up.outputs()),
        }
    }
}

fn rest(weights: &Weights<'_>) -> Result<Rest<BlockLinear, Norm>> {
    let norm = |it| Norm::new(&it).map_err(error::torch("copying weights"));
    Rest::load(weights, linear, norm)
}

impl Rest<BlockLinear, Norm> {
    fn forward(&self, x: &mut Tokens, Room { attended, inner }: &mut Room) {
        self.output.forward_add(attended, x);
        x.normalise(&self.attention_norm);
        self.up.forward_gelu(x, inner);
        self.down.forward_add(inner, x);
        x.normalise(&self.norm);
    }
}

/// Some of [`QUERY`], [`KEY`] and [`VALUE`] as one layer, all three of some heads, then of others.
fn by_heads(weights: &Weights<'_>, names: &[&str]) -> Result<BlockLinear> {
    let Parameters { weight, bias } = weights.attention(names)?;
    let heads = heads(weights.architecture);
    let reorder = |it| {
        heads
            .reorder(it, names.len())
            .map_err(error::torch("ordering weights"))
    };
    linear(Parameters {
        weight: reorder(&weight)?,
        bias: reorder(&bias)?,
    })
}

fn linear(parameters: Parameters) -> Result<BlockLinear> {
    BlockLinear::new(&parameters).map_err(error::torch("laying out weights"))
}
