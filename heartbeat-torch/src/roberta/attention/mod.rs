//! Self-attention over packed texts.

mod text;

use std::ops::Range;

use tch::{Kind, TchError, Tensor};

pub(super) use self::text::TextAttention;
use super::packed::Run;
use super::rows::{RowReader, narrow};

/// Every token attends to those of its own text.
///
/// `qkv` holds a row a token: queries, scaled, keys and values of all heads. Rows of no text become 0.
pub(super) fn attend(qkv: &Tensor, runs: &[Run], heads: i64) -> Result<Tensor, TchError> {
    let (rows, width) = qkv.size2()?;
    let hidden = width / 3;
    let out = Tensor::f_zeros([rows, hidden], (Kind::Float, qkv.device()))?;
    let (short, long) = split(runs, qkv);
    let mut attended = Vec::new();
    let mut attention = TextAttention::new(heads);
    let mut reader = RowReader::default();
    for text in texts(short) {
        let qkv = reader.read(qkv, text.clone())?;
        attended.extend_from_slice(attention.attend(qkv, text.len()));
    }
    write(&attended, &out)?;
    for run in long {
        let attended = attend_run(&narrow(qkv, run.rows())?, run, heads)?;
        narrow(&out, run.rows())?
            .f_view([run.texts, run.length, heads, -1])?
            .f_copy_(&attended)?;
    }
    Ok(out)
}

/// The first token of each text attends to those of its own text.
///
/// `q` holds a row a text, scaled, `kv` a row a token.
pub(super) fn attend_first(
    q: &Tensor,
    kv: &Tensor,
    runs: &[Run],
    heads: i64,
) -> Result<Tensor, TchError> {
    let out = q.f_zeros_like()?;
    let (short, long) = split(runs, kv);
    let mut attended = Vec::new();
    let mut attention = TextAttention::new(heads);
    let (mut queries, mut others) = (RowReader::default(), RowReader::default());
    for (index, text) in texts(short).enumerate() {
        let q = queries.read(q, index..index + 1)?;
        let kv = others.read(kv, text.clone())?;
        attended.extend_from_slice(attention.attend_first(q, kv, text.len()));
    }
    write(&attended, &out)?;
    let mut text = short.iter().map(|run| run.texts).sum();
    for run in long {
        let kv = narrow(kv, run.rows())?.f_view([run.texts, run.length, 2, heads, -1])?;
        let part = |index| kv.f_select(2, index)?.f_transpose(1, 2);
        let q = q.f_narrow(0, text, run.texts)?;
        let mixed = mix(&q.f_view([run.texts, heads, 1, -1])?, &part(0)?, &part(1)?)?;
        out.f_narrow(0, text, run.texts)?
            .f_view([run.texts, heads, 1, -1])?
            .f_copy_(&mixed)?;
        text += run.texts;
    }
    Ok(out)
}

/// What LibTorch makes of the rows of a run: texts × tokens × heads × d.
pub(super) fn attend_run(qkv: &Tensor, run: &Run, heads: i64) -> Result<Tensor, TchError> {
    let qkv = qkv.f_view([run.texts, run.length, 3, heads, -1])?;
    let part = |index| qkv.f_select(2, index)?.f_transpose(1, 2);
    mix(&part(0)?, &part(1)?, &part(2)?)?.f_transpose(1, 2)
}

/// softmax(q · kᵀ) · v for each text and head; all are texts × heads × tokens × d.
fn mix(q: &Tensor, k: &Tensor, v: &Tensor) -> Result<Tensor, TchError> {
    let mask = None::<&Tensor>;
    Tensor::f_scaled_dot_product_attention(q, k, v, mask, 0.0, false, 1.0, false)
}

/// Those runs whose texts are best done one by one, and those for LibTorch.
pub(super) fn split<'a>(runs: &'a [Run], x: &Tensor) -> (&'a [Run], &'a [Run]) {
    let long = if x.device().is_cuda() {
        0
    } else if tch::get_num_threads() > 1 {
        // So much work is worth all threads.
        64
    } else {
        192
    };
    runs.split_at(runs.partition_point(|run| run.length < long))
}

/// The rows of each text.
pub(super) fn texts(runs: &[Run]) -> impl Iterator<Item = Range<usize>> {
    runs.iter().flat_map(Run::texts)
}

/// Into the first rows of `x`.
fn write(numbers: &[f32], x: &Tensor) -> Result<(), TchError> {
    let width = x.size2()?.1;
    let numbers = Tensor::f_from_slice(numbers)?.f_view([-1, width])?;
    x.f_narrow(0, 0, numbers.size2()?.0)?.f_copy_(&numbers)?;
    Ok(())
}
