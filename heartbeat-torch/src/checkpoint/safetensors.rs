//! `model.safetensors`: a JSON header, then the tensors one after another.

use std::fs::File;
use std::io::Read;
use std::ops::Range;
use std::path::Path;

use heartbeat_core::Result;
use safetensors::Dtype;
use safetensors::tensor::{Metadata, TensorInfo};
use tch::{Kind, Tensor};

use super::mapping::Mapping;
use super::{Entry, Weights, damaged};
use crate::error;
use crate::files::unreadable;

/// A header has some hundred bytes for each tensor. Whatever is larger is something else.
const LARGEST_HEADER: u64 = 16 << 20;

/// How long the header is, as a little-endian number.
const LENGTH: u64 = size_of::<u64>() as u64;

/// A file that tensors are views of.
pub(super) struct Mapped {
    file: Mapping,
    layout: Layout,
}

/// A file's content that is in memory anyway.
pub(super) struct Embedded {
    content: &'static [u8],
    layout: Layout,
}

/// What a header says.
struct Layout {
    metadata: Metadata,
    /// Where the first tensor begins, in bytes from the begin of the file.
    start: usize,
}

impl Mapped {
    pub(super) fn open(path: &Path) -> Result<Self> {
        let content = File::open(path).map_err(|error| unreadable(path, error))?;
        let file = Mapping::new(path)?;
        let layout = Layout::read(content, file.length())?;
        Ok(Self { file, layout })
    }
}

impl Weights for Mapped {
    fn entry(&self, name: &str) -> Option<Entry> {
        self.layout.entry(name)
    }

    fn bytes(&self, name: &str) -> Result<Tensor> {
        self.file.bytes(self.layout.range(name))
    }
}

impl Embedded {
    pub(super) fn open(content: &'static [u8]) -> Result<Self> {
        let layout = Layout::read(content, content.len() as u64)?;
        Ok(Self { content, layout })
    }
}

impl Weights for Embedded {
    fn entry(&self, name: &str) -> Option<Entry> {
        self.layout.entry(name)
    }

    fn bytes(&self, name: &str) -> Result<Tensor> {
        Tensor::f_from_slice(&self.content[self.layout.range(name)])
            .map_err(error::torch("copying weights"))
    }
}

impl Layout {
    /// Reads the header of a file that is `length` bytes long and must be neither shorter nor longer
    /// than the header says.
    fn read(mut file: impl Read, length: u64) -> Result<Self> {
        let mut size = [0; LENGTH as usize];
        file.read_exact(&mut size).map_err(damaged)?;
        let size = u64::from_le_bytes(size);
        if size > LARGEST_HEADER {
            return Err(damaged(format!("a header of {size} bytes")));
        }
        let mut header = Vec::new();
        file.take(size).read_to_end(&mut header).map_err(damaged)?;
        // It checks that the tensors follow one another without gaps and are as long as their shapes.
        let metadata: Metadata = serde_json::from_slice(&header).map_err(damaged)?;
        let start = LENGTH + size;
        let expected = start.saturating_add(metadata.data_len() as u64);
        if length != expected {
            return Err(damaged(format!("{length} bytes instead of {expected}")));
        }
        Ok(Self {
            metadata,
            start: start as usize,
        })
    }

    fn entry(&self, name: &str) -> Option<Entry> {
        let TensorInfo { dtype, shape, .. } = self.metadata.info(name)?;
        Some(Entry {
            shape: shape.iter().map(|size| *size as i64).collect(),
            kind: match dtype {
                Dtype::F64 => Some(Kind::Double),
                Dtype::F32 => Some(Kind::Float),
                Dtype::F16 => Some(Kind::Half),
                Dtype::BF16 => Some(Kind::BFloat16),
                _ => None,
            },
            dtype: dtype.to_string(),
        })
    }

    /// Where a tensor lies in the file; nowhere if there is none.
    fn range(&self, name: &str) -> Range<usize> {
        let (begin, end) = self
            .metadata
            .info(name)
            .map_or((0, 0), |info| info.data_offsets);
        self.start + begin..self.start + end
    }
}
