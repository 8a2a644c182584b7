//! Opens a file or a stream, compressed or not.

use std::fs::{self, File};
use std::io::{self, BufReader, Cursor, ErrorKind, Read, Seek};
use std::path::{Path, PathBuf};

use flate2::bufread::MultiGzDecoder;

use crate::error::{Error, Result};
use crate::jsonl::lines::Lines;
use crate::jsonl::place::{FROM_START, Place, Walk};
use crate::jsonl::progress::{Counted, JsonlProgress};

/// What gzip begins with.
const GZIP: &[u8] = &[0x1f, 0x8b];

/// What posts are read from.
#[derive(Debug, Clone)]
pub(super) enum Input {
    Stdin,
    /// A named pipe, or whatever else cannot be read twice.
    Pipe(PathBuf),
    /// A file by its one absolute path.
    File(PathBuf),
}

impl Input {
    /// Finds out what is at a path, and its size when it is a file.
    pub(super) fn find(path: &Path) -> Result<(Self, Option<u64>)> {
        if path == Path::new("-") {
            return Ok((Self::Stdin, None));
        }
        let metadata = fs::metadata(path).map_err(|error| unreadable(path, error))?;
        if metadata.is_dir() {
            return Err(Error::misconfigured("a directory is not a file of posts")
                .with("path", path.display())
                .hint("Name a file in it."));
        }
        if !metadata.is_file() {
            return Ok((Self::Pipe(path.to_owned()), None));
        }
        let path = File::open(path)
            .and_then(|_| path.canonicalize())
            .map_err(|error| unreadable(path, error))?;
        Ok((Self::File(path), Some(metadata.len())))
    }

    /// Whether it can be read again from any place.
    pub(super) fn is_file(&self) -> bool {
        matches!(self, Self::File(_))
    }

    pub(super) fn path(&self) -> &Path {
        match self {
            Self::Stdin => Path::new("-"),
            Self::Pipe(path) | Self::File(path) => path,
        }
    }

    /// Opens it: a file at `place`, or at its beginning, and anything else where it is.
    pub(super) fn open(&self, place: Option<Place>, progress: JsonlProgress) -> Result<Lines> {
        let path = self.path();
        let opened = match (self, place) {
            (Self::Stdin, _) => from_here(Counted::new(io::stdin(), progress)),
            (Self::File(_), Some(place)) => match from_place(path, &place, progress) {
                Err(error) if is_broken_gzip(&error) => return Err(changed(path)),
                Ok(None) => return Err(changed(path)),
                Ok(Some(lines)) => Ok(lines),
                Err(error) => Err(error),
            },
            (Self::File(_) | Self::Pipe(_), _) => {
                File::open(path).and_then(|file| from_here(Counted::new(file, progress)))
            }
        };
        opened.map_err(|error| unreadable(path, error))
    }
}

/// An input that could not be opened or read.
pub(super) fn unreadable(path: &Path, error: io::Error) -> Error {
    let hint = match error.kind() {
        ErrorKind::NotFound => "Check the path; `-` is the standard input.",
        ErrorKind::PermissionDenied => "Check who may read the file.",
        _ => "Check the file and the disk it is on.",
    };
    Error::misconfigured("cannot read the file of posts")
        .with("path", path.display())
        .caused_by(error)
        .hint(hint)
}

/// Whether this is what flate2 says of compressed data that is cut short or damaged.
pub(super) fn is_broken_gzip(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::UnexpectedEof | ErrorKind::InvalidData | ErrorKind::InvalidInput
    )
}

fn changed(path: &Path) -> Error {
    Error::misconfigured("the file was replaced or cut short since it was last read")
        .with("path", path.display())
        .hint(FROM_START)
}

fn from_here(mut input: impl Read + Send + 'static) -> io::Result<Lines> {
    let mut magic = Vec::new();
    input
        .by_ref()
        .take(GZIP.len() as u64)
        .read_to_end(&mut magic)?;
    let gzip = magic == GZIP;
    let input = Cursor::new(magic).chain(input);
    Ok(if gzip {
        Lines::new(decompressed(input), Walk::default())
    } else {
        Lines::new(input, Walk::default())
    })
}

/// `None` when the file is not the one that the place is in.
fn from_place(path: &Path, place: &Place, progress: JsonlProgress) -> io::Result<Option<Lines>> {
    let mut file = File::open(path)?;
    let mut magic = Vec::new();
    file.by_ref()
        .take(GZIP.len() as u64)
        .read_to_end(&mut magic)?;
    file.rewind()?;
    let mut file = Counted::new(file, progress);
    if magic == GZIP {
        let mut input = decompressed(file);
        let Some(mut walk) = Walk::recognise(&mut input, place)? else {
            return Ok(None);
        };
        let between = place.offset - walk.place().offset;
        let passed = io::copy(&mut input.by_ref().take(between), &mut io::sink())?;
        walk.jump(place);
        Ok((passed == between).then(|| Lines::new(input, walk)))
    } else {
        let Some(mut walk) = Walk::recognise(&mut file, place)? else {
            return Ok(None);
        };
        let there = file.go_to(place.offset)?;
        walk.jump(place);
        Ok(there.then(|| Lines::new(file, walk)))
    }
}

fn decompressed<R: Read>(input: R) -> MultiGzDecoder<BufReader<R>> {
    MultiGzDecoder::new(BufReader::with_capacity(64 << 10, input))
}
