//! Self-attention, from 8-bit integers to 8-bit integers.

use tch::{TchError, Tensor};

use super::linear::{Int8Linear, half};
use super::tokens::{Quantized, Quantizer};
use crate::roberta::attention::{TextAttention, attend_run, split, texts};
use crate::roberta::packed::Run;
use crate::roberta::rows::RowReader;

/// Every token attends to those of its own text. Queries, scaled, keys and values of all heads are what
/// `qkv` makes of `x`.
pub(super) fn attend(
    qkv: &Int8Linear,
    x: &Quantized,
    runs: &[Run],
    heads: i64,
) -> Result<Quantized, TchError> {
    let sums = qkv.multiply(x, half())?;
    let (short, long) = split(runs, &sums);
    let (rows, width) = sums.size2()?;
    let mut quantizer = Quantizer::new(rows as usize, width as usize / 3);
    let mut attention = TextAttention::new(heads);
    let mut reader = RowReader::default();
    for text in texts(short) {
        let qkv = qkv.read(&sums, x, text.clone(), &mut reader)?;
        quantizer.take_rows(attention.attend(qkv, text.len()), &mut ());
    }
    for run in long {
        let qkv = qkv.read(&sums, x, run.rows(), &mut reader)?;
        let qkv = Tensor::f_from_slice(qkv)?.f_view([-1, width])?;
        let attended = attend_run(&qkv, run, heads)?;
        quantizer.take(&attended.f_reshape([-1, width / 3])?, &mut ())?;
    }
    quantizer.finish()
}
