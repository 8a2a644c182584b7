//! How far a source has come, for whoever shows it.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How far a [`JsonlSource`](crate::JsonlSource) has read. A clone shows the same source.
#[derive(Debug, Clone)]
pub struct JsonlProgress {
    at: Arc<Mutex<At>>,
    total: Option<u64>,
}

#[derive(Debug, Default)]
struct At {
    bytes: u64,
    /// Which reader counts: one that was given up may go on for a moment.
    reader: u64,
}

impl JsonlProgress {
    pub(super) fn new(total: Option<u64>) -> Self {
        Self {
            at: Arc::default(),
            total,
        }
    }

    /// The bytes before the place that is read now, compressed ones when the file is compressed. The
    /// tweets that were given lie a little behind it.
    #[must_use]
    pub fn read(&self) -> u64 {
        self.lock().bytes
    }

    /// The bytes of the file when it was opened; `None` when what is read is no file.
    #[must_use]
    pub fn total(&self) -> Option<u64> {
        self.total
    }

    fn lock(&self) -> MutexGuard<'_, At> {
        // Two numbers are never half changed.
        self.at.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A reader that shows how far it is.
pub(super) struct Counted<R> {
    reader: R,
    number: u64,
    at: u64,
    progress: JsonlProgress,
}

impl<R> Counted<R> {
    /// Takes over from the reader before.
    pub(super) fn new(reader: R, progress: JsonlProgress) -> Self {
        let number = {
            let mut at = progress.lock();
            at.reader += 1;
            at.bytes = 0;
            at.reader
        };
        Self {
            reader,
            number,
            at: 0,
            progress,
        }
    }

    fn show(&mut self, bytes: u64) {
        self.at = bytes;
        let mut at = self.progress.lock();
        if at.reader == self.number {
            at.bytes = bytes;
        }
    }
}

impl Counted<File> {
    /// Goes to an offset; `false` when the file ends before it.
    pub(super) fn go_to(&mut self, offset: u64) -> io::Result<bool> {
        if self.reader.metadata()?.len() < offset {
            return Ok(false);
        }
        self.reader.seek(SeekFrom::Start(offset))?;
        self.show(offset);
        Ok(true)
    }
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let read = self.reader.read(buf)?;
        self.show(self.at + read as u64);
        Ok(read)
    }
}
