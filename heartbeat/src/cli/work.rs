//! What the commands that run stages share.

use std::process::ExitCode;
use std::sync::Arc;

use heartbeat::backend;
use heartbeat::config::{BusConfig, Config, SourceConfig, StagesConfig, StoreConfig};
use heartbeat_core::{Bus, JsonlProgress, JsonlSource, Result, Source, Stage, StageOptions, Store};
use tokio_util::sync::CancellationToken;

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
    let [ingest, analyze, transfer] = Stage::ALL.map(|stage| config.options(stage));
    Ok([ingest?, analyze?, transfer?])
}

/// Opens the bus, and waits for it while it is away; gives none when told to stop meanwhile.
pub(crate) async fn open_bus(
    config: BusConfig,
    stages: &StagesConfig,
    stop: &CancellationToken,
) -> Result<Option<Arc<dyn Bus>>> {
    let open = || backend::open_bus(config.clone());
    wait_for("open the bus", stages, stop, open).await
}

/// As [`open_bus`], for the store.
pub(crate) async fn open_store(
    config: StoreConfig,
    stages: &StagesConfig,
    stop: &CancellationToken,
) -> Result<Option<Arc<dyn Store>>> {
    let open = || backend::open_store(config.clone());
    wait_for("open the store", stages, stop, open).await
}

async fn wait_for<T, F: Future<Output = Result<T>>>(
    what: &'static str,
    stages: &StagesConfig,
    stop: &CancellationToken,
    open: impl FnMut() -> F,
) -> Result<Option<T>> {
    let open = stages.retry().run(what, stop, open);
    tokio::select! {
        biased;
        () = stop.cancelled() => Ok(None),
        opened = open => opened.map(Some),
    }
}

/// A source, and what shows how far it is when that can be told.
pub(crate) type Opened = (Box<dyn Source>, Option<JsonlProgress>);

/// As [`open_bus`], for the source.
pub(crate) async fn open_source(
    config: SourceConfig,
    stages: &StagesConfig,
    stop: &CancellationToken,
) -> Result<Option<Opened>> {
    match config {
        SourceConfig::Jsonl(config) => {
            let source = JsonlSource::open(config)?;
            let progress = source.progress();
            Ok(Some((Box::new(source), Some(progress))))
        }
        config => {
            let open = || backend::open_source(config.clone());
            let source = wait_for("open the source", stages, stop, open).await?;
            Ok(source.map(|source| (source, None)))
        }
    }
}
