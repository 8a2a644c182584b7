//! `pytorch_model.bin`: what `torch.save` wrote, a pickle that names the tensors and where their
//! bytes are. Nothing of it is run.

use std::path::Path;

use heartbeat_core::{Error, Result};
use pytorch_reader::{DType, PytorchReader};
use tch::{Device, Kind, TchError, Tensor};

use super::archive::Views;
use super::{Entry, Weights, damaged};
use crate::error;

/// Tensors are moved to LibTorch in pieces of so many bytes.
const PIECE: usize = 1 << 20;

/// A file whose bytes are read when they are asked for, tensor by tensor.
pub(super) struct Saved {
    reader: PytorchReader,
    views: Option<Views>,
}

impl Saved {
    pub(super) fn open(path: &Path) -> Result<Self> {
        let reader = PytorchReader::new(path).map_err(damaged)?;
        let views = Views::find(path, reader.tensors());
        Ok(Self { reader, views })
    }
}

impl Weights for Saved {
    fn entry(&self, name: &str) -> Option<Entry> {
        let tensor = self.reader.get(name)?;
        Some(Entry {
            shape: tensor.shape().iter().map(|size| *size as i64).collect(),
            kind: match tensor.dtype() {
                DType::F64 => Some(Kind::Double),
                DType::F32 => Some(Kind::Float),
                DType::F16 => Some(Kind::Half),
                DType::BF16 => Some(Kind::BFloat16),
                _ => None,
            },
            dtype: format!("{:?}", tensor.dtype()),
        })
    }

    /// Also of a tensor that is stored with strides or shares its storage with others.
    fn bytes(&self, name: &str) -> Result<Tensor> {
        let Some(saved) = self.reader.get(name) else {
            return Err(Error::internal(
                "a tensor was read that the file does not have",
            ));
        };
        let views = self.views.as_ref();
        if let Some(view) = views.and_then(|views| views.get(name, saved.byte_len())) {
            return Ok(view);
        }
        // First what stays, then what is given back soon: so no holes are left between the tensors.
        let mut tensor = row(saved.byte_len()).map_err(error::torch("copying weights"))?;
        let bytes = saved.read().map_err(damaged)?;
        hand_over(bytes, &mut tensor).map_err(error::torch("copying weights"))?;
        Ok(tensor)
    }
}

/// A tensor of that many bytes, whatever is in them.
fn row(length: usize) -> Result<Tensor, TchError> {
    Tensor::f_empty([length as i64], (Kind::Uint8, Device::Cpu))
}

/// Moves the bytes to a tensor of as many, from their end on and giving back what was moved: the
/// largest tensor can be two thirds of a model, and is never in memory twice.
fn hand_over(mut bytes: Vec<u8>, tensor: &mut Tensor) -> Result<(), TchError> {
    while !bytes.is_empty() {
        let start = (bytes.len() - 1) / PIECE * PIECE;
        let piece = Tensor::f_from_slice(&bytes[start..])?;
        tensor
            .f_narrow(0, start as i64, (bytes.len() - start) as i64)?
            .f_copy_(&piece)?;
        bytes.truncate(start);
        bytes.shrink_to_fit();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_pieces_come_to_their_place() {
        for length in [0, 1, PIECE - 1, PIECE, PIECE + 1, 2 * PIECE + 3] {
            let mut bytes = vec![0; length];
            for at in (0..length).step_by(PIECE / 4 - 1) {
                bytes[at] = at as u8 | 1;
            }
            let mut tensor = row(length).unwrap();
            hand_over(bytes.clone(), &mut tensor).unwrap();
            assert!(tensor.equal(&Tensor::from_slice(&bytes)), "{length}");
        }
    }
}
