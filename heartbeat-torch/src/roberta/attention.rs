//! Self-attention over packed texts.

use tch::{Kind, TchError, Tensor};

use super::packed::Run;

/// A text of so many tokens or more attends by LibTorch's fused attention; below, plain batched
/// matrix multiplications are faster.
const FUSED_FROM: i64 = 192;

/// Every token attends to those of its own text.
///
/// `qkv` holds a row a token: queries, keys and values of all heads. Rows of no text stay 0.
pub(super) fn attend(qkv: &Tensor, runs: &[Run], heads: i64) -> Result<Tensor, TchError> {
    let (rows, width) = qkv.size2()?;
    let hidden = width / 3;
    let out = Tensor::f_zeros([rows, hidden], (Kind::Float, qkv.device()))?;
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
/// `q` holds a row a text, `kv` a row a token.
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

/// softmax(q · kᵀ / √d) · v for each text and head; all are texts × heads × tokens × d.
fn mix(q: &Tensor, k: &Tensor, v: &Tensor) -> Result<Tensor, TchError> {
    let (texts, heads, length, width) = k.size4()?;
    if length >= FUSED_FROM || k.device().is_cuda() {
        return Tensor::f_scaled_dot_product_attention(
            q,
            k,
            v,
            None::<&Tensor>,
            0.0,
            false,
            None,
            false,
        );
    }
    let flat = |tensor: &Tensor| tensor.f_reshape([texts * heads, -1, width]);
    let scores = flat(q)?
        .f_multiply_scalar((width as f64).powf(-0.5))?
        .f_bmm(&flat(k)?.f_transpose(1, 2)?)?;
    scores
        .f_softmax(-1, Kind::Float)?
        .f_bmm(&flat(v)?)?
        .f_view([texts, heads, -1, width])
}
