//! The operators of LibTorch that `tch` does not bind, called by way of a TorchScript module.

use tch::{CModule, Device, IValue, Kind, TchError, Tensor};

use super::shared::Shared;

/// Made by `kernels.py`, which is beside them.
const ONEDNN: &[u8] = include_bytes!("onednn.pt");

/// What to put at the place of a weight whose layout a library chose: other operators cannot read it.
#[derive(Debug, Clone)]
pub(super) struct Packed(Shared);

/// A library's linear layers over weights laid out once.
#[derive(Debug)]
pub(super) struct Kernels {
    module: CModule,
}

impl Kernels {
    /// Those of oneDNN.
    ///
    /// # Errors
    /// This LibTorch is without it.
    pub(super) fn onednn() -> Result<Self, TchError> {
        Ok(Self {
            module: CModule::load_data(&mut &*ONEDNN)?,
        })
    }

    /// Whether they can multiply in bfloat16 on this processor: with AVX2 alone oneDNN cannot.
    pub(super) fn has_bfloat16(&self) -> bool {
        Tensor::f_zeros([1, 1], (Kind::BFloat16, Device::Cpu))
            .and_then(|weight| self.pack(&weight))
            .is_ok()
    }

    /// Lays out the weight of a linear layer, outputs by inputs.
    pub(super) fn pack(&self, weight: &Tensor) -> Result<Packed, TchError> {
        self.pack_by("pack", weight)
    }

    pub(super) fn linear(
        &self,
        x: &Tensor,
        weight: &Packed,
        bias: &Tensor,
    ) -> Result<Tensor, TchError> {
        self.call("linear", &[tensor(x), tensor(&weight.0), tensor(bias)])
    }

    /// Through GELU in the same step.
    pub(super) fn linear_gelu(
        &self,
        x: &Tensor,
        weight: &Packed,
        bias: &Tensor,
    ) -> Result<Tensor, TchError> {
        self.call("linear_gelu", &[tensor(x), tensor(&weight.0), tensor(bias)])
    }

    /// Lays out a weight of signed 8-bit integers.
    pub(super) fn pack_int8(&self, weight: &Tensor) -> Result<Packed, TchError> {
        self.pack_by("pack_int8", weight)
    }

    /// `x` holds unsigned 8-bit integers, of which `zero` stands for 0. The result is of `kind`, 32-bit
    /// floats or bfloat16. The weight has a scale and a zero for each output.
    pub(super) fn linear_int8(
        &self,
        x: &Tensor,
        zero: i64,
        weight: &Packed,
        [weight_scales, weight_zeros]: [&Tensor; 2],
        kind: Kind,
    ) -> Result<Tensor, TchError> {
        let values = [
            tensor(x),
            IValue::Int(zero),
            tensor(&weight.0),
            tensor(weight_scales),
            tensor(weight_zeros),
            IValue::Bool(kind == Kind::BFloat16),
        ];
        self.call("linear_int8", &values)
    }

    fn pack_by(&self, name: &str, weight: &Tensor) -> Result<Packed, TchError> {
        let packed = self.call(name, &[tensor(weight)])?;
        Ok(Packed(packed.into()))
    }

    fn call(&self, name: &str, values: &[IValue]) -> Result<Tensor, TchError> {
        match self.module.method_is(name, values)? {
            IValue::Tensor(tensor) => Ok(tensor),
            other => Err(TchError::Kind(format!("{name} gave {other:?}"))),
        }
    }
}

/// How many rows to compute where there are so many.
///
/// oneDNN compiles each matrix multiplication for its number of rows and keeps what it compiled, a
/// megabyte for all layers of that many rows: few numbers keep memory flat and the compiled ones at hand.
pub(super) fn few_numbers(rows: usize) -> usize {
    let step = match rows {
        // So few are soon done: reading the weights is what takes the time.
        0..=32 => 4,
        33..=64 => 8,
        65..=128 => 16,
        129..=512 => 32,
        513..=1024 => 64,
        _ => rows.next_power_of_two() / 16,
    };
    rows.next_multiple_of(step)
}

fn tensor(tensor: &Tensor) -> IValue {
    IValue::Tensor(tensor.shallow_clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_numbers_of_rows_little_fill_in() {
        let mut numbers: Vec<usize> = (1..=2048).map(few_numbers).collect();
        for (rows, rounded) in (1..).zip(&numbers) {
            let fill_in = rounded - rows;
            assert!(
                fill_in <= 7 || fill_in * 4 <= rows,
                "{fill_in} after {rows}"
            );
        }
        numbers.dedup();
        assert!(numbers.len() <= 44, "{}", numbers.len());
        assert_eq!(few_numbers(1_000_000) % (1 << 16), 0);
    }
}
