//! What the commands that run stages share.

use std::process::ExitCode;
use std::sync::Arc;

use backon::{BackoffBuilder, ExponentialBuilder};
use heartbeat::backend;
use heartbeat::config::{BusConfig, Config, SourceConfig, StagesConfig};
use heartbeat_core::{Bus, JsonlProgress, JsonlSource, Result, Source, Stage, StageOptions};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::cli::context::Context;
use crate::cli::done::Tally;
use crate::cli::flow::Flow;
use crate::cli::mood::Mood;
use crate::cli::out::Out;
use crate::cli::status::Status;

/// Stages at work, and what may be shown of them.
#[derive(Debug)]
pub(crate) struct Work {
    pub(crate) flow: Flow,
    pub(crate) mood: Option<Mood>,
    pub(crate) file: Option<JsonlProgress>,
}

impl Work {
    /// Shows how it goes until it is done, and then what was done.
    pub(crate) async fn see_through(self, context: &Context, json: bool) -> Result<ExitCode> {
        let tally = Tally::new(self.flow.counters());
        let status = Status {
            tally: tally.clone(),
            mood: self.mood,
            file: self.file,
        };
        let shown = status.show(context);
        let outcome = self.flow.finish().await;
        drop(shown);
        outcome?;
        let mut out = Out::new();
        if json {
            out.json(&tally.done())?;
        } else {
            out.line(tally.done())?;
        }
        out.flush()?;
        Ok(ExitCode::SUCCESS)
    }
}

/// The options of the three stages, in the order of the flow.
pub(crate) fn options(config: &Config) -> Result<[StageOptions; 3]> {
    let [ingest, analyze, transfer] = Stage::ALL.map(|stage| config.stages.options(stage));
    Ok([ingest?, analyze?, transfer?])
}

/// Opens the bus, and waits for it while it is away; gives none when told to stop meanwhile.
pub(crate) async fn open_bus(
    config: BusConfig,
    stages: &StagesConfig,
    stop: &CancellationToken,
) -> Result<Option<Arc<dyn Bus>>> {
    let mut backoff = ExponentialBuilder::default()
        .with_min_delay(stages.retry_first)
        .with_max_delay(stages.retry_longest)
        .with_jitter()
        .without_max_times()
        .build();
    let mut failures = 0;
    let open = async {
        loop {
            match backend::open_bus(config.clone()).await {
                Err(error) if error.is_retryable() => {
                    failures += 1;
                    let wait = backoff.next().unwrap_or(stages.retry_longest);
                    let wait = wait.max(error.wait_before_retry().unwrap_or_default());
                    warn!(
                        what = "open the bus",
                        error = error.report(),
                        failures,
                        wait_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX),
                        "Trying again after a failure that may pass."
                    );
                    sleep(wait).await;
                }
                opened => {
                    if failures > 0 && opened.is_ok() {
                        info!(what = "open the bus", failures, "Works again.");
                    }
                    return opened;
                }
            }
        }
    };
    tokio::select! {
        opened = open => opened.map(Some),
        () = stop.cancelled() => Ok(None),
    }
}

/// Opens the source, and gives what shows how far it is when that can be told.
pub(crate) async fn open_source(
    config: SourceConfig,
) -> Result<(Box<dyn Source>, Option<JsonlProgress>)> {
    match config {
        SourceConfig::Jsonl(config) => {
            let source = JsonlSource::open(config)?;
            let progress = source.progress();
            Ok((Box::new(source), Some(progress)))
        }
        config => Ok((backend::open_source(config).await?, None)),
    }
}
