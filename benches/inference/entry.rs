//! Who takes part in the contest, and each one's best setting.

use std::env;
use std::path::Path;
use std::process::Command;

use serde::Serialize;
use serde_json::Value;

use crate::fixtures::Fixtures;
use crate::numbers::differences;
use crate::processor::Others;
use crate::protocol::Result;
use crate::rival::{Pass, Rival};

/// A setting that takes so many times the best so far the first time gets no second one.
const HOPELESS: f64 = 1.3;
/// So many settings, the best at first, then take turns: the machine may have been slower at some.
const FINALISTS: usize = 3;
const FINALS: usize = 2;

pub(crate) const EXACT: &str = "transformers, one by one";
pub(crate) const FP32: &str = "heartbeat fp32";
pub(crate) const INT8: &str = "heartbeat int8";
pub(crate) const ONNX: &str = "ONNX Runtime fp32, fused graph";
const ONNX_INT8: &str = "ONNX Runtime int8";
pub(crate) const GEMM: &str = "matrix multiplication";

/// An engine that takes part, loaded with its best setting.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) label: &'static str,
    pub(crate) rival: Rival,
    /// Which of ours it is compared with, and how many times faster that should be.
    pub(crate) against: &'static str,
    pub(crate) aim: Option<f64>,
    pub(crate) best: usize,
    pub(crate) tried: Vec<Tried>,
    /// Its first go with the best setting.
    pub(crate) first: Pass,
    pub(crate) load_seconds: f64,
    pub(crate) peak_mb: f64,
    /// Of each turn.
    pub(crate) seconds: Vec<f64>,
    /// Of ours in the turn right before.
    pub(crate) beside: Vec<f64>,
}

impl Entry {
    /// Scores all texts once; tells how long it took.
    pub(crate) fn turn(&mut self, others: &mut Others) -> Result<f64> {
        let (start, ticks) = (Others::start()?, self.rival.ticks()?);
        let seconds = self.rival.pass()?.seconds;
        others.stop(start, self.rival.ticks()? - ticks)?;
        self.seconds.push(seconds);
        Ok(seconds)
    }
}

/// What a setting gave.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Tried {
    #[serde(skip)]
    pub(crate) index: usize,
    pub(crate) setting: String,
    pub(crate) seconds: f64,
    /// Differences of probabilities to transformers.
    pub(crate) max_difference: f64,
    pub(crate) mean_difference: f64,
}

/// How many texts a batch may have.
#[derive(Debug, Clone, Copy)]
enum Batch {
    One,
    Several,
    Any,
}

impl Batch {
    fn admits(self, setting: &Value) -> bool {
        match self {
            Self::One => setting["batch"] == 1,
            Self::Several => setting["batch"] != 1,
            Self::Any => true,
        }
    }
}

/// Starts those whose label has `only` in it, and those that are compared with, and finds each one's best setting.
pub(crate) fn enter(fixtures: &Fixtures, only: &str) -> Result<Vec<Entry>> {
    let ours = |precision: &str| -> Result<Command> {
        let mut command = Command::new(env::current_exe()?);
        command.arg("serve").arg(&fixtures.model).arg(precision);
        Ok(command)
    };
    let python = |rival: &str| {
        let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("../xtask/python/rivals");
        let mut command = Command::new(&fixtures.python);
        command
            .arg(scripts.join(format!("run_{rival}.py")))
            .arg(&fixtures.model);
        // Cargo's, for our LibTorch: PyTorch has its own.
        command.env_remove("LD_LIBRARY_PATH");
        command
    };
    let onnx = |precision: &str| {
        let mut command = python("onnxruntime");
        command.arg(precision);
        command
    };
    let candle = || {
        let mut command = Command::new(&fixtures.candle);
        command.arg(&fixtures.model);
        command
    };
    let mut entries: Vec<Entry> = Vec::new();
    for (label, mut command, batch, against, aim) in [
        (EXACT, python("transformers"), Batch::One, FP32, Some(4.0)),
        (
            "transformers, batches",
            python("transformers"),
            Batch::Several,
            FP32,
            Some(1.8),
        ),
        (FP32, ours("fp32")?, Batch::Any, FP32, None),
        (ONNX, onnx("fp32"), Batch::Any, FP32, Some(1.25)),
        (
            "OpenVINO fp32",
            python("openvino"),
            Batch::Any,
            FP32,
            Some(1.7),
        ),
        ("candle, one by one", candle(), Batch::One, FP32, Some(3.0)),
        ("candle, batches", candle(), Batch::Several, FP32, Some(1.6)),
        (INT8, ours("int8")?, Batch::Any, INT8, None),
        (ONNX_INT8, onnx("int8"), Batch::Any, INT8, Some(1.2)),
        (GEMM, python("gemm"), Batch::Any, FP32, Some(0.9)),
    ] {
        // Whoever ratios, lone texts and the peak need takes part; our int8 only where it has a rival.
        let needed = match label {
            EXACT | FP32 | ONNX | GEMM => true,
            INT8 => ONNX_INT8.contains(only),
            _ => label.contains(only),
        };
        if !needed {
            continue;
        }
        let mut rival = Rival::start(&mut command)?;
        let exact = entries.first().map(|entry| &entry.first.probabilities[..]);
        let tried = try_all(&mut rival, label, batch, exact)?;
        let best = tried.iter().min_by(|a, b| a.seconds.total_cmp(&b.seconds));
        let best = best
            .ok_or_else(|| format!("{label} has no setting to try"))?
            .index;
        entries.push(Entry {
            label,
            against,
            aim,
            best,
            tried,
            load_seconds: rival.load(best)?,
            first: rival.pass()?,
            peak_mb: rival.peak()?,
            seconds: Vec::new(),
            beside: Vec::new(),
            rival,
        });
    }
    Ok(entries)
}

/// Tries the settings with such batches: once to warm up, and once more where there is hope.
fn try_all(
    rival: &mut Rival,
    label: &str,
    batch: Batch,
    exact: Option<&[[f64; 3]]>,
) -> Result<Vec<Tried>> {
    let mut all: Vec<Tried> = Vec::new();
    let mut best = f64::INFINITY;
    for (index, setting) in rival.settings.clone().iter().enumerate() {
        if !batch.admits(setting) {
            continue;
        }
        rival.load(index)?;
        let first = rival.pass()?;
        let mut seconds = first.seconds;
        if seconds < HOPELESS * best {
            seconds = seconds.min(rival.pass()?.seconds);
        }
        best = best.min(seconds);
        let exact = exact.unwrap_or(&first.probabilities);
        let (max_difference, mean_difference) = differences(&first.probabilities, exact);
        let setting = show(setting);
        eprintln!("{label}: {seconds:.2} s with {setting}");
        all.push(Tried {
            index,
            setting,
            seconds,
            max_difference,
            mean_difference,
        });
    }
    all.sort_by(|a, b| a.seconds.total_cmp(&b.seconds));
    if all.len() > 1 {
        for _ in 0..FINALS {
            for tried in all.iter_mut().take(FINALISTS) {
                rival.load(tried.index)?;
                rival.pass()?;
                tried.seconds = tried.seconds.min(rival.pass()?.seconds);
            }
        }
    }
    Ok(all)
}

/// A setting in words.
fn show(setting: &Value) -> String {
    let pairs = setting.as_object().into_iter().flatten();
    let words = pairs.map(|(name, value)| match value {
        Value::String(value) => format!("{name} {value}"),
        value => format!("{name} {value}"),
    });
    words.collect::<Vec<_>>().join(", ")
}
