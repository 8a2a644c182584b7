//! What all layers are made of, whatever they are computed in.

use heartbeat_core::Result;

use super::norm::LayerNorm;
use super::weights::{Parameters, Weights};
use crate::architecture::Architecture;

/// What follows attention in a layer, of linear layers `L` and normalisations `N`.
#[derive(Debug, Clone)]
pub(super) struct Rest<L, N> {
    pub(super) heads: i64,
    pub(super) output: L,
    pub(super) attention_norm: N,
    pub(super) up: L,
    pub(super) down: L,
    pub(super) norm: N,
}

impl<L, N> Rest<L, N> {
    pub(super) fn load(
        weights: &Weights<'_>,
        linear: impl Fn(Parameters) -> Result<L>,
        norm: impl Fn(LayerNorm) -> Result<N>,
    ) -> Result<Self> {
        let &Architecture {
            hidden,
            intermediate,
            heads,
            ..
        } = weights.architecture;
        let dense = |name, outputs, inputs| linear(weights.parameters(name, outputs, inputs)?);
        let norm = |name| norm(weights.norm(name)?);
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
