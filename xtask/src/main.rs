//! Heartbeat's chores, run as `cargo xtask <COMMAND>` on Linux or macOS.
//!
//! What has to be fetched or built for them is kept in `~/.cache/heartbeat`, outside the checkout.

mod bench;
mod build;
mod cache;
mod check;
mod fixtures;
mod fuzz;
mod ground_truth;
mod libtorch;
mod python;
mod rivals;
mod services;
mod shell;
mod test;
mod tools;
mod tweets;

use std::{path::PathBuf, process::ExitCode};

use anyhow::Result;
use clap::Parser;

use crate::{cache::Cache, python::Python, shell::BAD, tools::SCCACHE};

/// Heartbeat's chores
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", after_help = CACHE_HELP)]
enum Command {
    Test(test::Test),
    Check(check::Check),
    Bench(bench::Bench),
    Fuzz(fuzz::Fuzz),
    /// Build the program as it is shipped, with every backend, and print where it is
    Build,
    /// Fetch a LibTorch for CPUs (Linux on x86-64; 530 MB) and print where it is
    ///
    /// The other commands find it by themselves, unless LIBTORCH or LIBTORCH_USE_PYTORCH names one of your own.
    Libtorch,
    /// Fetch 4,200 real tweets rated by people, as JSON lines, and print where they are
    ///
    /// They are those of Hutto & Gilbert, ICWSM 2014. The data has no times: tweet number n gets the n-th
    /// second of 1 June 2014 (UTC). `valence` is the mean rating, from -4 to 4.
    Tweets {
        /// Write them here instead of in the cache
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Set up a Python with vaderSentiment and print where it is
    Python,
    /// Build sccache and print where it is, for RUSTC_WRAPPER
    ///
    /// With it a fresh checkout does not compile again what another one has.
    Sccache,
}

const CACHE_HELP: &str = "What is fetched or built for these is kept in ~/.cache/heartbeat \
    (or in $XDG_CACHE_HOME/heartbeat, or in $HEARTBEAT_CACHE).";

fn main() -> ExitCode {
    match run(Command::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            anstream::eprintln!("{BAD}error{BAD:#}: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<()> {
    match command {
        Command::Test(test) => test.run(),
        Command::Check(check) => check.run(),
        Command::Bench(bench) => bench.run(),
        Command::Fuzz(fuzz) => fuzz.run(),
        Command::Build => build::run().map(drop),
        Command::Libtorch => {
            let dir = libtorch::set_up(&Cache::open()?)?;
            anstream::println!("{}", dir.display());
            Ok(())
        }
        Command::Tweets { out } => {
            let cache = Cache::open()?;
            let python = Python::set_up(&cache)?;
            let path = tweets::set_up(&cache, &python, out.as_deref())?;
            anstream::println!("{}", path.display());
            Ok(())
        }
        Command::Sccache => {
            let program = SCCACHE.set_up(&Cache::open()?)?;
            anstream::println!("{}", program.display());
            Ok(())
        }
        Command::Python => {
            let python = Python::set_up(&Cache::open()?)?;
            anstream::println!("{}", python.interpreter().display());
            Ok(())
        }
    }
}
