//! The weights of a model, tensor by tensor, from the files that Python saves.

mod archive;
mod mapping;
mod pytorch;
mod safetensors;

use std::fs::File;
use std::io::Read;
use std::path::Path;

use heartbeat_core::{Error, Result};
use tch::{Kind, TchError, Tensor};

use crate::error;
use crate::files::unreadable;

/// A file of weights, opened: what it holds is known, and nothing of it is in memory yet.
pub(crate) struct Checkpoint {
    place: String,
    weights: Box<dyn Weights>,
}

/// A format that weights are kept in.
trait Weights: Send {
    /// What the file says of the tensor of that name.
    fn entry(&self, name: &str) -> Option<Entry>;

    /// The bytes of a tensor that `entry` knows, as a row of `Kind::Uint8`.
    ///
    /// It may be a view of something larger.
    fn bytes(&self, name: &str) -> Result<Tensor>;
}

/// What a file says of a tensor.
struct Entry {
    shape: Vec<i64>,
    /// How its numbers are kept, if that can be read.
    kind: Option<Kind>,
    /// The same in the file's words.
    dtype: String,
}

impl Checkpoint {
    /// Opens `model.safetensors`, or what `torch.save` wrote.
    ///
    /// # Errors
    ///
    /// A file that cannot be read, is damaged or ends too early.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let place = path.display().to_string();
        refuse_pointer(path)?;
        let weights: Result<Box<dyn Weights>> = if path.extension() == Some("safetensors".as_ref())
        {
            safetensors::Mapped::open(path).map(|weights| Box::new(weights) as _)
        } else {
            pytorch::Saved::open(path).map(|weights| Box::new(weights) as _)
        };
        match weights {
            Ok(weights) => Ok(Self { place, weights }),
            Err(error) => Err(error.with("file", place)),
        }
    }

    /// Opens the content of `model.safetensors`.
    ///
    /// # Errors
    ///
    /// Content that is damaged or ends too early.
    pub(crate) fn from_bytes(bytes: &'static [u8]) -> Result<Self> {
        Ok(Self {
            place: "in the program".to_owned(),
            weights: Box::new(safetensors::Embedded::open(bytes)?),
        })
    }

    /// The tensor of that name in 32-bit floating point, contiguous, on the processor.
    ///
    /// One that the file keeps in 32 bits and as it is, is a view of the file, whose pages the system
    /// loads when they are read; any other is a copy. Dropping it gives the memory back.
    ///
    /// # Errors
    ///
    /// There is none, it has another shape, or numbers that are not floating point.
    pub(crate) fn tensor(&self, name: &str, shape: &[i64]) -> Result<Tensor> {
        self.read(name, shape)
            .map_err(|error| error.with("tensor", name).with("file", &self.place))
    }

    fn read(&self, name: &str, shape: &[i64]) -> Result<Tensor> {
        let Some(entry) = self.weights.entry(name) else {
            return Err(Error::misconfigured("a tensor is missing in the weights").hint(BELONG));
        };
        if entry.shape != shape {
            return Err(
                Error::misconfigured("a tensor has another shape than the model")
                    .with("expected", format!("{shape:?}"))
                    .with("found", format!("{:?}", entry.shape))
                    .hint(BELONG),
            );
        }
        let Some(kind) = entry.kind else {
            return Err(
                Error::misconfigured("the numbers of a tensor cannot be read")
                    .with("dtype", entry.dtype)
                    .hint("Save the model anew in float32, float16 or bfloat16."),
            );
        };
        let bytes = self.weights.bytes(name)?;
        floats(&bytes, kind, shape).map_err(error::torch("reading weights"))
    }
}

const BELONG: &str = "The weights must belong to the config.json beside them, \
    which must be of a model for sequence classification.";

fn damaged(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::misconfigured("the weights are damaged")
        .caused_by(cause)
        .hint(
            "Fetch the file again, or save the model anew with `save_pretrained` in Python's \
             transformers.",
        )
}

/// The numbers of `kind` whose bytes those are, as floats.
fn floats(bytes: &Tensor, kind: Kind, shape: &[i64]) -> Result<Tensor, TchError> {
    // A view needs an aligned start. Files that Python makes have one, others need not.
    let numbers = match bytes.f_view_dtype(kind) {
        Ok(numbers) => numbers,
        Err(_) => bytes.f_detach_copy()?.f_view_dtype(kind)?,
    };
    numbers.f_view(shape)?.f_to_kind(Kind::Float)
}

/// A file as Git leaves it without its extension for large files says only where the content is.
fn refuse_pointer(path: &Path) -> Result<()> {
    const POINTER: &[u8] = b"version https://git-lfs";
    let mut begin = Vec::new();
    File::open(path)
        .and_then(|file| file.take(POINTER.len() as u64).read_to_end(&mut begin))
        .map_err(|error| unreadable(path, error))?;
    if begin == POINTER {
        return Err(
            Error::misconfigured("the weights are not here, only a pointer to them")
                .with("file", path.display())
                .hint("Run `git lfs pull` in the model's folder."),
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests;
