//! `heartbeat completions`

use std::process::ExitCode;

use clap::{Args, CommandFactory};
use clap_complete::Shell;
use heartbeat_core::Result;

use crate::cli::Cli;
use crate::cli::out::Out;

/// Write a shell's completion script
///
/// For bash: heartbeat completions bash > ~/.local/share/bash-completion/completions/heartbeat
#[derive(Debug, Args)]
pub(crate) struct CompletionsArgs {
    /// The shell
    shell: Shell,
}

pub(crate) fn run(args: &CompletionsArgs) -> Result<ExitCode> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "heartbeat", &mut script);
    let mut out = Out::new();
    out.line(String::from_utf8_lossy(&script).trim_end())?;
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}
