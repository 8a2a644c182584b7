#![doc = include_str!("../README.md")]

mod analyzer;
mod bus;
mod codec;
#[cfg(feature = "conformance")]
pub mod conformance;
mod dead_letter;
pub mod durations;
mod error;
pub mod json;
#[cfg(feature = "jsonl")]
mod jsonl;
mod message;
#[cfg(feature = "mocks")]
mod mocks;
mod post;
mod preprocess;
mod record;
pub mod remote;
mod retry;
mod schema;
mod source;
mod stage;
mod store;

pub use analyzer::{Analyzer, Label, Scores};
pub use bus::{Batch, Bus, Checkpoint, Max, PartitionLag, Progress, Subscription};
pub use codec::Codec;
pub use dead_letter::{DeadLetter, header};
pub use error::{Error, ErrorKind, Result};
#[cfg(feature = "jsonl")]
pub use jsonl::{JsonlConfig, JsonlProgress, JsonlSource};
pub use message::{Envelope, Headers, Message, Output, Payload, Topic};
pub use post::{MAX_LINE, Post, PostParser, recorded};
pub use preprocess::preprocess;
pub use record::{Keyed, Record, Sentiment, Tweet, TweetId};
pub use retry::Retry;
pub use schema::Schema;
pub use source::{Inbox, Position, Raw, Received, Rejected, Seen, Source, SourceBatch};
pub use stage::{
    Counters, Idle, InFlight, Stage, StageOptions, Summary, Topics, analyze, ingest, transfer,
};
pub use store::{
    Bucket, Page, Pages, PointKey, Query, Refused, Store, WriteReport, window_seconds,
};

#[cfg(feature = "mocks")]
pub use {
    bus::MockBus, bus::MockSubscription, mocks::MockAnalyzer, source::MockSource, store::MockStore,
};
