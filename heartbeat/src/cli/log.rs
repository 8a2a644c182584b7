//! Log lines on the standard error, above the bars.

use std::io::{self, Write};

use anstream::{AutoStream, ColorChoice};
use heartbeat_core::{Error, Result};
use indicatif::MultiProgress;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

use crate::cli::args::{GlobalArgs, LogFormat};

/// The variable that says exactly which log lines are written.
const FILTER: &str = "HEARTBEAT_LOG";

/// Starts logging. `usual` is what a command tells without `-v` and `-q`.
pub(crate) fn start(
    global: &GlobalArgs,
    usual: LevelFilter,
    progress: MultiProgress,
) -> Result<()> {
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter(global, usual)?)
        .with_writer(AboveBars(progress))
        .with_target(false);
    match global.log_format {
        LogFormat::Text => {
            let colours = AutoStream::choice(&io::stderr()) != ColorChoice::Never;
            subscriber.with_ansi(colours).init();
        }
        LogFormat::Json => subscriber.json().flatten_event(true).init(),
    }
    Ok(())
}

fn filter(global: &GlobalArgs, usual: LevelFilter) -> Result<EnvFilter> {
    let asked = std::env::var(FILTER).unwrap_or_default();
    if !asked.is_empty() {
        return EnvFilter::try_new(&asked).map_err(|error| {
            Error::misconfigured(format!("{FILTER} is no filter"))
                .with("value", &asked)
                .caused_by(error)
                .hint("Write it as in `info` or `heartbeat_core=debug,warn`.")
        });
    }
    let level = match (global.quiet, global.verbose) {
        (true, _) => LevelFilter::ERROR,
        (false, 0) => usual,
        (false, 1) => LevelFilter::DEBUG,
        (false, _) => LevelFilter::TRACE,
    };
    // `heartbeat` stands for all of its crates; other libraries have little to tell a user.
    Ok(EnvFilter::new(format!("error,heartbeat={level}")))
}

/// Writes to the standard error while the bars are out of the way.
struct AboveBars(MultiProgress);

impl<'a> MakeWriter<'a> for AboveBars {
    type Writer = Line<'a>;

    fn make_writer(&'a self) -> Self::Writer {
        Line(&self.0)
    }
}

/// One log line, which comes in one call.
struct Line<'a>(&'a MultiProgress);

impl Write for Line<'_> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.suspend(|| io::stderr().write(line))
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}
