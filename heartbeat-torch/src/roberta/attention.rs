//! Self-attention over packed texts.

use tch::{Kind, TchError, Tensor};

use super::packed::Run;

/// Texts of so many tokens or more attend by LibTorch's fused attention, and so does one alone; below,
/// plain batched matrix multiplications are faster.
const FUSED_FROM: i64 = 192;

/// Every token attends to those of its own text.
///
/// `qkv` holds a row a token: queries, scaled, keys and values of all heads. Rows of no text are 0.
pub(super) fn attend(qkv: &Tensor, runs: &[Run], heads: i64) -> Result<Tensor, TchError> {
    let (rows, width) = qkv.size2()?;
    let hidden = width / 3;
    let out = Tensor::f_empty([rows, hidden], (Kind::Float, qkv.device()))?;
    let end = runs.last().map_or(0, Run::end);
    let _ = out.f_narrow(0, end, rows - end)?.f_zero_()?;
    for run in runs {
        let tokens = run.texts * run.length;
        let qkv = qkv.f_narrow(0, run.start, tokens)?.f_view([
            run.texts,
            run.length,
            3,
            heads,
            hidden / heads,
        ])?;
        let part = |index| qkv.f_select(2, index)?.f_transpose(1, 2);
        let mixed = mix(&part(0)?, &part(1)?, &part(2)?)?;
        out.f_narrow(0, run.start, tokens)?
            .f_view([run.texts, run.length, heads, hidden / heads])?
            .f_copy_(&mixed.f_transpose(1, 2)?)?;
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
    let hidden = q.size2()?.1;
    let out = q.f_zeros_like()?;
    let mut text = 0;
    for run in runs {
        let kv = kv.f_narrow(0, run.start, run.texts * run.length)?.f_view([
            run.texts,
            run.length,
            2,
            heads,
            hidden / heads,
        ])?;
        let part = |index| kv.f_select(2, index)?.f_transpose(1, 2);
        let q = q
            .f_narrow(0, text, run.texts)?
            .f_view([run.texts, heads, 1, hidden / heads])?;
        let mixed = mix(&q, &part(0)?, &part(1)?)?;
        out.f_narrow(0, text, run.texts)?
            .f_view([run.texts, heads, 1, hidden / heads])?
            .f_copy_(&mixed)?;
        text += run.texts;
    }
    Ok(out)
}

/// softmax(q · kᵀ) · v for each text and head; all are texts × heads × tokens × d.
fn mix(q: &Tensor, k: &Tensor, v: &Tensor) -> Result<Tensor, TchError> {
    let (texts, heads, length, width) = k.size4()?;
    if texts == 1 || length >= FUSED_FROM || k.device().is_cuda() {
        let mask = None::<&Tensor>;
        return Tensor::f_scaled_dot_product_attention(q, k, v, mask, 0.0, false, 1.0, false);
    }
    let flat = |tensor: &Tensor| tensor.f_reshape([texts * heads, -1, width]);
    flat(q)?
        .f_bmm(&flat(k)?.f_transpose(1, 2)?)?
        .f_softmax(-1, Kind::Float)?
        .f_bmm(&flat(v)?)?
        .f_view([texts, heads, -1, width])
}
