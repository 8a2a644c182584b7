//! Rows of a tensor, read by us.

use std::ops::Range;

use pulp::{Arch, Simd, WithSimd};
use tch::{Kind, TchError, Tensor};

/// Reads some rows after the other.
#[derive(Debug, Default)]
pub(super) struct RowReader {
    numbers: Vec<f32>,
    /// The bits of bfloat16: the upper half of those of a 32-bit float.
    halves: Vec<i16>,
}

impl RowReader {
    /// The numbers of some of the rows of `x`, which holds 32-bit floats or bfloat16.
    pub(super) fn read(&mut self, x: &Tensor, rows: Range<usize>) -> Result<&mut [f32], TchError> {
        let x = narrow(x, rows)?;
        let count = x.numel();
        self.numbers.resize(count, 0.0);
        if x.f_kind()? == Kind::BFloat16 {
            self.halves.resize(count, 0);
            let bits = x.f_view_dtype(Kind::Int16)?;
            bits.f_copy_data(&mut self.halves, count)?;
            Arch::new().dispatch(Widen {
                halves: &self.halves,
                numbers: &mut self.numbers,
            });
        } else {
            x.f_copy_data(&mut self.numbers, count)?;
        }
        Ok(&mut self.numbers)
    }
}

/// All of a tensor's numbers.
pub(super) fn numbers(tensor: &Tensor) -> Result<Vec<f32>, TchError> {
    let count = tensor.numel();
    let mut numbers = vec![0.0; count];
    tensor
        .f_to_kind(Kind::Float)?
        .f_copy_data(&mut numbers, count)?;
    Ok(numbers)
}

/// Some of the rows of `x`, shared with it.
pub(super) fn narrow(x: &Tensor, rows: Range<usize>) -> Result<Tensor, TchError> {
    x.f_narrow(0, rows.start as i64, rows.len() as i64)
}

struct Widen<'a> {
    halves: &'a [i16],
    numbers: &'a mut [f32],
}

impl WithSimd for Widen<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        for (number, half) in self.numbers.iter_mut().zip(self.halves) {
            *number = f32::from_bits(u32::from(half.cast_unsigned()) << 16);
        }
    }
}
