//! The whole network, from tokens to shares.

use heartbeat_core::Result;
use tch::{Device, Kind, TchError, Tensor};

use super::embeddings::Embeddings;
use super::encoder::{Encoder, Format};
use super::packed::PackedTexts;
use super::shared::Shared;
use super::weights::{Parameters, Weights};
use crate::error;

/// A clone shares the weights.
#[derive(Debug, Clone)]
pub(super) struct Network {
    embeddings: Embeddings,
    encoder: Encoder,
    head: Head,
    padding_id: i64,
    /// How many rows to compute where so many are needed.
    rows: fn(usize) -> usize,
}

impl Network {
    pub(super) fn load(weights: &Weights<'_>, format: &Format) -> Result<Self> {
        Ok(Self {
            embeddings: Embeddings::load(&weights.at("roberta.embeddings."))?,
            encoder: Encoder::load(weights, format)?,
            head: Head::load(&weights.at("classifier."))?,
            padding_id: weights.architecture.padding_id,
            rows: format.rows(),
        })
    }

    /// The shares negative, neutral and positive of each text, in the texts' order.
    pub(super) fn forward(
        &self,
        texts: &[&[u32]],
        device: Device,
    ) -> Result<Vec<[f32; 3]>, TchError> {
        let packed = PackedTexts::new(texts, self.padding_id, self.rows, device)?;
        let x = self.embeddings.forward(&packed)?;
        let first = self.encoder.forward(x, &packed)?;
        let shares = self.head.forward(&first)?;
        let shares: Vec<f32> = shares.f_to_device(Device::Cpu)?.f_view([-1])?.try_into()?;

        let mut scores = vec![[0.0; 3]; texts.len()];
        for (&text, shares) in packed.order.iter().zip(shares.as_chunks().0) {
            scores[text] = *shares;
        }
        Ok(scores)
    }
}

/// From a text's first token to its shares.
#[derive(Debug, Clone)]
struct Head {
    dense: [Shared; 2],
    out: [Shared; 2],
}

impl Head {
    fn load(weights: &Weights<'_>) -> Result<Self> {
        let hidden = weights.architecture.hidden;
        let Parameters { weight, bias } = weights.parameters("dense", hidden, hidden)?;
        let dense = [weight.into(), bias.into()];

        let Parameters { weight, bias } = weights.parameters("out_proj", 3, hidden)?;
        // Negative, neutral, positive, in whatever order the model has them.
        let labels = weights.architecture.labels.map(|label| label as i64);
        let in_order = |tensor: &Tensor| {
            Tensor::f_from_slice(&labels)
                .and_then(|labels| labels.f_to_device(weights.device))
                .and_then(|labels| tensor.f_index_select(0, &labels))
                .map(Shared::from)
                .map_err(error::torch("ordering labels"))
        };
        Ok(Self {
            dense,
            out: [in_order(&weight)?, in_order(&bias)?],
        })
    }

    fn forward(&self, first: &Tensor) -> Result<Tensor, TchError> {
        let [dense, dense_bias] = &self.dense;
        let [out, out_bias] = &self.out;
        first
            .f_linear::<&Tensor>(dense, Some(dense_bias))?
            .f_tanh_()?
            .f_linear::<&Tensor>(out, Some(out_bias))?
            .f_softmax(-1, Kind::Float)
    }
}
