//! `cargo xtask bench`

use anyhow::Result;

use crate::{build, fixtures::Fixtures, libtorch, rivals, shell::tell_and_run};

/// Measure speed: all benches, or one
#[derive(Debug, clap::Args)]
pub(crate) struct Bench {
    /// A bench target: `codec`, `bus`, `stages`, `vader` (which compares with Python's package), `inference`
    /// (which compares RoBERTa with other engines) or `pipeline` (a million tweets through the program)
    name: Option<String>,
    /// Given to the bench itself, such as a filter
    #[arg(last = true)]
    args: Vec<String>,
}

impl Bench {
    pub(crate) fn run(&self) -> Result<()> {
        let fixtures = Fixtures::set_up()?;
        let program = build::run()?;
        let mut bench = libtorch::cargo()?;
        bench.args(["bench", "--package", "heartbeat-benches"]);
        bench.args(["--all-features", "--locked"]);
        if let Some(name) = &self.name {
            bench.args(["--bench", name]);
        }
        bench.arg("--").args(&self.args);
        fixtures.tell(&mut bench);
        if self.name.as_ref().is_none_or(|name| name == "inference") {
            rivals::set_up(&mut bench)?;
        }
        bench.env("HEARTBEAT_PROGRAM", program);
        tell_and_run(&mut bench)
    }
}
