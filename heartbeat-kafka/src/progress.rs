//! Publishing what a source gave, with its position.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use heartbeat_core::{Error, Position, Progress, Result};

use crate::positions;
use crate::reader::Reader;
use crate::records::Records;
use crate::shared::{Shared, random};
use crate::transactions::{Transactions, was_fenced};

/// The longest that a process stands back for another one that publishes for the same source.
const LONGEST: Duration = Duration::from_secs(2);

/// So often one call publishes anew when another process fenced it off.
const TRIES: u32 = 5;

/// Publishes for one source. Its calls block.
///
/// All processes that read a source publish under the same transactional id, so that the last one to begin fences the
/// others off: what it then finds to be the source's position stays so until it moves it.
pub(crate) struct SourcePublisher {
    shared: Arc<Shared>,
    source: String,
    transactions: Transactions,
    reader: Option<Reader>,
    /// Where the source is; not known before the first publish, and after one that failed.
    at: Option<Option<Position>>,
    /// How many times in a row another process did.
    fenced: u32,
}

impl SourcePublisher {
    pub(crate) fn new(shared: Arc<Shared>, source: String, transactions: Transactions) -> Self {
        Self {
            shared,
            source,
            transactions,
            reader: None,
            at: None,
            fenced: 0,
        }
    }

    /// Where the source is now.
    pub(crate) fn position(&mut self) -> Result<Option<Position>> {
        let topic = self.shared.positions.clone();
        let patience = self.shared.config.request_timeout;
        let end = {
            let topic = topic.clone();
            self.shared
                .control
                .call(move |control| control.end(&topic, positions::PARTITION))
        }?;
        let reader = match self.reader.take() {
            Some(reader) => reader,
            None => self.shared.reader("heartbeat-positions")?,
        };
        // An open transaction ends by its timeout at the latest.
        let until = Instant::now() + patience.max(self.shared.config.transaction_timeout * 2);
        let position = positions::read(&reader, &topic, &self.source, end, until)?;
        // One that failed may go on asking a broker that is dead: the next call takes a new one.
        self.reader = Some(reader);
        Ok(position)
    }

    /// Publishes `records` and moves the source, unless it has been moved already.
    pub(crate) fn publish(&mut self, mut records: Records, progress: &Progress) -> Result<()> {
        records.push_position(&self.shared.positions, &self.source, &progress.to.0);
        loop {
            match self.attempt(&records, progress) {
                Err(error) if was_fenced(&error) => {
                    self.fenced += 1;
                    // The other one may have published just this: the position tells.
                    if self.fenced.is_multiple_of(TRIES) {
                        return Err(Error::unavailable(
                            "another process publishes for this source",
                        )
                        .with("source", &self.source)
                        .caused_by(error));
                    }
                }
                done => return done,
            }
        }
    }

    fn attempt(&mut self, records: &Records, progress: &Progress) -> Result<()> {
        if self.at.is_none() {
            // A look first, so that nobody is fenced off for nothing.
            let at = self.position()?;
            if self.stands(&at, progress)? {
                return Ok(());
            }
            self.stand_back();
            self.transactions.make_ready()?;
            // Whatever became of a transaction before: the position tells.
            self.at = Some(self.position()?);
        }
        let at = self.at.clone().flatten();
        if self.stands(&at, progress)? {
            return Ok(());
        }
        // Not known again before it is published.
        self.at = None;
        self.transactions.publish(records, None)?;
        self.at = Some(Some(progress.to.clone()));
        self.fenced = 0;
        Ok(())
    }

    /// Whether the source has been moved already.
    fn stands(&self, at: &Option<Position>, progress: &Progress) -> Result<bool> {
        if at.as_ref() == Some(&progress.to) {
            return Ok(true);
        }
        if *at == progress.from {
            return Ok(false);
        }
        Err(
            Error::rebalanced("the source has moved on: another process reads it")
                .with("source", &self.source),
        )
    }

    /// Lets another process come to its end, so that two do not fence each other off for ever.
    fn stand_back(&self) {
        if self.fenced > 0 {
            let most = (Duration::from_millis(50) * 2_u32.pow(self.fenced.min(6))).min(LONGEST);
            let share = u32::try_from(random() % 1000).unwrap_or(0);
            thread::sleep(most * share / 1000);
        }
    }
}
