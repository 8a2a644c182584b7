//! The program `heartbeat`.

mod cli;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::main()
}
