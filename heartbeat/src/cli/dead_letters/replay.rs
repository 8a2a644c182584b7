//! Sending dead letters on their way again.

use std::collections::HashSet;
use std::fmt;
use std::ops::AddAssign;

use heartbeat_core::{
    Batch, Bus, DeadLetter, Envelope, Error, ErrorKind, Message, Output, Payload, PostParser,
    Rejected, Result, Stage, Topic, header,
};
use tracing::{info, warn};

use super::letter::{Place, input_line};
use super::read::{Ends, GROUP, Reader, patiently};

/// Which dead letters.
#[derive(Debug)]
pub(super) enum Selection {
    All,
    Stage(Stage),
    Places(HashSet<Place>),
}

impl Selection {
    pub(super) fn has(&self, message: &Message) -> bool {
        match self {
            Self::All => true,
            Self::Stage(stage) => {
                DeadLetter::from_message(message).is_ok_and(|letter| letter.stage == *stage)
            }
            Self::Places(places) => places.contains(&Place::of(message)),
        }
    }
}

/// What becomes of one dead letter.
#[derive(Debug)]
pub(super) enum Fate {
    /// It goes where it was to go: one message, or the tweets of its line.
    Replayed(Vec<Output>),
    /// It was not asked for.
    Kept(Output),
    /// It still fails, for this reason.
    Failed(Output, Error),
}

/// How many came to which fate.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) replayed: u64,
    pub(super) kept: u64,
    pub(super) failed: u64,
}

impl Tally {
    /// Counts one dead letter.
    pub(super) fn count(&mut self, fate: &Fate) {
        match fate {
            Fate::Replayed(_) => self.replayed += 1,
            Fate::Kept(_) => self.kept += 1,
            Fate::Failed(..) => self.failed += 1,
        }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            replayed,
            kept,
            failed,
        } = self;
        let letters = if *replayed == 1 { "letter" } else { "letters" };
        write!(
            f,
            "{replayed} dead {letters}, {failed} failed again, {kept} kept"
        )
    }
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.replayed += other.replayed;
        self.kept += other.kept;
        self.failed += other.failed;
    }
}

/// Replays a selection.
#[derive(Debug)]
pub(super) struct Replay {
    pub(super) selection: Selection,
    pub(super) parser: PostParser,
}

impl Replay {
    /// What becomes of the dead letter in `message`.
    pub(super) fn fate(&self, message: Message) -> Fate {
        if !self.selection.has(&message) {
            return Fate::Kept(again(message));
        }
        match DeadLetter::from_message(&message) {
            Err(error) => Fate::Failed(again(message), error),
            Ok(letter) if letter.stage != Stage::Ingest => Fate::Replayed(vec![letter.replay()]),
            Ok(letter) => match input_line(&letter) {
                Some(line) => self.read_again(&letter, line),
                None => Fate::Failed(
                    again(message),
                    Error::invalid("the tweet was too large for the bus and is cut short"),
                ),
            },
        }
    }

    /// Reads a line of the source again.
    fn read_again(&self, letter: &DeadLetter, line: u64) -> Fate {
        let raw = match &letter.envelope.payload {
            Payload::Raw { bytes, .. } => bytes.clone(),
            Payload::Avro { datum, .. } => datum.clone(),
            Payload::Tombstone => Default::default(),
        };
        let tweets = self.parser.parse(&raw).and_then(|tweets| {
            let output = |envelope: Envelope| Output {
                topic: letter.topic.clone(),
                envelope,
            };
            tweets
                .iter()
                .map(|tweet| tweet.to_envelope().map(output))
                .collect()
        });
        match tweets {
            Ok(tweets) => Fate::Replayed(tweets),
            Err(error) => {
                let rejected = Rejected {
                    raw,
                    line,
                    error: error.clone(),
                };
                let dead = DeadLetter {
                    replays: letter.replays.saturating_add(1),
                    ..DeadLetter::of_input(&letter.reader, &letter.topic, rejected)
                };
                Fate::Failed(dead.into_output(), error)
            }
        }
    }

    /// Replays what lies before `ends` in a topic, batch by batch.
    ///
    /// A batch's messages are published in the same atomic step that moves the group past its dead
    /// letters. A topic can only be passed in order, so those that stay are put behind its end.
    pub(super) async fn run(&self, bus: &dyn Bus, topic: &Topic, ends: Ends) -> Result<Tally> {
        let mut tally = Tally::default();
        if ends.is_empty() {
            return Ok(tally);
        }
        let mut reader = Reader::open(bus, topic).await?;
        let result = self.pass(&mut reader, ends, &mut tally).await;
        reader.close().await;
        result.map(|()| tally)
    }

    async fn pass(&self, reader: &mut Reader<'_>, ends: Ends, tally: &mut Tally) -> Result<()> {
        let mut ahead = ends.clone();
        while !ahead.is_empty() {
            let Some(Batch {
                messages,
                checkpoint,
            }) = reader.next(|_| false).await?
            else {
                break;
            };
            let mut work = Work::default();
            for message in messages {
                let before = |end: &i64| message.offset < *end;
                if ends.get(&message.partition).is_some_and(before) {
                    let place = Place::of(&message);
                    work.add(&place, self.fate(message));
                } else {
                    // Came later, or was put there by this run.
                    work.outputs.push(again(message));
                }
            }
            loop {
                let commit = patiently("commit", async || {
                    let subscription = reader.subscription();
                    subscription.commit(&checkpoint, &work.outputs).await
                });
                match commit.await {
                    Ok(()) => {
                        *tally += work.tally;
                        for (partition, span) in &checkpoint.spans {
                            if ends.get(partition).is_some_and(|end| span.end >= *end) {
                                ahead.remove(partition);
                            }
                        }
                        break;
                    }
                    Err(error) if error.kind() == ErrorKind::Rebalanced => {
                        info!(error = error.report(), "A partition moved: polls again.");
                        break;
                    }
                    Err(error) => work.bury(error)?,
                }
            }
        }
        Ok(())
    }
}

/// What one batch comes to.
#[derive(Debug, Default)]
struct Work {
    outputs: Vec<Output>,
    tally: Tally,
    /// The outputs that the bus has refused once.
    cut: HashSet<usize>,
}

impl Work {
    fn add(&mut self, place: &Place, fate: Fate) {
        self.tally.count(&fate);
        match fate {
            Fate::Replayed(outputs) => self.outputs.extend(outputs),
            Fate::Kept(output) => self.outputs.push(output),
            Fate::Failed(output, error) => {
                warn!(id = %place, error = error.report(), "A dead letter fails again.");
                self.outputs.push(output);
            }
        }
    }

    /// Replaces the output that `error` names by its dead letter, cut short.
    ///
    /// # Errors
    /// `error` itself when it names none, or one that was cut before.
    fn bury(&mut self, error: Error) -> Result<()> {
        let index = match error.item() {
            Some(index) if error.kind() == ErrorKind::Invalid && self.cut.insert(index) => index,
            _ => return Err(error),
        };
        let Some(output) = self.outputs.get_mut(index) else {
            return Err(error);
        };
        // What is a dead letter already was not to be replayed.
        if output.envelope.headers.get(header::STAGE).is_none() {
            self.tally.replayed = self.tally.replayed.saturating_sub(1);
            self.tally.failed += 1;
        }
        *output = DeadLetter::of_output(Stage::Ingest, GROUP, output.clone(), &error).into_output();
        Ok(())
    }
}

/// The message as it is, to be put behind the others.
fn again(message: Message) -> Output {
    Output {
        topic: message.topic,
        envelope: message.envelope,
    }
}
