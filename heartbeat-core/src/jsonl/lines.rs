//! Cuts input into lines of bounded length.

use std::io::{self, BufRead, BufReader, Read};

use crate::jsonl::place::{Place, Walk};
use crate::post::MAX_LINE;

/// How much is read at once.
const BUFFER: usize = 64 << 10;

/// What is kept of a line that is too long.
const KEPT: usize = 4 << 10;

/// The longest line with its end, `\r\n`.
const LIMIT: usize = MAX_LINE + 2;

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// The lines of an input.
pub(super) struct Lines {
    reader: BufReader<Box<dyn Read + Send>>,
    walk: Walk,
    line: Vec<u8>,
}

/// One line.
pub(super) struct Line<'a> {
    /// Its bytes without its end; of a line over [`MAX_LINE`] only the beginning.
    pub(super) bytes: &'a [u8],
    /// How many bytes it has; of a line over the limit a `\r` before its end counts.
    pub(super) length: usize,
    /// Whether a line end follows it, or the input's end.
    pub(super) ended: bool,
}

impl Lines {
    /// The lines of a reader that stands where `walk` has come to.
    pub(super) fn new(reader: impl Read + Send + 'static, walk: Walk) -> Self {
        Self {
            reader: BufReader::with_capacity(BUFFER, Box::new(reader)),
            walk,
            line: Vec::new(),
        }
    }

    /// The next line; `None` at the input's end.
    pub(super) fn next(&mut self) -> io::Result<Option<Line<'_>>> {
        self.line.clear();
        let mut length = read_until_end(&mut self.reader, LIMIT, &mut self.line)?;
        if length == 0 {
            return Ok(None);
        }
        let mut ended = self.line.ends_with(b"\n");
        let whole = ended || length < LIMIT;
        if !whole {
            self.line.truncate(KEPT);
            let mut rest = Vec::new();
            while !ended {
                rest.clear();
                match read_until_end(&mut self.reader, BUFFER, &mut rest)? {
                    0 => break,
                    more => length += more,
                }
                ended = rest.ends_with(b"\n");
            }
        }

        let first = self.walk.place().offset == 0;
        self.walk.pass(&self.line, length as u64, ended.into());
        let mut bytes = self.line.strip_suffix(b"\n").unwrap_or(&self.line);
        bytes = bytes.strip_suffix(b"\r").unwrap_or(bytes);
        if first {
            bytes = bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(bytes);
        }
        let length = if whole {
            bytes.len()
        } else {
            length - usize::from(ended)
        };
        if length > MAX_LINE {
            bytes = &bytes[..bytes.len().min(KEPT)];
        }
        Ok(Some(Line {
            bytes,
            length,
            ended,
        }))
    }

    /// Whether the next line can be had without waiting for input.
    pub(super) fn has_next_at_hand(&self) -> bool {
        self.reader.buffer().contains(&b'\n')
    }

    /// The place behind the last line.
    pub(super) fn place(&self) -> Place {
        self.walk.place()
    }

    /// What was read of the line at which reading failed.
    pub(super) fn fragment(&self) -> &[u8] {
        &self.line
    }
}

/// Reads up to and with the next line end, but at most `most` bytes.
fn read_until_end(reader: &mut impl BufRead, most: usize, into: &mut Vec<u8>) -> io::Result<usize> {
    reader.take(most as u64).read_until(b'\n', into)
}
