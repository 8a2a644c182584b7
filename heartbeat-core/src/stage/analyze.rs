//! The stage that scores.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use async_trait::async_trait;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tracing::{Instrument, info_span};

use crate::analyzer::{Analyzer, Scores};
use crate::bus::Bus;
use crate::dead_letter::DeadLetter;
use crate::error::{Error, ErrorKind, Result};
use crate::message::{Message, Output};
use crate::record::{Keyed, Sentiment, Tweet};
use crate::retry::Tries;
use crate::stage::pipeline::{Handled, Pipeline, Work};
use crate::stage::{Stage, StageOptions, Summary};

/// Reads tweets, scores them and publishes their sentiments.
///
/// Each batch's sentiments and dead letters are published in the same atomic step that moves the
/// group past its tweets. The next batches are fetched and scored meanwhile; their order is kept.
///
/// Ends as [`StageOptions::idle`] says or when [`StageOptions::shutdown`] is cancelled.
///
/// # Errors
/// Any that does not pass and is no single message's fault.
pub async fn analyze(
    bus: &dyn Bus,
    analyzer: Arc<dyn Analyzer>,
    options: &StageOptions,
) -> Result<Summary> {
    let pipeline = Pipeline {
        stage: Stage::Analyze,
        bus,
        topic: &options.topics.ingest,
        work: Arc::new(Analyze {
            analyzer,
            options: options.clone(),
        }),
        one_at_a_time: false,
        options,
    };
    pipeline.run().instrument(info_span!("analyze")).await
}

struct Analyze {
    analyzer: Arc<dyn Analyzer>,
    options: StageOptions,
}

#[async_trait]
impl Work for Analyze {
    async fn handle(&self, messages: Vec<Message>) -> Result<Handled> {
        // One result a message; none for a tombstone.
        let tweets: Vec<Result<Option<Keyed<Tweet>>>> =
            messages.iter().map(Keyed::from_message).collect();
        let texts: Vec<&str> = tweets
            .iter()
            .filter_map(|tweet| tweet.as_ref().ok()?.as_ref())
            .map(|tweet| tweet.value.content.as_str())
            .collect();
        let mut scores = self.score(&texts).await?.into_iter();

        let mut handled = Handled::default();
        handled.outputs.reserve(messages.len());
        for (message, tweet) in messages.into_iter().zip(tweets) {
            let sentiment = match tweet {
                Ok(None) => continue,
                Ok(Some(tweet)) => scores
                    .next()
                    .unwrap_or_else(|| Err(miscounted()))
                    .and_then(|scores| self.sentiment(tweet, scores)),
                Err(error) => Err(error),
            };
            handled.outputs.push(match sentiment {
                Ok(output) => {
                    handled.written += 1;
                    output
                }
                Err(error) => {
                    handled.dead_letters += 1;
                    let group = &self.options.group;
                    DeadLetter::of_message(Stage::Analyze, group, message, &error).into_output()
                }
            });
        }
        Ok(handled)
    }
}

impl Analyze {
    fn sentiment(&self, tweet: Keyed<Tweet>, scores: Scores) -> Result<Output> {
        let sentiment = Keyed {
            id: tweet.id,
            value: Sentiment::new(tweet.value, scores),
        };
        Ok(Output {
            topic: self.options.topics.sentiment.clone(),
            envelope: sentiment.to_envelope()?,
        })
    }

    /// Scores for each text, or why that text has none. When the analyzer cannot score all of them
    /// together, halves find out which one it is.
    fn score<'a>(&'a self, texts: &'a [&'a str]) -> BoxFuture<'a, Result<Vec<Result<Scores>>>> {
        async move {
            if texts.is_empty() {
                return Ok(Vec::new());
            }
            match self.call(texts).await {
                Ok(scores) => Ok(scores.into_iter().map(Scores::checked).collect()),
                Err(error) if error.kind() != ErrorKind::Invalid => Err(error),
                Err(error) if texts.len() == 1 => Ok(vec![Err(error)]),
                Err(_) => {
                    let (left, right) = texts.split_at(texts.len() / 2);
                    let mut scores = self.score(left).await?;
                    scores.extend(self.score(right).await?);
                    Ok(scores)
                }
            }
        }
        .boxed()
    }

    /// One call of the analyzer, tried again while it may pass. A panic is the texts' fault.
    async fn call(&self, texts: &[&str]) -> Result<Vec<Scores>> {
        let scores = Tries::new("analyze", &self.options)
            .run(|| async {
                AssertUnwindSafe(self.analyzer.analyze(texts))
                    .catch_unwind()
                    .await
                    .unwrap_or_else(|_| Err(Error::invalid("the analyzer panicked at this text")))
            })
            .await?;
        if scores.len() == texts.len() {
            Ok(scores)
        } else {
            Err(miscounted()
                .with("texts", texts.len())
                .with("scores", scores.len()))
        }
    }
}

fn miscounted() -> Error {
    Error::internal("the analyzer gave another number of scores than it was given texts")
}
