//! The operators of LibTorch that `tch` does not bind, called by way of a TorchScript module.

use tch::{CModule, IValue, Kind, TchError, Tensor};

use super::shared::Shared;

/// Made from `kernels.py`, which is beside this file.
const MODULE: &[u8] = include_bytes!("kernels.pt");

/// What to put at the place of a weight whose layout oneDNN chose: other operators cannot read it.
#[derive(Debug, Clone)]
pub(super) struct Packed(Shared);

/// oneDNN's linear layers over weights laid out once.
#[derive(Debug)]
pub(super) struct Kernels(CModule);

impl Kernels {
    pub(super) fn load() -> Result<Self, TchError> {
        CModule::load_data(&mut &*MODULE).map(Self)
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

    /// Added to `residual` in the same step.
    pub(super) fn linear_add(
        &self,
        x: &Tensor,
        residual: &Tensor,
        weight: &Packed,
        bias: &Tensor,
    ) -> Result<Tensor, TchError> {
        let values = [tensor(x), tensor(residual), tensor(&weight.0), tensor(bias)];
        self.call("linear_add", &values)
    }

    /// Lays out a weight of signed 8-bit integers.
    pub(super) fn pack_int8(&self, weight: &Tensor) -> Result<Packed, TchError> {
        self.pack_by("pack_int8", weight)
    }

    /// `x` holds unsigned 8-bit integers: `zero` stands for 0, one step is `scale`. The result is
    /// in 32-bit floats.
    pub(super) fn linear_int8(
        &self,
        x: &Tensor,
        (scale, zero): (f64, i64),
        weight: &Packed,
        weight_scales: &Tensor,
    ) -> Result<Tensor, TchError> {
        let zeros = Tensor::f_zeros(weight_scales.size(), (Kind::Int, x.device()))?;
        let values = [
            tensor(x),
            IValue::Double(scale),
            IValue::Int(zero),
            tensor(&weight.0),
            tensor(weight_scales),
            IValue::Tensor(zeros),
        ];
        self.call("linear_int8", &values)
    }

    fn pack_by(&self, name: &str, weight: &Tensor) -> Result<Packed, TchError> {
        let packed = self.call(name, &[tensor(weight)])?;
        Ok(Packed(packed.into()))
    }

    fn call(&self, name: &str, values: &[IValue]) -> Result<Tensor, TchError> {
        match self.0.method_is(name, values)? {
            IValue::Tensor(tensor) => Ok(tensor),
            other => Err(TchError::Kind(format!("{name} gave {other:?}"))),
        }
    }
}

fn tensor(tensor: &Tensor) -> IValue {
    IValue::Tensor(tensor.shallow_clone())
}
