//! What every command is given.

use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use heartbeat::backend;
use heartbeat::config::{AnalyzerConfig, BusConfig, Config, StoreConfig};
use heartbeat_core::{Analyzer, Error, Result, Store};
use indicatif::MultiProgress;

use crate::cli::args::{AnalyzerArgs, BusArgs, GlobalArgs, LogFormat, StoreArgs};
#[cfg(feature = "torch")]
use crate::cli::roberta;

/// The config file that is read when none is named.
const CONFIG_FILE: &str = "heartbeat.toml";

/// What every command is given.
#[derive(Debug)]
pub(crate) struct Context {
    /// The config file that was named.
    config: Option<PathBuf>,
    /// Where bars are drawn, so that log lines go above them.
    pub(crate) progress: MultiProgress,
    /// Whether a person watches it work.
    pub(crate) live: bool,
}

impl Context {
    pub(crate) fn new(global: &GlobalArgs, progress: MultiProgress) -> Self {
        Self {
            config: global.config.clone(),
            progress,
            live: !global.quiet
                && global.log_format == LogFormat::Text
                && io::stderr().is_terminal(),
        }
    }

    /// The config file that is read, if there is one.
    pub(crate) fn config_file(&self) -> Option<&Path> {
        match &self.config {
            Some(named) => Some(named),
            None => Some(Path::new(CONFIG_FILE)).filter(|file| file.exists()),
        }
    }

    /// The config file's settings, to lay flags over.
    pub(crate) fn config(&self) -> Result<Config> {
        self.config_file()
            .map_or_else(|| Ok(Config::default()), Config::read)
    }

    /// Opens the analyzer that config and flags choose, and tells a person what was loaded.
    pub(crate) async fn analyzer(&self, args: &AnalyzerArgs) -> Result<Arc<dyn Analyzer>> {
        let mut config = self.config()?;
        args.apply(&mut config)?;
        let config = config.analyzer()?;
        let address = config.to_string();
        let (analyzer, told) = self.open_analyzer(config).await?;
        if let Some(told) = told.filter(|_| self.live) {
            // When nobody listens there is nobody to tell.
            let _ = writeln!(anstream::stderr(), "{address}: {told}");
        }
        Ok(analyzer)
    }

    /// Opens the analyzer, and gives what there is to tell of it.
    pub(crate) async fn open_analyzer(
        &self,
        config: AnalyzerConfig,
    ) -> Result<(Arc<dyn Analyzer>, Option<String>)> {
        #[cfg(feature = "torch")]
        if let AnalyzerConfig::Roberta(config) = &config {
            let (analyzer, told) = roberta::open(config, self).await?;
            return Ok((Arc::new(analyzer), Some(told)));
        }
        Ok((backend::open_analyzer(config).await?, None))
    }

    /// The bus that config and flags choose, to look at what is there.
    pub(crate) fn bus(&self, args: &BusArgs) -> Result<BusConfig> {
        let mut config = self.config()?;
        args.apply(&mut config)?;
        #[cfg_attr(
            not(feature = "sqlite"),
            expect(unused_mut, reason = "only SQLite's is changed")
        )]
        let mut bus = lasting_bus(config.bus()?)?;
        #[cfg(feature = "sqlite")]
        if let BusConfig::Sqlite(sqlite) = &mut bus {
            sqlite.create = false;
        }
        Ok(bus)
    }

    /// Opens the store that config and flag choose, to look at what is there.
    pub(crate) async fn store(&self, args: &StoreArgs) -> Result<Arc<dyn Store>> {
        let mut config = self.config()?;
        args.apply(&mut config)?;
        #[cfg_attr(
            not(feature = "sqlite"),
            expect(unused_mut, reason = "only SQLite's is changed")
        )]
        let mut store = lasting_store(config.store()?)?;
        #[cfg(feature = "sqlite")]
        if let StoreConfig::Sqlite(sqlite) = &mut store {
            sqlite.create = false;
        }
        backend::open_store(store).await
    }
}

/// Refuses a bus that other processes cannot see.
pub(crate) fn lasting_bus(config: BusConfig) -> Result<BusConfig> {
    match config {
        BusConfig::Memory(_) => Err(Error::misconfigured(
            "a memory bus holds nothing between processes",
        )
        .hint("Choose one that lasts, such as `--bus sqlite:heartbeat.db`; `heartbeat run` can work in memory, as it is one process.")),
        lasting => Ok(lasting),
    }
}

/// Refuses a store that other processes cannot see.
pub(crate) fn lasting_store(config: StoreConfig) -> Result<StoreConfig> {
    match config {
        StoreConfig::Memory => Err(Error::misconfigured(
            "a memory store holds nothing between processes",
        )
        .hint("Choose one that lasts, such as `--store sqlite:heartbeat.db`.")),
        lasting => Ok(lasting),
    }
}
