//! What a user may set.

use std::fmt;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use heartbeat_core::{Error, Result};
use jiff::fmt::serde::unsigned_duration::friendly::compact::required as friendly;
use serde::{Deserialize, Serialize};

/// Settings of a [`RobertaAnalyzer`](crate::RobertaAnalyzer).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RobertaConfig {
    /// `small` for the model that ships with this crate, a folder in the Hub's layout, or the id of
    /// a repository on the Hub. What is a folder here is taken for one. Default: `small`.
    pub model: String,
    /// A branch, tag or commit of the repository on the Hub. Default: `main`.
    pub revision: Option<String>,
    /// Where the model runs. Default: `auto`.
    pub device: Device,
    /// How numbers are kept while it runs. Default: `fp32`.
    pub precision: Precision,
    /// How many threads of the processor share the work. Default: as many as this process may use.
    pub threads: Option<NonZeroUsize>,
    /// At most so many tokens go through the model at once. Default: 8192.
    pub batch_tokens: NonZeroUsize,
    /// At most so many tokens wait; whoever brings more waits too. Default: 16384.
    pub queue_tokens: NonZeroUsize,
    /// Where and how models are fetched.
    pub hub: HubConfig,
}

impl Default for RobertaConfig {
    fn default() -> Self {
        Self {
            model: "small".to_owned(),
            revision: None,
            device: Device::Auto,
            precision: Precision::Fp32,
            threads: None,
            batch_tokens: const { NonZeroUsize::new(8192).unwrap() },
            queue_tokens: const { NonZeroUsize::new(16_384).unwrap() },
            hub: HubConfig::default(),
        }
    }
}

/// How models are fetched from the Hub.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HubConfig {
    /// The server's address. Default: `HF_ENDPOINT`, else the Hub's own.
    pub endpoint: Option<String>,
    /// The folder where what was fetched is kept. Default: `HF_HUB_CACHE`, else `hub` in `HF_HOME`,
    /// else `huggingface/hub` in `XDG_CACHE_HOME`, else `~/.cache/huggingface/hub`.
    pub cache: Option<PathBuf>,
    /// Whether only what is in the cache is used. Default: `HF_HUB_OFFLINE`, else `false`.
    pub offline: Option<bool>,
    /// A file that holds the access token, for repositories that are private or gated; an empty file
    /// for none. Over plain http a token is sent to this machine only. Default: `HF_TOKEN` holds it,
    /// else the file that `HF_TOKEN_PATH` names, else `token` in the folder `HF_HOME`, if there is one.
    pub token_file: Option<PathBuf>,
    /// How long the server may be silent before a try counts as failed, with a unit: `500ms`, `1m`.
    /// Default: `30s`.
    #[serde(with = "friendly")]
    pub timeout: Duration,
    /// Who is told how far a transfer is. Default: nobody; the log tells its beginning and end.
    #[serde(skip)]
    pub progress: Option<Progress>,
}

impl Default for HubConfig {
    fn default() -> Self {
        Self {
            endpoint: None,
            cache: None,
            offline: None,
            token_file: None,
            timeout: Duration::from_secs(30),
            progress: None,
        }
    }
}

/// A function that is told how far the transfer of a file is: the file's name, how many of its bytes
/// are there, and how many it has.
///
/// It is called when the transfer begins (with what an earlier one left), after each piece, the last
/// time with all bytes, and again from fewer when a transfer must begin anew. Files come one after
/// another; of a file that is in the cache nothing is told. It runs inside the transfer, so it must
/// return at once.
///
/// ```
/// use heartbeat_torch::{HubConfig, Progress};
///
/// let config = HubConfig {
///     progress: Some(Progress::new(|file, done, all| eprintln!("{file}: {done} of {all} bytes"))),
///     ..HubConfig::default()
/// };
/// ```
#[derive(Clone)]
pub struct Progress(Arc<Told>);

type Told = dyn Fn(&str, u64, u64) + Send + Sync;

impl Progress {
    /// Tells `told` of every transfer.
    pub fn new(told: impl Fn(&str, u64, u64) + Send + Sync + 'static) -> Self {
        Self(Arc::new(told))
    }

    pub(crate) fn tell(&self, file: &str, done: u64, all: u64) {
        (self.0)(file, done, all);
    }
}

impl fmt::Debug for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Progress")
    }
}

/// The same function, not one that does the same.
impl PartialEq for Progress {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Progress {}

/// Where a model runs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Device {
    /// The first CUDA device where LibTorch has CUDA and finds one, else the processor.
    #[default]
    Auto,
    /// The processor.
    Cpu,
    /// The CUDA device of that number.
    Cuda(usize),
}

impl FromStr for Device {
    type Err = Error;

    /// Reads `auto`, `cpu`, `cuda` (the first) or `cuda:N`.
    fn from_str(text: &str) -> Result<Self> {
        match text {
            "auto" => Ok(Self::Auto),
            "cpu" => Ok(Self::Cpu),
            "cuda" => Ok(Self::Cuda(0)),
            _ => text
                .strip_prefix("cuda:")
                .and_then(|number| number.parse().ok())
                .map(Self::Cuda)
                .ok_or_else(|| {
                    Error::misconfigured("no such device")
                        .with("device", text)
                        .hint("Name `auto`, `cpu` or `cuda:N`.")
                }),
        }
    }
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.pad("auto"),
            Self::Cpu => f.pad("cpu"),
            Self::Cuda(number) => f.pad(&format!("cuda:{number}")),
        }
    }
}

impl TryFrom<String> for Device {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<Device> for String {
    fn from(device: Device) -> Self {
        device.to_string()
    }
}

/// How a model's numbers are kept while it runs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// 32-bit floating point: exact.
    #[default]
    Fp32,
    /// bfloat16: fast where the processor has instructions for it.
    Bf16,
    /// 8-bit integers, a scale for each output channel and each token: fastest on a processor.
    Int8,
}

impl FromStr for Precision {
    type Err = Error;

    /// Reads `fp32`, `bf16` or `int8`.
    fn from_str(text: &str) -> Result<Self> {
        match text {
            "fp32" => Ok(Self::Fp32),
            "bf16" => Ok(Self::Bf16),
            "int8" => Ok(Self::Int8),
            _ => Err(Error::misconfigured("no such precision")
                .with("precision", text)
                .hint("Name `fp32`, `bf16` or `int8`.")),
        }
    }
}

impl fmt::Display for Precision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Fp32 => "fp32",
            Self::Bf16 => "bf16",
            Self::Int8 => "int8",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_setting_of_the_hub_may_be_left_out_and_none_may_be_unknown() {
        let empty: HubConfig = toml::from_str("").unwrap();
        assert_eq!(empty, HubConfig::default());

        let some: HubConfig = toml::from_str("offline = true\ntimeout = '500ms'").unwrap();
        assert_eq!(some.offline, Some(true));
        assert_eq!(some.timeout, Duration::from_millis(500));

        // The token itself is no setting: it would stand in a file that is shown around.
        for unknown in ["token = 'x'", "progress = 'x'", "timeout = '-1s'"] {
            toml::from_str::<HubConfig>(unknown).unwrap_err();
        }
    }
}
