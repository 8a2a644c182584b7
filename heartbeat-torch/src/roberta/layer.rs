//! What all layers are made of, whatever they are computed in.

use heartbeat_core::Result;

use super::norm::LayerNorm;
use super::weights::{KEY, Parameters, QUERY, VALUE, Weights};
use crate::architecture::Architecture;

/// How a layer's parts are kept.
pub(super) trait Keep {
    type Linear;
    type Norm;

    fn linear(&self, parameters: Parameters) -> Result<Self::Linear>;

    fn norm(&self, norm: LayerNorm) -> Result<Self::Norm>;

    /// Some of [`QUERY`], scaled, [`KEY`] and [`VALUE`] in one.
    fn attention(&self, weights: &Weights<'_>, names: &[&str]) -> Result<Self::Linear> {
        self.linear(weights.attention(names)?)
    }
}

/// All layers of a model, of linear layers `L` and normalisations `N`. A clone shares the weights.
#[derive(Debug, Clone)]
pub(super) struct Stack<L, N> {
    pub(super) layers: Vec<Layer<L, N>>,
    pub(super) last: LastLayer<L, N>,
}

/// Self-attention and a feed-forward block, each added to its input and normalised.
#[derive(Debug, Clone)]
pub(super) struct Layer<L, N> {
    /// Queries, scaled, keys and values in one.
    pub(super) qkv: L,
    pub(super) rest: Rest<L, N>,
}

/// The last layer, of which only each text's first token is wanted.
#[derive(Debug, Clone)]
pub(super) struct LastLayer<L, N> {
    pub(super) query: L,
    /// Keys and values in one.
    pub(super) kv: L,
    pub(super) rest: Rest<L, N>,
}

/// What follows attention in a layer.
#[derive(Debug, Clone)]
pub(super) struct Rest<L, N> {
    pub(super) heads: i64,
    pub(super) output: L,
    pub(super) attention_norm: N,
    pub(super) up: L,
    pub(super) down: L,
    pub(super) norm: N,
}

impl<L, N> Stack<L, N> {
    pub(super) fn load(
        weights: &Weights<'_>,
        keep: &impl Keep<Linear = L, Norm = N>,
    ) -> Result<Self> {
        let prefix = |index| format!("roberta.encoder.layer.{index}.");
        let end = weights.architecture.layers - 1;
        Ok(Self {
            layers: (0..end)
                .map(|index| Layer::load(&weights.at(&prefix(index)), keep))
                .collect::<Result<_>>()?,
            last: LastLayer::load(&weights.at(&prefix(end)), keep)?,
        })
    }
}

impl<L, N> Layer<L, N> {
    fn load(weights: &Weights<'_>, keep: &impl Keep<Linear = L, Norm = N>) -> Result<Self> {
        Ok(Self {
            qkv: keep.attention(weights, &[QUERY, KEY, VALUE])?,
            rest: Rest::load(weights, keep)?,
        })
    }
}

impl<L, N> LastLayer<L, N> {
    fn load(weights: &Weights<'_>, keep: &impl Keep<Linear = L, Norm = N>) -> Result<Self> {
        Ok(Self {
            query: keep.attention(weights, &[QUERY])?,
            kv: keep.attention(weights, &[KEY, VALUE])?,
            rest: Rest::load(weights, keep)?,
        })
    }
}

impl<L, N> Rest<L, N> {
    fn load(weights: &Weights<'_>, keep: &impl Keep<Linear = L, Norm = N>) -> Result<Self> {
        let &Architecture {
            hidden,
            intermediate,
            heads,
            ..
        } = weights.architecture;
        let dense = |name, outputs, inputs| keep.linear(weights.parameters(name, outputs, inputs)?);
        let norm = |name| keep.norm(weights.norm(name)?);
        Ok(Self {
            heads,
            output: dense("attention.output.dense", hidden, hidden)?,
            attention_norm: norm("attention.output.LayerNorm")?,
            up: dense("intermediate.dense", intermediate, hidden)?,
            down: dense("output.dense", hidden, intermediate)?,
            norm: norm("output.LayerNorm")?,
        })
    }
}
