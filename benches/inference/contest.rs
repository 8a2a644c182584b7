//! heartbeat and its rivals on the same texts, each at the best of its settings, taking turns.
//!
//! Each rival's turn comes right after one of heartbeat's own, and their ratio is taken: the machine's speed changes
//! within seconds.

use std::fs;

use crate::entry::{self, EXACT, Entry, FP32, GEMM, ONNX};
use crate::fixtures::{Fixtures, Texts};
use crate::numbers::{differences, median, median_ratio};
use crate::processor::Others;
use crate::protocol::Result;
use crate::table::{Gemm, Lone, Report, Row};
use crate::work::Shape;

/// How often each has its turn.
const TURNS: usize = 9;
/// How often lone texts are scored, and the rest before each, in seconds.
const LONE_TURNS: usize = 5;
const REST: f64 = 0.02;

/// Runs it all, or only the rivals whose label has `only` in it.
pub(crate) fn run(fixtures: &Fixtures, only: &str) -> Result<Report> {
    let mut entries = entry::enter(fixtures, only)?;
    let mut others = Others::default();
    for turn in 1..=TURNS {
        eprintln!("turn {turn} of {TURNS}");
        for index in 0..entries.len() {
            let against = entries[index].against;
            if entries[index].label == against {
                continue;
            }
            let ours = find(&mut entries, against)?.turn(&mut others)?;
            entries[index].beside.push(ours);
            entries[index].turn(&mut others)?;
        }
    }
    let texts = Texts::read(&fixtures.model)?;
    let exact = find(&mut entries, EXACT)?.first.probabilities.clone();

    let config = fs::read(fixtures.model.join("config.json"))?;
    let shape: Shape = serde_json::from_slice(&config)?;
    let useful = texts
        .ids
        .iter()
        .map(|ids| shape.operations(ids.len()))
        .sum();
    let gemm = gemm(find(&mut entries, GEMM)?, useful);

    let row = |entry: &Entry| {
        let (max_difference, mean_difference) = differences(&entry.first.probabilities, &exact);
        Row {
            label: entry.label.to_owned(),
            engine: entry.rival.name.clone(),
            setting: setting(entry),
            texts_per_second: texts.ids.len() as f64 / median(entry.seconds.clone()),
            against: entry.against.to_owned(),
            ratio: median_ratio(&entry.seconds, &entry.beside),
            aim: entry.aim,
            max_difference,
            mean_difference,
            load_seconds: entry.load_seconds,
            peak_mb: entry.peak_mb,
            seconds: entry.seconds.clone(),
            tried: entry.tried.clone(),
        }
    };
    let rows = entries
        .iter()
        .filter(|entry| entry.label != GEMM)
        .map(row)
        .collect();
    Ok(Report {
        texts: texts.ids.len(),
        tokens: texts.ids.iter().map(Vec::len).sum(),
        turns: TURNS,
        others: others.share(),
        rows,
        gemm,
        lone: lone(&mut entries)?,
    })
}

/// Useful operations a second, beside the best that the machine can.
fn gemm(gemm: &Entry, useful: f64) -> Gemm {
    let rates = |operations: f64, seconds: &[f64]| -> Vec<f64> {
        seconds.iter().map(|seconds| operations / seconds).collect()
    };
    let peak = rates(gemm.first.operations, &gemm.seconds);
    let ours = rates(useful, &gemm.beside);
    Gemm {
        setting: setting(gemm),
        peak_gflops: median(peak.clone()) / 1e9,
        ours_gflops: median(ours.clone()) / 1e9,
        ratio: median_ratio(&ours, &peak),
        aim: gemm.aim.unwrap_or(f64::NAN),
    }
}

/// Lone texts: ours beside ONNX Runtime with the best of its settings that gives all threads to one text.
fn lone(entries: &mut [Entry]) -> Result<Lone> {
    let onnx = find(entries, ONNX)?;
    let alone = onnx.tried.iter().filter(|tried| {
        let setting = &onnx.rival.settings[tried.index];
        setting["batch"] == 1 && setting.get("callers").is_none()
    });
    let best = alone.min_by(|a, b| a.seconds.total_cmp(&b.seconds));
    let best = best.ok_or("ONNX Runtime tried no lone text")?.index;
    onnx.rival.load(best)?;

    let mut medians = [Vec::new(), Vec::new()];
    for turn in 0..=LONE_TURNS {
        for (label, medians) in [FP32, ONNX].into_iter().zip(&mut medians) {
            let seconds = find(entries, label)?.rival.lone(REST)?;
            // The first turn is to warm up.
            if turn > 0 {
                medians.push(median(seconds));
            }
        }
    }
    let [ours, onnx] = medians;
    Ok(Lone {
        ours_ms: 1e3 * median(ours.clone()),
        onnx_ms: 1e3 * median(onnx.clone()),
        ratio: median_ratio(&ours, &onnx),
        aim: 1.0,
    })
}

fn find<'a>(entries: &'a mut [Entry], label: &str) -> Result<&'a mut Entry> {
    let found = entries.iter_mut().find(|entry| entry.label == label);
    found.ok_or_else(|| format!("{label} takes no part").into())
}

fn setting(entry: &Entry) -> String {
    let mut tried = entry.tried.iter();
    let best = tried.find(|tried| tried.index == entry.best);
    best.map(|tried| tried.setting.clone()).unwrap_or_default()
}
