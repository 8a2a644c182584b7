//! How far a source has come, for whoever shows it.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// How far a [`JsonlSource`](crate::JsonlSource) has read. A clone shows the same source.
#[derive(Debug, Clone)]
pub struct JsonlProgress {
    read: Arc<AtomicU64>,
    total: Option<u64>,
}

impl JsonlProgress {
    pub(super) fn new(total: Option<u64>) -> Self {
        Self {
            read: Arc::default(),
            total,
        }
    }

    /// The bytes before the place that is read now, compressed ones when the file is compressed. The
    /// tweets that were given lie a little behind it.
    #[must_use]
    pub fn read(&self) -> u64 {
        self.read.load(Ordering::Relaxed)
    }

    /// The bytes of the file when it was opened; `None` when what is read is no file.
    #[must_use]
    pub fn total(&self) -> Option<u64> {
        self.total
    }
}

/// A reader that shows how far it is.
pub(super) struct Counted<R> {
    reader: R,
    at: u64,
    progress: JsonlProgress,
}

impl<R> Counted<R> {
    pub(super) fn new(reader: R, progress: JsonlProgress) -> Self {
        let mut counted = Self {
            reader,
            at: 0,
            progress,
        };
        counted.show(0);
        counted
    }

    fn show(&mut self, at: u64) {
        self.at = at;
        self.progress.read.store(at, Ordering::Relaxed);
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
