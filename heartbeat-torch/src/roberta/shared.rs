//! A tensor that several threads read.

use std::ops::Deref;

use tch::Tensor;

/// A handle of a tensor that nobody writes to. A clone is another handle of the same numbers.
#[derive(Debug)]
pub(super) struct Shared(Tensor);

impl From<Tensor> for Shared {
    fn from(tensor: Tensor) -> Self {
        Self(tensor)
    }
}

impl Clone for Shared {
    fn clone(&self) -> Self {
        Self(self.0.shallow_clone())
    }
}

impl Deref for Shared {
    type Target = Tensor;

    fn deref(&self) -> &Tensor {
        &self.0
    }
}
