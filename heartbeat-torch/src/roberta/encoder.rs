//! The layers of a model, in the numbers that they are computed in.

use std::sync::Arc;

use heartbeat_core::Result;
use rayon::ThreadPool;
use tch::{TchError, Tensor};

use super::blocks::{self, InBlocks};
use super::float::{self, Layout};
use super::int8::{self, InInt8};
use super::kernels::{Kernels, few_numbers};
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
    Float(float::Stack),
    Blocks(blocks::Stack, Arc<ThreadPool>),
    Int8(int8::Stack),
}

impl Encoder {
    pub(super) fn load(weights: &Weights<'_>, format: &Format) -> Result<Self> {
        Ok(match format {
            Format::Float(layout) => Self::Float(float::Stack::load(weights, layout)?),
            Format::Blocks(threads) => {
                let stack = blocks::Stack::load(weights, &InBlocks)?;
                Self::Blocks(stack, Arc::clone(threads))
            }
            Format::Int8(kernels) => Self::Int8(int8::Stack::load(weights, &InInt8(kernels))?),
        })
    }

    /// From a row a token to a row a text, which is that of its first token.
    pub(super) fn forward(&self, x: Tensor, texts: &PackedTexts) -> Result<Tensor, TchError> {
        match self {
            Self::Float(stack) => stack.forward(x, texts),
            Self::Blocks(stack, threads) => stack.forward(&x, texts, threads),
            Self::Int8(stack) => stack.forward(&x, texts),
        }
    }
}
