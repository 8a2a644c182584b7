//! The table `[stages]`.

use std::time::Duration;

use heartbeat_core::{Error, InFlight, Max, Result, Retry, Stage, StageOptions, Topic, Topics};
use jiff::fmt::serde::unsigned_duration::friendly::compact::required as friendly;
use serde::{Deserialize, Serialize};

/// How the stages work. Durations are written as people do: `500ms`, `10s`, `2 minutes`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StagesConfig {
    /// The topic of tweets. Default: `ingest`.
    pub ingest_topic: String,
    /// The topic of sentiments. Default: `sentiment`.
    pub sentiment_topic: String,
    /// What the consumer groups' names begin with: `analyze` reads as `GROUP-analyze`. Processes of
    /// one group share the work; two groups each do all of it. Default: `heartbeat`.
    pub group: String,
    /// The most messages in one batch, at least 1. Default: 1000.
    pub batch: usize,
    /// The most bytes in one batch, at least 1. Default: 4194304.
    pub batch_bytes: usize,
    /// How long a batch that is not full waits for more. Default: `0s`.
    #[serde(with = "friendly")]
    pub linger: Duration,
    /// The most messages that are worked on at once. Default: 4000.
    pub in_flight: usize,
    /// The most tokens of text that are worked on at once, one for every four bytes. Default: 1048576.
    pub in_flight_tokens: usize,
    /// How long one poll waits for messages. Default: `1s`.
    #[serde(with = "friendly")]
    pub poll_wait: Duration,
    /// How long work in flight may take to finish when heartbeat is told to stop. Default: `10s`.
    #[serde(with = "friendly")]
    pub drain: Duration,
    /// The wait after the first failure that may pass; it doubles with each. Default: `100ms`.
    #[serde(with = "friendly")]
    pub retry_first: Duration,
    /// The longest wait between two tries. Default: `30s`.
    #[serde(with = "friendly")]
    pub retry_longest: Duration,
}

impl Default for StagesConfig {
    fn default() -> Self {
        // The stages' own defaults, which are the same for each.
        let StageOptions {
            topics,
            max,
            linger,
            in_flight,
            wait,
            retry,
            drain,
            ..
        } = StageOptions::new(Stage::Analyze);
        Self {
            ingest_topic: topics.ingest.to_string(),
            sentiment_topic: topics.sentiment.to_string(),
            group: "heartbeat".to_owned(),
            batch: max.messages,
            batch_bytes: max.bytes,
            linger,
            in_flight: in_flight.messages,
            in_flight_tokens: in_flight.tokens,
            poll_wait: wait,
            drain,
            retry_first: retry.first,
            retry_longest: retry.longest,
        }
    }
}

impl StagesConfig {
    /// The two topics.
    ///
    /// # Errors
    /// [`ErrorKind::Misconfigured`](heartbeat_core::ErrorKind::Misconfigured) when a name is none a topic
    /// can have, or both are the same.
    pub fn topics(&self) -> Result<Topics> {
        if self.ingest_topic == self.sentiment_topic {
            return Err(Error::misconfigured("the two topics have the same name")
                .with("topic", &self.ingest_topic));
        }
        Ok(Topics {
            ingest: Topic::new(&self.ingest_topic)?,
            sentiment: Topic::new(&self.sentiment_topic)?,
        })
    }

    /// The consumer group that a stage reads as.
    #[must_use]
    pub fn group(&self, stage: Stage) -> String {
        format!("{}-{stage}", self.group)
    }

    /// How failures that may pass are tried again.
    #[must_use]
    pub fn retry(&self) -> Retry {
        Retry {
            first: self.retry_first,
            longest: self.retry_longest,
        }
    }

    /// The options of a stage.
    ///
    /// # Errors
    /// [`ErrorKind::Misconfigured`](heartbeat_core::ErrorKind::Misconfigured) when a setting cannot work.
    pub fn options(&self, stage: Stage) -> Result<StageOptions> {
        if self.batch == 0 || self.batch_bytes == 0 {
            return Err(
                Error::misconfigured("a batch holds at least one message and one byte")
                    .with("batch", self.batch)
                    .with("batch_bytes", self.batch_bytes),
            );
        }
        let mut options = StageOptions::new(stage);
        options.topics = self.topics()?;
        options.group = self.group(stage);
        options.max = Max {
            messages: self.batch,
            bytes: self.batch_bytes,
        };
        options.linger = self.linger;
        options.in_flight = InFlight {
            messages: self.in_flight,
            tokens: self.in_flight_tokens,
        };
        options.wait = self.poll_wait;
        options.drain = self.drain;
        options.retry = self.retry();
        Ok(options)
    }
}
