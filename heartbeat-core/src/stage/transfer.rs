//! The stage that stores.

use std::sync::Arc;

use async_trait::async_trait;
use tracing::{Instrument, info_span};

use crate::bus::Bus;
use crate::dead_letter::DeadLetter;
use crate::error::{Error, Result};
use crate::message::Message;
use crate::record::{Keyed, Sentiment};
use crate::retry::Tries;
use crate::stage::pipeline::{Handled, Pipeline, Work};
use crate::stage::{Stage, StageOptions, Summary};
use crate::store::{Store, WriteReport};

/// Reads sentiments and writes them to a store.
///
/// A batch is committed when the store has it; points the store refuses become dead letters in the
/// same step. The next batch is fetched meanwhile, and written when this one is, so that of two
/// points under one key the later one stays.
///
/// Ends as [`StageOptions::idle`] says or when [`StageOptions::shutdown`] is cancelled.
///
/// # Errors
/// Any that does not pass and is no single message's fault.
pub async fn transfer(
    bus: &dyn Bus,
    store: Arc<dyn Store>,
    options: &StageOptions,
) -> Result<Summary> {
    let pipeline = Pipeline {
        stage: Stage::Transfer,
        bus,
        topic: &options.topics.sentiment,
        work: Arc::new(Transfer {
            store,
            options: options.clone(),
        }),
        one_at_a_time: true,
        options,
    };
    pipeline.run().instrument(info_span!("transfer")).await
}

struct Transfer {
    store: Arc<dyn Store>,
    options: StageOptions,
}

#[async_trait]
impl Work for Transfer {
    async fn handle(&self, messages: Vec<Message>) -> Result<Handled> {
        // Which message each point came from, and which messages are dead.
        let mut origins = Vec::with_capacity(messages.len());
        let mut points: Vec<Keyed<Sentiment>> = Vec::with_capacity(messages.len());
        let mut dead: Vec<(usize, Error)> = Vec::new();
        for (index, message) in messages.iter().enumerate() {
            match Keyed::from_message(message) {
                Ok(None) => {}
                Ok(Some(point)) => {
                    origins.push(index);
                    points.push(point);
                }
                Err(error) => dead.push((index, error)),
            }
        }
        let report = if points.is_empty() {
            WriteReport::default()
        } else {
            Tries::new("write", &self.options)
                .run(|| self.store.write(&points))
                .await?
        };
        let written = points.len() - report.refused.len();
        for refused in report.refused {
            let origin = *origins.get(refused.index).ok_or_else(|| {
                Error::internal("the store refused a point it was not given")
                    .with("index", refused.index)
            })?;
            dead.push((origin, refused.error));
        }
        dead.sort_by_key(|(index, _)| *index);

        let mut messages: Vec<Option<Message>> = messages.into_iter().map(Some).collect();
        let outputs: Vec<_> = dead
            .into_iter()
            .filter_map(|(index, error)| Some((messages[index].take()?, error)))
            .map(|(message, error)| {
                let group = &self.options.group;
                DeadLetter::of_message(Stage::Transfer, group, message, &error).into_output()
            })
            .collect();
        Ok(Handled {
            dead_letters: outputs.len(),
            outputs,
            written,
        })
    }
}
