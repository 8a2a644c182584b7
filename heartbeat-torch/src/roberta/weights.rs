//! From a checkpoint's tensors to a model's parts.

use heartbeat_core::Result;
use tch::{Device, Tensor};

use super::norm::LayerNorm;
use crate::architecture::Architecture;
use crate::checkpoint::Checkpoint;
use crate::error;

pub(super) const QUERY: &str = "attention.self.query";
pub(super) const KEY: &str = "attention.self.key";
pub(super) const VALUE: &str = "attention.self.value";

/// The tensors of a checkpoint whose names begin alike, on their way to a device.
#[derive(Clone, Copy)]
pub(super) struct Weights<'a> {
    pub(super) checkpoint: &'a Checkpoint,
    pub(super) architecture: &'a Architecture,
    pub(super) device: Device,
    /// With the dot at its end.
    pub(super) prefix: &'a str,
}

/// What a linear layer is made of.
#[derive(Debug)]
pub(super) struct Parameters {
    /// Outputs by inputs.
    pub(super) weight: Tensor,
    pub(super) bias: Tensor,
}

impl<'a> Weights<'a> {
    pub(super) fn at(self, prefix: &'a str) -> Self {
        Self { prefix, ..self }
    }

    /// On the processor it is a view of the file, where that is possible.
    pub(super) fn tensor(&self, name: &str, shape: &[i64]) -> Result<Tensor> {
        let name = format!("{}{name}", self.prefix);
        self.checkpoint
            .tensor(&name, shape)?
            .f_to_device(self.device)
            .map_err(error::torch("placing weights"))
    }

    pub(super) fn norm(&self, name: &str) -> Result<LayerNorm> {
        let shape = [self.architecture.hidden];
        // Copies, since a view of a few numbers would hold pages of the file.
        let copy = |part: &str| {
            self.tensor(&format!("{name}.{part}"), &shape)?
                .f_detach_copy()
                .map_err(error::torch("copying weights"))
        };
        Ok(LayerNorm {
            weight: copy("weight")?.into(),
            bias: copy("bias")?.into(),
            eps: self.architecture.layer_norm_eps,
        })
    }

    /// Those of [`QUERY`], [`KEY`] and [`VALUE`] as one layer. Queries come out scaled by 1/√d, the
    /// width of a head, as attention wants them.
    pub(super) fn attention(&self, names: &[&str]) -> Result<Parameters> {
        let &Architecture { hidden, heads, .. } = self.architecture;
        let scale = ((hidden / heads) as f64).powf(-0.5);
        let (mut weights, mut biases) = (Vec::new(), Vec::new());
        for name in names {
            let Parameters {
                mut weight,
                mut bias,
            } = self.parameters(name, hidden, hidden)?;
            if *name == QUERY {
                let scaled = |it: Tensor| {
                    it.f_multiply_scalar(scale)
                        .map_err(error::torch("scaling weights"))
                };
                (weight, bias) = (scaled(weight)?, scaled(bias)?);
            }
            weights.push(weight);
            biases.push(bias);
        }
        let join = |parts: &[Tensor]| match parts {
            [one] => Ok(one.shallow_clone()),
            parts => Tensor::f_cat(parts, 0).map_err(error::torch("joining weights")),
        };
        Ok(Parameters {
            weight: join(&weights)?,
            bias: join(&biases)?,
        })
    }

    /// Those of a linear layer.
    pub(super) fn parameters(&self, name: &str, outputs: i64, inputs: i64) -> Result<Parameters> {
        Ok(Parameters {
            weight: self.tensor(&format!("{name}.weight"), &[outputs, inputs])?,
            bias: self.tensor(&format!("{name}.bias"), &[outputs])?,
        })
    }
}
