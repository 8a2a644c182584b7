//! What the program says on its standard output.

use std::fmt::Display;
use std::io::{self, BufWriter, IsTerminal, Write};

use anstream::AutoStream;
use heartbeat_core::{Error, Result};

/// The standard output: buffered, and without colours unless it is a terminal that wants them.
#[derive(Debug)]
pub(crate) struct Out(BufWriter<AutoStream<io::Stdout>>);

impl Out {
    /// The standard output.
    pub(crate) fn new() -> Self {
        Self(BufWriter::new(anstream::stdout()))
    }

    /// Writes a line.
    pub(crate) fn line(&mut self, line: impl Display) -> Result<()> {
        writeln!(self.0, "{line}").map_err(failed)
    }

    /// Writes a value as a line of JSON.
    pub(crate) fn json(&mut self, value: &impl serde::Serialize) -> Result<()> {
        serde_json::to_writer(&mut self.0, value)
            .map_err(io::Error::from)
            .and_then(|()| self.0.write_all(b"\n"))
            .map_err(failed)
    }

    /// Hands on what is buffered. What is not handed on before the program ends may be lost.
    pub(crate) fn flush(&mut self) -> Result<()> {
        self.0.flush().map_err(failed)
    }
}

/// Whether a person reads the standard output as it is written.
pub(crate) fn is_terminal() -> bool {
    io::stdout().is_terminal()
}

/// The reader of the standard output has gone, as `head` does when it has enough.
#[derive(Debug)]
struct ReaderGone;

impl Display for ReaderGone {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("nobody reads the output any more")
    }
}

impl std::error::Error for ReaderGone {}

fn failed(error: io::Error) -> Error {
    let message = "cannot write to the standard output";
    if error.kind() == io::ErrorKind::BrokenPipe {
        Error::misconfigured(message).caused_by(ReaderGone)
    } else {
        Error::misconfigured(message).caused_by(error)
    }
}

/// Whether an error says only that nobody reads the output any more, which is no failure.
pub(crate) fn is_reader_gone(error: &Error) -> bool {
    std::error::Error::source(error).is_some_and(<dyn std::error::Error>::is::<ReaderGone>)
}
