//! A model that is made anew when it panics.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use heartbeat_core::{Error, Result};
use metrics::counter;
use tracing::{error, warn};

use super::Model;

/// So many panics with no success between them are taken for the model's fault, not the texts'.
const PANICS: u32 = 4;

/// A model, or why there is none any more.
pub(super) struct Engine<M> {
    make: Box<dyn FnMut() -> Result<M>>,
    model: Result<M>,
    /// How many panics there were since the last success.
    panics: u32,
}

/// Why a batch has no scores.
pub(super) enum Failure {
    /// The model said so.
    Refused(Error),
    /// The model panicked at it, and there is a new one.
    Panicked(Error),
    /// There is no model, now or later.
    Lost(Error),
}

impl<M: Model> Engine<M> {
    /// Makes the model.
    pub(super) fn start(mut make: impl FnMut() -> Result<M> + 'static) -> Result<Self> {
        Ok(Self {
            model: Ok(made(&mut make)?),
            make: Box::new(make),
            panics: 0,
        })
    }

    /// Scores `texts`: as many scores, in their order.
    pub(super) fn score(&mut self, texts: &[&[u32]]) -> Result<Vec<[f32; 3]>, Failure> {
        let model = match &self.model {
            Ok(model) => model,
            Err(lost) => return Err(Failure::Lost(lost.clone())),
        };
        match guarded(|| model.score(texts)) {
            Ok(Ok(scores)) if scores.len() == texts.len() => {
                self.panics = 0;
                Ok(scores)
            }
            Ok(Ok(scores)) => Err(Failure::Refused(
                Error::internal("the model gave another number of scores than it was given texts")
                    .with("texts", texts.len())
                    .with("scores", scores.len()),
            )),
            Ok(Err(error)) => Err(Failure::Refused(error)),
            Err(panic) => Err(self.restart(panic)),
        }
    }

    /// Drops the model, then makes another one: two may be more than the memory holds.
    fn restart(&mut self, panic: String) -> Failure {
        self.panics += 1;
        counter!("heartbeat_model_restarts_total").increment(1);
        warn!(panic, "The model panicked; it is loaded again.");
        let error = Error::invalid("the model panicked at this text").with("panic", &panic);
        let broken = std::mem::replace(&mut self.model, Err(error.clone()));
        // What it says while it goes adds nothing.
        let _ = guarded(|| drop(broken));

        self.model = if self.panics < PANICS {
            made(&mut self.make).map_err(|cause| {
                Error::internal("the model panicked and cannot be loaded again")
                    .with("panic", panic)
                    .caused_by(cause)
            })
        } else {
            Err(Error::internal("the model panics again and again")
                .with("times", self.panics)
                .with("panic", panic)
                .hint("Try another precision or device."))
        };
        match &self.model {
            Ok(_) => Failure::Panicked(error),
            Err(lost) => {
                error!(error = lost.report(), "The model is given up.");
                Failure::Lost(lost.clone())
            }
        }
    }
}

fn made<M>(make: &mut impl FnMut() -> Result<M>) -> Result<M> {
    guarded(make).unwrap_or_else(|panic| {
        Err(Error::internal("loading the model panicked").with("panic", panic))
    })
}

/// What `work` returns, or what it said when it panicked.
fn guarded<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    // What a panic may leave half done is dropped with the model.
    catch_unwind(AssertUnwindSafe(work)).map_err(|panic| said(&*panic).to_owned())
}

fn said(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref().map(String::as_str))
        .unwrap_or("no message")
}
