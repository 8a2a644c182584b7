//! A file's bytes as tensors, without a copy.

use std::fs;
use std::ops::Range;
use std::path::Path;

use heartbeat_core::{Error, Result};
use tch::{Device, Kind, Tensor};

use super::damaged;
use crate::error;
use crate::files::unreadable;

/// A file, mapped anew for each tensor.
#[derive(Debug)]
pub(super) struct Mapping {
    path: String,
    length: u64,
}

impl Mapping {
    pub(super) fn new(path: &Path) -> Result<Self> {
        let length = fs::metadata(path).map_err(|error| unreadable(path, error))?;
        // LibTorch opens the file again, by a name that it wants in UTF-8.
        let Some(name) = path.to_str() else {
            return Err(Error::misconfigured("the path of the weights is not UTF-8")
                .hint("Rename the folder."));
        };
        Ok(Self {
            path: name.to_owned(),
            length: length.len(),
        })
    }

    /// How long the file is, in bytes.
    pub(super) fn length(&self) -> u64 {
        self.length
    }

    /// The bytes of that range, as a row of `Kind::Uint8`.
    pub(super) fn bytes(&self, range: Range<usize>) -> Result<Tensor> {
        // Whoever maps a file that ends early is killed when it reads on.
        let now = fs::metadata(&self.path).map_err(damaged)?.len();
        if now != self.length {
            return Err(damaged(format!("{now} bytes, and {} before", self.length)));
        }
        // Private and never written: the pages stay the file's own, and the system may drop and
        // load them again.
        let length = self.length as i64;
        Tensor::f_from_file(&self.path, false, length, (Kind::Uint8, Device::Cpu))
            .and_then(|file| file.f_narrow(0, range.start as i64, range.len() as i64))
            .map_err(error::torch("mapping weights"))
    }
}
