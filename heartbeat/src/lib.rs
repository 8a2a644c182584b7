#![doc = include_str!("../README.md")]

#[cfg(feature = "config")]
pub mod backend;
#[cfg(feature = "config")]
pub mod config;

pub use heartbeat_core::*;

#[cfg(feature = "bluesky")]
#[doc(no_inline)]
pub use heartbeat_bluesky as bluesky;
#[cfg(feature = "influx")]
#[doc(no_inline)]
pub use heartbeat_influx as influx;
#[cfg(feature = "kafka")]
#[doc(no_inline)]
pub use heartbeat_kafka as kafka;
#[cfg(feature = "mock")]
#[doc(no_inline)]
pub use heartbeat_mock as mock;
#[cfg(feature = "sqlite")]
#[doc(no_inline)]
pub use heartbeat_sqlite as sqlite;
#[cfg(feature = "torch")]
#[doc(no_inline)]
pub use heartbeat_torch as torch;
#[cfg(feature = "twitter")]
#[doc(no_inline)]
pub use heartbeat_twitter as twitter;
#[cfg(feature = "vader")]
#[doc(no_inline)]
pub use heartbeat_vader as vader;
