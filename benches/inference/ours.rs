//! heartbeat as an engine of the contest, and as the other measurements want it.

use std::fmt;
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use heartbeat_core::{Analyzer, Scores};
use heartbeat_torch::{Device, RobertaAnalyzer, RobertaConfig};
use serde_json::json;
use tokio::runtime::Runtime;

use crate::fixtures::Texts;
use crate::protocol::{self, Engine, Pass, Result};
use crate::rival::THREADS;

/// The analyzer and a runtime to call it from.
pub(crate) struct Ours {
    pub(crate) runtime: Runtime,
    pub(crate) analyzer: Arc<RobertaAnalyzer>,
}

impl fmt::Debug for Ours {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ours")
    }
}

impl Ours {
    /// As a user gets it, but for the number of threads.
    pub(crate) fn open(model: &str, precision: &str) -> Result<Self> {
        let runtime = heartbeat_benches::runtime();
        let config = RobertaConfig {
            model: model.to_owned(),
            device: Device::Cpu,
            precision: precision.parse()?,
            threads: NonZeroUsize::new(THREADS),
            ..RobertaConfig::default()
        };
        let analyzer = Arc::new(runtime.block_on(RobertaAnalyzer::open(config))?);
        Ok(Self { runtime, analyzer })
    }

    pub(crate) fn score(&self, texts: &[&str]) -> Result<Vec<Scores>> {
        Ok(self.runtime.block_on(self.analyzer.analyze(texts))?)
    }

    /// The seconds that it takes to score them in one call.
    pub(crate) fn seconds(&self, texts: &[&str]) -> Result<f64> {
        let started = Instant::now();
        self.score(texts)?;
        Ok(started.elapsed().as_secs_f64())
    }
}

/// Answers the contest: whole texts, so it also tokenises them, which its rivals need not.
pub(crate) fn serve(model: &str, precision: &str) -> Result<()> {
    let texts = Texts::read(Path::new(model))?.texts;
    let settings = [json!({ "precision": precision })];
    protocol::serve(&format!("heartbeat {precision}"), &settings, |_| {
        Ok(Served {
            ours: Ours::open(model, precision)?,
            texts: texts.clone(),
        })
    })
}

struct Served {
    ours: Ours,
    texts: Vec<String>,
}

impl Engine for Served {
    fn once(&mut self) -> Result<Pass> {
        let texts: Vec<&str> = self.texts.iter().map(String::as_str).collect();
        let started = Instant::now();
        let scores = self.ours.score(&texts)?;
        Ok(Pass {
            seconds: started.elapsed().as_secs_f64(),
            probabilities: scores.iter().map(|it| [it.neg, it.neu, it.pos]).collect(),
        })
    }

    fn lone(&mut self, pause: Duration) -> Result<Vec<f64>> {
        let rested = |text: &String| {
            thread::sleep(pause);
            self.ours.seconds(&[text])
        };
        self.texts.iter().map(rested).collect()
    }
}
