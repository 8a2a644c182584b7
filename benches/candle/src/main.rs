//! candle as an engine of the inference bench: `candle-rival FOLDER`.

#[path = "../../inference/protocol.rs"]
mod protocol;

use std::path::Path;
use std::time::{Duration, Instant};
use std::{env, fs, thread};

use candle_core::{DType, Device, Tensor};
use candle_nn::VarBuilder;
use candle_nn::ops::softmax_last_dim;
use candle_transformers::models::xlm_roberta::{Config, XLMRobertaForSequenceClassification};
use serde_json::{Value, json};

use crate::protocol::{Engine, Pass, Result};

const PADDING: u32 = 1;

fn main() -> Result<()> {
    let folder = env::args().nth(1).ok_or("usage: candle-rival FOLDER")?;
    let settings = [1, 4, 8, 16, 32].map(|batch| json!({ "batch": batch }));
    protocol::serve("candle 0.11.1", &settings, |setting| {
        Candle::load(Path::new(&folder), setting)
    })
}

struct Candle {
    model: XLMRobertaForSequenceClassification,
    batches: Vec<Batch>,
}

/// Texts of about one length, padded.
struct Batch {
    /// Where they are among all.
    places: Vec<usize>,
    ids: Tensor,
    mask: Tensor,
    types: Tensor,
}

impl Candle {
    /// RoBERTa is built as XLM-RoBERTa is, and has the same names.
    fn load(folder: &Path, setting: &Value) -> Result<Self> {
        let read = |name| fs::read(folder.join(name));
        let mut config: Value = serde_json::from_slice(&read("config.json")?)?;
        config["position_embedding_type"] = json!("absolute");
        let config: Config = serde_json::from_value(config)?;
        let weights = read("model.safetensors")?;
        let weights = VarBuilder::from_buffered_safetensors(weights, DType::F32, &Device::Cpu)?;
        let model = XLMRobertaForSequenceClassification::new(3, &config, weights)?;
        let texts: Value = serde_json::from_slice(&read("texts.json")?)?;
        let ids: Vec<Vec<u32>> = serde_json::from_value(texts["ids"].clone())?;
        let size = setting["batch"].as_u64().ok_or("no batch")?;
        let mut order: Vec<usize> = (0..ids.len()).collect();
        order.sort_by_key(|&place| ids[place].len());
        let batches = order
            .chunks(usize::try_from(size)?)
            .map(|places| Batch::new(&ids, places))
            .collect::<Result<_>>()?;
        Ok(Self { model, batches })
    }

    fn score(&self, batch: &Batch) -> Result<Vec<Vec<f32>>> {
        let logits = self.model.forward(&batch.ids, &batch.mask, &batch.types)?;
        Ok(softmax_last_dim(&logits)?.to_vec2()?)
    }
}

impl Batch {
    fn new(ids: &[Vec<u32>], places: &[usize]) -> Result<Self> {
        let longest = places.iter().map(|&place| ids[place].len()).max();
        let longest = longest.ok_or("a batch without texts")?;
        let padded: Vec<u32> = places
            .iter()
            .flat_map(|&place| {
                let padding = longest - ids[place].len();
                ids[place].iter().copied().chain(vec![PADDING; padding])
            })
            .collect();
        let ids = Tensor::from_vec(padded, (places.len(), longest), &Device::Cpu)?;
        Ok(Self {
            places: places.to_vec(),
            mask: ids.ne(PADDING)?.to_dtype(DType::U32)?,
            types: ids.zeros_like()?,
            ids,
        })
    }
}

impl Engine for Candle {
    fn once(&mut self) -> Result<Pass> {
        let started = Instant::now();
        let scored: Vec<_> = self
            .batches
            .iter()
            .map(|batch| self.score(batch))
            .collect::<Result<_>>()?;
        let seconds = started.elapsed().as_secs_f64();
        let texts = self.batches.iter().map(|batch| batch.places.len()).sum();
        let mut probabilities = vec![[0.0; 3]; texts];
        for (batch, rows) in self.batches.iter().zip(scored) {
            for (&place, row) in batch.places.iter().zip(rows) {
                probabilities[place] = row[..].try_into()?;
            }
        }
        Ok(Pass {
            seconds,
            probabilities,
        })
    }

    fn lone(&mut self, pause: Duration) -> Result<Vec<f64>> {
        self.batches
            .iter()
            .map(|batch| {
                thread::sleep(pause);
                let started = Instant::now();
                self.score(batch)?;
                Ok(started.elapsed().as_secs_f64())
            })
            .collect()
    }
}
