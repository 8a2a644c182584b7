//! `cargo xtask bench`

use anyhow::Result;

use crate::{
    fixtures::Fixtures,
    shell::{cargo, tell_and_run},
};

/// Measure speed: all benches, or one
#[derive(Debug, clap::Args)]
pub(crate) struct Bench {
    /// A bench target; `vader` compares with Python's package
    name: Option<String>,
    /// Given to the bench itself, such as a filter
    #[arg(last = true)]
    args: Vec<String>,
}

impl Bench {
    pub(crate) fn run(&self) -> Result<()> {
        let fixtures = Fixtures::set_up()?;
        let mut bench = cargo();
        bench.args(["bench", "--package", "heartbeat-benches", "--locked"]);
        if let Some(name) = &self.name {
            bench.args(["--bench", name]);
        }
        bench.arg("--").args(&self.args);
        fixtures.tell(&mut bench);
        tell_and_run(&mut bench)
    }
}
