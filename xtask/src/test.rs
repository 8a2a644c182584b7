//! `cargo xtask test`

use anyhow::Result;

use crate::{
    cache::Cache,
    fixtures::Fixtures,
    libtorch,
    services::{self, Shared},
    shell::tell_and_run,
};

/// Set up what the tests need and run all of them
#[derive(Debug, clap::Args)]
pub(crate) struct Test {
    /// How many times each kill test ends the pipeline at a random moment
    #[arg(long, value_name = "COUNT", default_value_t = 50)]
    kills: u32,
    /// Given to `cargo test` in place of `--workspace`, such as `-p heartbeat-core`
    #[arg(last = true)]
    args: Vec<String>,
}

impl Test {
    pub(crate) fn run(&self) -> Result<()> {
        let fixtures = Fixtures::set_up()?;
        let services = services::set_up(&Cache::open()?)?;
        let mut test = libtorch::cargo()?;
        test.args(["test", "--all-features", "--locked", "--no-fail-fast"])
            .env("HEARTBEAT_KILLS", self.kills.to_string());
        if self.args.is_empty() {
            test.arg("--workspace");
        }
        test.args(&self.args);
        fixtures.tell(&mut test);
        services.tell(&mut test);
        let shared = Shared::start(&services)?;
        shared.tell(&mut test);
        tell_and_run(&mut test)
    }
}
