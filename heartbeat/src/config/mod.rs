//! What a user may set: a TOML file of five tables, and addresses laid over them.
//!
//! ```toml
//! [source]
//! kind = "jsonl"
//! path = "tweets.jsonl.gz"
//!
//! [bus]
//! kind = "sqlite"
//! path = "heartbeat.db"
//!
//! [stages]
//! batch = 500
//! ```
//!
//! Every table and every field may be left out; what is not known is refused. An address is the short
//! form of a table, `sqlite:heartbeat.db`: it sets what it names and leaves the table's other fields,
//! if the table is of the same kind.
//!
//! Secrets never stand in an address, as everybody on the machine can read a command line. A backend that
//! needs one takes it from the environment or from a file of its own.

mod address;
mod analyzer;
mod bus;
mod file;
mod names;
mod source;
mod stages;
mod store;

use std::path::Path;

use heartbeat_core::{Result, Stage, StageOptions};

pub use analyzer::AnalyzerConfig;
pub use bus::BusConfig;
pub use source::SourceConfig;
pub use stages::StagesConfig;
pub use store::StoreConfig;

/// Which backends, and how the stages work.
///
/// ```
/// use heartbeat::config::{BusConfig, Config};
///
/// let mut config = Config::parse("[bus]\nkind = 'memory'")?;
/// assert!(matches!(config.bus, Some(BusConfig::Memory(_))));
///
/// config.set_source("jsonl:tweets.jsonl")?;
/// # Ok::<(), heartbeat::Error>(())
/// ```
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Config {
    /// Where posts come from. `None`: fake ones.
    pub source: Option<SourceConfig>,
    /// What carries messages. `None`: SQLite when it is built in, else memory.
    pub bus: Option<BusConfig>,
    /// What tells the mood. `None`: VADER when it is built in, else RoBERTa.
    pub analyzer: Option<AnalyzerConfig>,
    /// Where moods are kept. `None`: SQLite when it is built in, else memory.
    pub store: Option<StoreConfig>,
    /// How the stages work.
    pub stages: StagesConfig,
}

impl Config {
    /// Reads a config file.
    ///
    /// # Errors
    /// [`ErrorKind::Misconfigured`](heartbeat_core::ErrorKind::Misconfigured) when it is not there or not
    /// right: what, in which line, and what was probably meant.
    pub fn read(path: &Path) -> Result<Self> {
        file::read(path)
    }

    /// Reads a config from the text of a file.
    ///
    /// # Errors
    /// As [`Config::read`].
    pub fn parse(text: &str) -> Result<Self> {
        file::parse(text)
    }

    /// Chooses the source by its address: `fake`, `jsonl:PATH`, `jsonl:-` for the standard input.
    ///
    /// # Errors
    /// [`ErrorKind::Misconfigured`](heartbeat_core::ErrorKind::Misconfigured) when it is none.
    pub fn set_source(&mut self, address: &str) -> Result<()> {
        address::apply(&mut self.source, address)
    }

    /// Chooses the bus by its address: `memory`, `sqlite:PATH`, `kafka:BROKERS`.
    ///
    /// # Errors
    /// [`ErrorKind::Misconfigured`](heartbeat_core::ErrorKind::Misconfigured) when it is none.
    pub fn set_bus(&mut self, address: &str) -> Result<()> {
        address::apply(&mut self.bus, address)
    }

    /// Chooses the analyzer by its address: `vader`, `roberta:MODEL`.
    ///
    /// # Errors
    /// [`ErrorKind::Misconfigured`](heartbeat_core::ErrorKind::Misconfigured) when it is none.
    pub fn set_analyzer(&mut self, address: &str) -> Result<()> {
        address::apply(&mut self.analyzer, address)
    }

    /// Chooses the store by its address: `memory`, `sqlite:PATH`, `influx:URL`.
    ///
    /// # Errors
    /// [`ErrorKind::Misconfigured`](heartbeat_core::ErrorKind::Misconfigured) when it is none.
    pub fn set_store(&mut self, address: &str) -> Result<()> {
        address::apply(&mut self.store, address)
    }

    /// The chosen source, or the default one.
    ///
    /// # Errors
    /// [`ErrorKind::Misconfigured`](heartbeat_core::ErrorKind::Misconfigured) when this build has none.
    pub fn source(&self) -> Result<SourceConfig> {
        self.source.clone().map_or_else(address::default, Ok)
    }

    /// The chosen bus, or the default one.
    ///
    /// # Errors
    /// As [`Config::source`].
    pub fn bus(&self) -> Result<BusConfig> {
        self.bus.clone().map_or_else(address::default, Ok)
    }

    /// The chosen analyzer, or the default one.
    ///
    /// # Errors
    /// As [`Config::source`].
    pub fn analyzer(&self) -> Result<AnalyzerConfig> {
        self.analyzer.clone().map_or_else(address::default, Ok)
    }

    /// The chosen store, or the default one.
    ///
    /// # Errors
    /// As [`Config::source`].
    pub fn store(&self) -> Result<StoreConfig> {
        self.store.clone().map_or_else(address::default, Ok)
    }

    /// The options of a stage: those of `stages`, and for `transfer` what suits the store.
    ///
    /// # Errors
    /// As [`StagesConfig::options`], and as [`Config::store`].
    pub fn options(&self, stage: Stage) -> Result<StageOptions> {
        let mut options = self.stages.options(stage)?;
        if stage == Stage::Transfer {
            self.store()?.suit(&mut options);
        }
        Ok(options)
    }
}
