//! What only a RoBERTa model needs: its flags, a bar while it is fetched, and what is told of it.

use std::num::NonZeroUsize;

use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use heartbeat::config::{AnalyzerConfig, Config};
use heartbeat::torch::{Device, Loaded, Precision, Progress, RobertaAnalyzer, RobertaConfig};
use heartbeat_core::{Error, Result};
use indicatif::{ProgressBar, ProgressStyle};

use crate::cli::context::Context;

/// Flags that say how the model runs.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Analyzer")]
pub(crate) struct RobertaArgs {
    /// RoBERTa: where it runs: `auto`, `cpu`, `cuda:N` [default: auto]
    #[arg(long, value_parser = device)]
    device: Option<Device>,
    /// RoBERTa: how its numbers are kept; fp32 is exact, int8 the fastest on a processor [default: fp32]
    #[arg(long, value_parser = precision())]
    precision: Option<Precision>,
    /// RoBERTa: how many threads of the processor share the work [default: all that it may use]
    #[arg(long)]
    threads: Option<NonZeroUsize>,
}

impl RobertaArgs {
    /// Lays the flags over the config.
    pub(crate) fn apply(&self, config: &mut Config) -> Result<()> {
        let Self {
            device,
            precision,
            threads,
        } = *self;
        if device.is_none() && precision.is_none() && threads.is_none() {
            return Ok(());
        }
        let mut analyzer = config.analyzer()?;
        let AnalyzerConfig::Roberta(roberta) = &mut analyzer else {
            return Err(Error::misconfigured(
                "--device, --precision and --threads are for RoBERTa models",
            )
            .with("analyzer", analyzer)
            .hint("Leave them out, or choose such as `--analyzer roberta:small`."));
        };
        roberta.device = device.unwrap_or(roberta.device);
        roberta.precision = precision.unwrap_or(roberta.precision);
        roberta.threads = threads.or(roberta.threads);
        config.analyzer = Some(analyzer);
        Ok(())
    }
}

fn device(text: &str) -> Result<Device, String> {
    text.parse().map_err(|error: Error| error.report())
}

/// Knows the values by name, so that help and completions do too.
fn precision() -> impl TypedValueParser<Value = Precision> {
    PossibleValuesParser::new(["fp32", "bf16", "int8"]).try_map(|text| text.parse::<Precision>())
}

/// Opens the model, and tells what was loaded. What has to be fetched has a bar when a person watches.
pub(crate) async fn open(
    config: &RobertaConfig,
    context: &Context,
) -> Result<(RobertaAnalyzer, String)> {
    let mut config = config.clone();
    let bar = context.live.then(|| context.progress.add(bar()));
    if let Some(bar) = bar.clone() {
        let show = move |file: &str, done, all| show(&bar, file, done, all);
        config.hub.progress = Some(Progress::new(show));
    }
    let analyzer = RobertaAnalyzer::open(config).await;
    if let Some(bar) = bar {
        bar.finish_and_clear();
    }
    let analyzer = analyzer?;
    let told = told(analyzer.loaded());
    Ok((analyzer, told))
}

fn bar() -> ProgressBar {
    let style = ProgressStyle::with_template(
        "{msg} {bar:24} {bytes} of {total_bytes}  {bytes_per_sec}  {eta} left",
    )
    .expect("the template above is well-formed");
    ProgressBar::no_length().with_style(style.progress_chars("━━╌"))
}

fn show(bar: &ProgressBar, file: &str, done: u64, all: u64) {
    if bar.message() != file {
        bar.set_message(file.to_owned());
        bar.set_length(all);
        bar.set_position(done);
        // What an earlier transfer left was not fetched at any speed.
        bar.reset_eta();
    }
    bar.set_position(done);
}

fn told(loaded: &Loaded) -> String {
    let millions = loaded.parameters as f64 / 1e6;
    let (precision, device) = (loaded.precision, loaded.device);
    let threads = match loaded.threads {
        1 => "1 thread".to_owned(),
        more => format!("{more} threads"),
    };
    let seconds = loaded.took.as_secs_f64();
    format!(
        "{millions:.1} million parameters, {precision} on {device}, {threads}, loaded in {seconds:.1} s"
    )
}
