//! The layers of a model, in the numbers that they are computed in.

use std::ops::Range;
use std::sync::Arc;

use heartbeat_core::Result;
use rayon::ThreadPool;
use tch::{TchError, Tensor};

use super::attention::texts;
use super::blocks::{self, BlockLayer, LastBlockLayer};
use super::int8::{self, Int8Layer, LastInt8Layer};
use super::kernels::{Kernels, few_numbers};
use super::layer::{LastLayer, Layer};
use super::linear::Layout;
use super::packed::PackedTexts;
use super::weights::Weights;

/// How a model's layers are kept.
#[derive(Debug, Clone)]
pub(super) enum Format {
    /// By LibTorch.
    Float(Layout),
    /// In 32-bit floats by ourselves, the threads sharing each step that is not one of theirs.
    Blocks(Arc<ThreadPool>),
    /// Weights in signed 8-bit integers, a scale for each output, laid out by oneDNN.
    Int8(Arc<Kernels>),
}

impl Format {
    /// How many rows to compute where so many are needed.
    pub(super) fn rows(&self) -> fn(usize) -> usize {
        match self {
            Self::Float(Layout::Plain(_)) => |rows| rows,
            Self::Float(Layout::Packed(_)) | Self::Int8(_) => few_numbers,
            Self::Blocks(_) => |rows| rows.next_multiple_of(blocks::grain()),
        }
    }
}

/// All layers. A clone shares the weights.
#[derive(Debug, Clone)]
pub(super) enum Encoder {
    Float(Stack<Layer, LastLayer>),
    Blocks(Stack<BlockLayer, LastBlockLayer>, Arc<ThreadPool>),
    Int8(Stack<Int8Layer, LastInt8Layer>),
}

#[derive(Debug, Clone)]
pub(super) struct Stack<L, E> {
    layers: Vec<L>,
    last: E,
}

impl<L, E> Stack<L, E> {
    fn load(
        weights: &Weights<'_>,
        layer: impl Fn(&Weights<'_>) -> Result<L>,
        last: impl Fn(&Weights<'_>) -> Result<E>,
    ) -> Result<Self> {
        let prefix = |index| format!("roberta.encoder.layer.{index}.");
        let end = weights.architecture.layers - 1;
        Ok(Self {
            layers: (0..end)
                .map(|index| layer(&weights.at(&prefix(index))))
                .collect::<Result<_>>()?,
            last: last(&weights.at(&prefix(end)))?,
        })
    }
}

impl Encoder {
    pub(super) fn load(weights: &Weights<'_>, format: &Format) -> Result<Self> {
        Ok(match format {
            Format::Float(layout) => Self::Float(Stack::load(
                weights,
                |weights| Layer::load(weights, layout),
                |weights| LastLayer::load(weights, layout),
            )?),
            Format::Blocks(threads) => {
                let stack = Stack::load(weights, BlockLayer::load, LastBlockLayer::load)?;
                Self::Blocks(stack, Arc::clone(threads))
            }
            Format::Int8(kernels) => Self::Int8(Stack::load(
                weights,
                |weights| Int8Layer::load(weights, kernels),
                |weights| LastInt8Layer::load(weights, kernels),
            )?),
        })
    }

    /// From a row a token to a row a text, which is that of its first token.
    pub(super) fn forward(&self, mut x: Tensor, all: &PackedTexts) -> Result<Tensor, TchError> {
        match self {
            Self::Float(Stack { layers, last }) => {
                for layer in layers {
                    x = layer.forward(&x, all)?;
                }
                last.forward(&x, all)
            }
            Self::Blocks(Stack { layers, last }, threads) => {
                let mut x = blocks::Tokens::from_tensor(&x)?;
                let texts: Vec<Range<usize>> = texts(&all.runs).collect();
                let first = threads.install(|| {
                    let mut room = last.room(&x);
                    for layer in layers {
                        layer.forward(&mut x, &texts, &mut room);
                    }
                    last.forward(&x, &texts)
                });
                first.to_tensor()
            }
            Self::Int8(Stack { layers, last }) => {
                let mut x = int8::Tokens::new(&x)?;
                for layer in layers {
                    x = layer.forward(&x, all)?;
                }
                last.forward(&x, all)
            }
        }
    }
}
