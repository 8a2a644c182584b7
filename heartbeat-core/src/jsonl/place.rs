//! Where in a file a line ends, and whether it is still the same file.

use std::io::{self, Read};

use flate2::Crc;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::source::Position;

/// How many bytes of a file's beginning tell it from another.
const HEAD: u64 = 1024;

/// What a user can do when a stored position does not fit.
pub(super) const FROM_START: &str = "Read it from its beginning with `--from-start`.";

/// A place behind a line. As JSON it is the source's [`Position`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Place {
    /// Uncompressed bytes before it.
    pub(super) offset: u64,
    /// Line ends before it. A last line without an end does not count, as the rest of it may follow.
    pub(super) line: u64,
    /// The CRC-32 of the file's first bytes: 1 KiB, or up to `offset` when that is less.
    pub(super) head: u32,
}

impl Place {
    pub(super) fn to_position(self) -> Position {
        let Self { offset, line, head } = self;
        Position(format!(
            r#"{{"offset":{offset},"line":{line},"head":{head}}}"#
        ))
    }

    pub(super) fn from_position(position: &Position) -> Result<Self> {
        serde_json::from_str(&position.0).map_err(|error| {
            Error::misconfigured("the stored position is none of a file of lines")
                .with("position", position)
                .caused_by(error)
                .hint(FROM_START)
        })
    }
}

/// Walks along a file and tells the [`Place`] it has come to.
#[derive(Default)]
pub(super) struct Walk {
    offset: u64,
    line: u64,
    head: Crc,
}

impl Walk {
    /// Reads the beginning of a file up to what a place's checksum covers; `None` when the file begins
    /// otherwise than the place has it.
    pub(super) fn recognise(file: &mut impl Read, place: &Place) -> io::Result<Option<Self>> {
        let mut head = Vec::new();
        file.take(place.offset.min(HEAD)).read_to_end(&mut head)?;
        let mut walk = Self::default();
        walk.pass(&head, head.len() as u64, 0);
        let same = walk.offset == place.offset.min(HEAD)
            && walk.head.sum() == place.head
            && place.line <= place.offset;
        Ok(same.then_some(walk))
    }

    /// Goes to a place whose beginning was recognised.
    pub(super) fn jump(&mut self, place: &Place) {
        self.offset = place.offset;
        self.line = place.line;
    }

    /// Goes on by `length` bytes with `ends` line ends in them. Of `bytes` at least the first 1 KiB
    /// must be there.
    pub(super) fn pass(&mut self, bytes: &[u8], length: u64, ends: u64) {
        let in_head = HEAD.saturating_sub(self.offset).min(bytes.len() as u64);
        // At most 1024, so the cast cannot cut.
        self.head.update(&bytes[..in_head as usize]);
        self.offset += length;
        self.line += ends;
    }

    pub(super) fn place(&self) -> Place {
        Place {
            offset: self.offset,
            line: self.line,
            head: self.head.sum(),
        }
    }
}
