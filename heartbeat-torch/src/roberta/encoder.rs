//! The layers of a model, in the numbers that they are computed in.

use std::sync::Arc;

use heartbeat_core::Result;
use tch::{TchError, Tensor};

use super::int8::{Int8Layer, LastInt8Layer, Tokens};
use super::kernels::Kernels;
use super::layer::{LastLayer, Layer};
use super::linear::Layout;
use super::packed::PackedTexts;
use super::weights::Weights;

/// How the weights of a model's layers are kept.
#[derive(Debug, Clone)]
pub(super) enum Format {
    Float(Layout),
    /// In signed 8-bit integers, a scale for each output, laid out by oneDNN.
    Int8(Arc<Kernels>),
}

impl Format {
    /// How many rows to compute where so many are needed.
    pub(super) fn rows(&self) -> fn(usize) -> usize {
        match self {
            Self::Float(Layout::Plain(_)) => |rows| rows,
            Self::Float(Layout::Packed(_, kernels)) | Self::Int8(kernels) => kernels.rows,
        }
    }
}

/// All layers. A clone shares the weights.
#[derive(Debug, Clone)]
pub(super) enum Encoder {
    Float {
        layers: Vec<Layer>,
        last: LastLayer,
    },
    Int8 {
        layers: Vec<Int8Layer>,
        last: LastInt8Layer,
    },
}

impl Encoder {
    pub(super) fn load(weights: &Weights<'_>, format: &Format) -> Result<Self> {
        let last = weights.architecture.layers - 1;
        let prefix = |index| format!("roberta.encoder.layer.{index}.");
        Ok(match format {
            Format::Float(layout) => Self::Float {
                layers: (0..last)
                    .map(|index| Layer::load(&weights.at(&prefix(index)), layout))
                    .collect::<Result<_>>()?,
                last: LastLayer::load(&weights.at(&prefix(last)), layout)?,
            },
            Format::Int8(kernels) => Self::Int8 {
                layers: (0..last)
                    .map(|index| Int8Layer::load(&weights.at(&prefix(index)), kernels))
                    .collect::<Result<_>>()?,
                last: LastInt8Layer::load(&weights.at(&prefix(last)), kernels)?,
            },
        })
    }

    /// From a row a token to a row a text, which is that of its first token.
    pub(super) fn forward(&self, mut x: Tensor, texts: &PackedTexts) -> Result<Tensor, TchError> {
        match self {
            Self::Float { layers, last } => {
                for layer in layers {
                    x = layer.forward(&x, texts)?;
                }
                last.forward(&x, texts)
            }
            Self::Int8 { layers, last } => {
                let mut x = Tokens::new(&x)?;
                for layer in layers {
                    x = layer.forward(&x, texts)?;
                }
                last.forward(&x, texts)
            }
        }
    }
}
