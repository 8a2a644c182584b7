//! The lines of a file or of standard input, in batches.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;
use std::thread;

use flate2::read::MultiGzDecoder;
use heartbeat_core::{Error, MAX_LINE, Result};
use tokio::sync::mpsc;

/// The most lines in a batch.
pub(crate) const MAX_BATCH: usize = 1000;

/// How much is read at once; with one line of [`MAX_LINE`] the most bytes in a batch.
const BUFFER: usize = 256 << 10;

/// One line.
#[derive(Debug)]
pub(crate) struct Line {
    /// From 1.
    pub(crate) number: u64,
    /// What stands in it, without its end; or why that cannot be told.
    pub(crate) text: Result<String>,
}

/// Opens a file of lines, and gives its size in bytes.
pub(crate) fn open(path: &Path) -> Result<(File, u64)> {
    let open = || {
        let file = File::open(path)?;
        let size = file.metadata()?.len();
        Ok((file, size))
    };
    open().map_err(|error: io::Error| unreadable(&path.display().to_string(), error))
}

/// Reads lines ahead on a thread of their own: each batch is what is there already, so that a lone
/// line does not wait for others. The channel ends with the input or behind its first error.
///
/// `name` is what errors call the input; one that ends in `.gz` is unpacked.
pub(crate) fn read_ahead(
    name: &str,
    input: impl Read + Send + 'static,
) -> mpsc::Receiver<Result<Vec<Line>>> {
    let (batches, receiver) = mpsc::channel(1);
    let name = name.to_owned();
    // No task of the runtime: that would wait for a read which may never end.
    thread::spawn(move || {
        let input: Box<dyn Read> = if name.ends_with(".gz") {
            Box::new(MultiGzDecoder::new(input))
        } else {
            Box::new(input)
        };
        let mut lines = Lines::new(input);
        loop {
            let batch = match lines.next_batch() {
                Ok(batch) if batch.is_empty() => return,
                Ok(batch) => Ok(batch),
                Err(error) => Err(unreadable(&name, error)),
            };
            let failed = batch.is_err();
            if batches.blocking_send(batch).is_err() || failed {
                return;
            }
        }
    });
    receiver
}

fn unreadable(name: &str, error: io::Error) -> Error {
    Error::misconfigured("cannot read the input")
        .with("file", name)
        .caused_by(error)
}

struct Lines<R> {
    reader: BufReader<R>,
    number: u64,
}

impl<R: Read> Lines<R> {
    fn new(input: R) -> Self {
        Self {
            reader: BufReader::with_capacity(BUFFER, input),
            number: 0,
        }
    }

    /// The next lines: one, waiting for it, and those that need no further reading. None at the end.
    fn next_batch(&mut self) -> io::Result<Vec<Line>> {
        let mut batch = Vec::new();
        while batch.is_empty() || (batch.len() < MAX_BATCH && self.reader.buffer().contains(&b'\n'))
        {
            match self.next_line()? {
                Some(line) => batch.push(line),
                None => break,
            }
        }
        Ok(batch)
    }

    fn next_line(&mut self) -> io::Result<Option<Line>> {
        const LONGEST_WITH_END: u64 = MAX_LINE as u64 + "\r\n".len() as u64;
        let mut bytes = Vec::new();
        (&mut self.reader)
            .take(LONGEST_WITH_END)
            .read_until(b'\n', &mut bytes)?;
        if bytes.is_empty() {
            return Ok(None);
        }
        self.number += 1;
        if self.number == 1 && bytes.starts_with("\u{feff}".as_bytes()) {
            bytes.drain(.."\u{feff}".len());
        }
        if bytes.pop_if(|last| *last == b'\n').is_some() {
            bytes.pop_if(|last| *last == b'\r');
        } else if bytes.len() > MAX_LINE {
            self.reader.skip_until(b'\n')?;
        }
        Ok(Some(Line {
            number: self.number,
            text: text(bytes).map_err(|error| error.with("line", self.number)),
        }))
    }
}

fn text(bytes: Vec<u8>) -> Result<String> {
    if bytes.len() > MAX_LINE {
        return Err(Error::invalid("the line is longer than 1 MiB"));
    }
    String::from_utf8(bytes).map_err(|error| {
        let column = error.utf8_error().valid_up_to() + 1;
        Error::invalid("the line is not UTF-8").with("column", column)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(input: &[u8]) -> Vec<std::result::Result<String, String>> {
        let mut lines = Lines::new(input);
        let mut all = Vec::new();
        loop {
            let batch = lines.next_batch().unwrap();
            if batch.is_empty() {
                return all;
            }
            for line in batch {
                assert_eq!(line.number, all.len() as u64 + 1);
                all.push(line.text.map_err(|error| error.to_string()));
            }
        }
    }

    fn good(lines: &[&str]) -> Vec<std::result::Result<String, String>> {
        lines.iter().map(|&line| Ok(line.to_owned())).collect()
    }

    #[test]
    fn lines_end_in_every_way() {
        assert_eq!(all(b""), good(&[]));
        assert_eq!(all(b"\n"), good(&[""]));
        assert_eq!(all(b"a\r\nb\n\nc"), good(&["a", "b", "", "c"]));
        assert_eq!(
            all("\u{feff}a\n\u{feff}b".as_bytes()),
            good(&["a", "\u{feff}b"])
        );
    }

    #[test]
    fn a_line_that_is_no_text_is_told_and_the_next_ones_are_read() {
        let mut input = b"a\nb\xff\n".to_vec();
        input.extend(vec![b'x'; MAX_LINE]);
        input.extend(b"\r\n");
        input.extend(vec![b'y'; MAX_LINE + 1]);
        input.push(b'\n');
        input.extend(vec![b'z'; 3 * MAX_LINE]);
        input.extend(b"\nlast");
        let lines = all(&input);
        assert_eq!(lines[0].as_deref(), Ok("a"));
        assert_eq!(
            lines[1],
            Err("the line is not UTF-8 (column 2, line 2)".into())
        );
        assert_eq!(lines[2].as_ref().map(String::len), Ok(MAX_LINE));
        for (index, number) in [(3, 4), (4, 5)] {
            let told = format!("the line is longer than 1 MiB (line {number})");
            assert_eq!(lines[index], Err(told));
        }
        assert_eq!(lines[5].as_deref(), Ok("last"));
        assert_eq!(lines.len(), 6);
    }

    /// Gives one piece a read, as a pipe does.
    struct Pieces(Vec<&'static [u8]>);

    impl Read for Pieces {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            if self.0.is_empty() {
                return Ok(0);
            }
            let piece = self.0.remove(0);
            buffer[..piece.len()].copy_from_slice(piece);
            Ok(piece.len())
        }
    }

    #[test]
    fn a_batch_is_what_is_there() {
        let mut lines = Lines::new(Pieces(vec![b"a\n", b"b\nc\nd", b"d\n"]));
        let mut sizes = Vec::new();
        while let batch @ 1.. = lines.next_batch().unwrap().len() {
            sizes.push(batch);
        }
        assert_eq!(sizes, [1, 2, 1]);

        let many = "x\n".repeat(2 * MAX_BATCH);
        assert_eq!(
            Lines::new(many.as_bytes()).next_batch().unwrap().len(),
            MAX_BATCH
        );
    }
}
