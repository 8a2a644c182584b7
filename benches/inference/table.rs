//! What the contest found, as tables and as JSON.

use serde::Serialize;

use crate::entry::Tried;

#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) texts: usize,
    pub(crate) tokens: usize,
    pub(crate) turns: usize,
    /// The greatest share of the processors' time in a turn that was not the engine's whose turn it was.
    pub(crate) others: f64,
    pub(crate) rows: Vec<Row>,
    pub(crate) gemm: Gemm,
    pub(crate) lone: Lone,
}

/// An engine on all the texts.
#[derive(Debug, Serialize)]
pub(crate) struct Row {
    pub(crate) label: String,
    /// What it calls itself, with its version.
    pub(crate) engine: String,
    pub(crate) setting: String,
    pub(crate) texts_per_second: f64,
    /// Which of ours the ratio is of.
    pub(crate) against: String,
    /// How many times faster ours is.
    pub(crate) ratio: f64,
    pub(crate) aim: Option<f64>,
    /// Differences of probabilities to transformers.
    pub(crate) max_difference: f64,
    pub(crate) mean_difference: f64,
    pub(crate) load_seconds: f64,
    pub(crate) peak_mb: f64,
    /// Of each turn.
    pub(crate) seconds: Vec<f64>,
    /// All settings.
    pub(crate) tried: Vec<Tried>,
}

/// Useful operations a second, ours in fp32, over the best that the machine multiplies matrices with.
#[derive(Debug, Serialize)]
pub(crate) struct Gemm {
    pub(crate) setting: String,
    pub(crate) peak_gflops: f64,
    pub(crate) ours_gflops: f64,
    pub(crate) ratio: f64,
    pub(crate) aim: f64,
}

/// The latency of a text that comes alone, median.
#[derive(Debug, Serialize)]
pub(crate) struct Lone {
    pub(crate) ours_ms: f64,
    pub(crate) onnx_ms: f64,
    pub(crate) ratio: f64,
    pub(crate) aim: f64,
}

impl Report {
    pub(crate) fn print(&self) {
        println!(
            "{} tweets of {:.1} tokens in the mean, two threads, medians of {} alternating turns; the greatest share of \
             the processors that anything else took in a turn: {:.1} %",
            self.texts,
            self.tokens as f64 / self.texts as f64,
            self.turns,
            100.0 * self.others
        );
        println!();
        println!(
            "| engine | best setting | texts/s | heartbeat is faster | aim | max Δp | mean Δp |"
        );
        println!("|---|---|---|---|---|---|---|");
        for row in &self.rows {
            let times = match row.aim {
                Some(aim) => format!("{:.2} times | {aim}", row.ratio),
                None => "– | –".to_owned(),
            };
            println!(
                "| {} | {} | {:.1} | {times} | {:.1e} | {:.1e} |",
                row.label,
                row.setting,
                row.texts_per_second,
                row.max_difference,
                row.mean_difference
            );
        }
        let (gemm, lone) = (&self.gemm, &self.lone);
        println!();
        println!("| heartbeat | | | ratio | aim |");
        println!("|---|---|---|---|---|");
        println!(
            "| fp32: useful GFLOP/s | {:.0} | best matrix multiplication: {:.0} ({}) | {:.2} | at least {} |",
            gemm.ours_gflops, gemm.peak_gflops, gemm.setting, gemm.ratio, gemm.aim
        );
        println!(
            "| fp32: ms for a lone text | {:.1} | ONNX Runtime fp32: {:.1} | {:.2} | at most {} |",
            lone.ours_ms, lone.onnx_ms, lone.ratio, lone.aim
        );
        for row in self
            .rows
            .iter()
            .filter(|row| row.label.starts_with("heartbeat"))
        {
            println!(
                "| {}: seconds to load | {:.1} | MB at its peak: {:.0} | – | – |",
                row.label.trim_start_matches("heartbeat "),
                row.load_seconds,
                row.peak_mb
            );
        }
    }
}
