//! [`RobertaAnalyzer`].

mod call;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use heartbeat_core::{Analyzer, Result, Scores};
use tracing::info;

use crate::blocking::blocking;
use crate::config::{Device, Precision, RobertaConfig};
use crate::origin::Origin;
use crate::roberta::{Roberta, Setting};
use crate::tokenizer::Tokenizer;
use crate::worker::{Limits, Model, Worker};

/// Scores texts by a RoBERTa model.
///
/// The model runs on a thread of its own. Calls share it: what waits at the same time is scored
/// together, and identical texts once. Names of users and links are replaced first, as the
/// models of this family were trained.
///
/// A model that panics is loaded anew; when that fails or does not help, every call fails and says so.
/// Dropped, the analyzer takes the thread and the model with it, soon after.
///
/// It tells `metrics` what goes through the model:
///
/// | metric | kind | what |
/// |---|---|---|
/// | `heartbeat_model_texts_total` | counter | texts scored, identical ones of a batch once |
/// | `heartbeat_model_tokens_total` | counter | their tokens |
/// | `heartbeat_model_batch_seconds` | histogram | how long the model took for a batch |
/// | `heartbeat_model_restarts_total` | counter | panics of the model |
pub struct RobertaAnalyzer {
    tokenizer: Arc<Tokenizer>,
    worker: Worker,
    loaded: Loaded,
}

/// What a [`RobertaAnalyzer`] runs, and how.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loaded {
    /// The model as the configuration names it.
    pub model: String,
    /// How many numbers it has learned.
    pub parameters: u64,
    /// Where it runs: never [`Device::Auto`].
    pub device: Device,
    /// How its numbers are kept.
    pub precision: Precision,
    /// How many threads share the work.
    pub threads: usize,
    /// How long it took from its files to a model that is ready; to fetch them is not counted.
    pub took: Duration,
}

impl RobertaAnalyzer {
    /// Loads the model that `config` names, after fetching it from the Hub if it has to.
    ///
    /// # Errors
    /// [`Misconfigured`](heartbeat_core::ErrorKind::Misconfigured) when there is no such model, it is
    /// not one that this crate can run, or the device is not there;
    /// [`Unavailable`](heartbeat_core::ErrorKind::Unavailable) when the Hub does not answer or memory is short.
    pub async fn open(config: RobertaConfig) -> Result<Self> {
        let origin = Origin::find(&config).await?;
        let started = Instant::now();
        let limits = Limits {
            batch_tokens: config.batch_tokens.get(),
            queue_tokens: config.queue_tokens.get(),
        };
        // Files are read and devices are asked where nobody waits for it.
        let read = blocking(move || {
            let setting = Setting::new(&config)?;
            let architecture = origin.architecture()?;
            let tokenizer = origin.tokenizer(&architecture)?;
            Ok((config.model, origin, setting, architecture, tokenizer))
        });
        let (model, origin, setting, architecture, tokenizer) = read.await?;
        let parameters = architecture.parameters();
        let worker = Worker::start(limits, move || {
            Roberta::load(&architecture, &origin.checkpoint()?, &setting)
        })
        .await?;

        let loaded = Loaded {
            model,
            parameters,
            device: match setting.device {
                tch::Device::Cuda(number) => Device::Cuda(number),
                _ => Device::Cpu,
            },
            precision: setting.precision,
            threads: setting.threads,
            took: started.elapsed(),
        };
        info!(
            model = loaded.model,
            parameters = loaded.parameters,
            device = %loaded.device,
            precision = %loaded.precision,
            threads = loaded.threads,
            seconds = loaded.took.as_secs_f64(),
            "Loaded the model."
        );
        Ok(Self::new(tokenizer, worker, loaded))
    }

    fn new(tokenizer: Tokenizer, worker: Worker, loaded: Loaded) -> Self {
        Self {
            tokenizer: Arc::new(tokenizer),
            worker,
            loaded,
        }
    }

    /// What was loaded, and how it runs.
    #[must_use]
    pub fn loaded(&self) -> &Loaded {
        &self.loaded
    }

    /// The ids of the tokens that the model is given for `text`: names of users and links replaced,
    /// the special tokens at both ends, cut to the model's length.
    ///
    /// # Errors
    /// As for [`analyze`](Analyzer::analyze), where the text's tokens are at fault.
    pub fn tokenize(&self, text: &str) -> Result<Vec<u32>> {
        call::encode(&self.tokenizer, text)
    }
}

#[async_trait]
impl Analyzer for RobertaAnalyzer {
    async fn analyze(&self, texts: &[&str]) -> Result<Vec<Scores>> {
        call::analyze(&self.tokenizer, &self.worker, texts).await
    }
}

impl fmt::Debug for RobertaAnalyzer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RobertaAnalyzer")
            .field("loaded", &self.loaded)
            .finish_non_exhaustive()
    }
}

impl Model for Roberta {
    fn score(&self, texts: &[&[u32]]) -> Result<Vec<[f32; 3]>> {
        self.score(texts)
    }
}
