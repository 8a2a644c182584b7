//! `cargo xtask bench`

use anyhow::Result;

use crate::{
    build, cache::Cache, fixtures::Fixtures, libtorch, rivals, services, shell::tell_and_run,
};

/// Measure speed: all benches, or one
#[derive(Debug, clap::Args)]
pub(crate) struct Bench {
    /// A bench target: `codec`, `bus`, `stages`, `posts` (which compares reading posts with serde_json and Python), `vader` (which compares with Python's package), `inference`
    /// (which compares RoBERTa with other engines), `kafka` (which compares with librdkafka and Python), `influx` (which compares with
    /// the client that it is built on, Python and curl) or `pipeline` (a million tweets through the program)
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
        let runs = |bench: &str| self.name.as_ref().is_none_or(|name| name == bench);
        if runs("inference") {
            rivals::set_up(&mut bench)?;
        }
        if runs("kafka") || runs("influx") {
            services::set_up(&Cache::open()?)?.tell(&mut bench);
        }
        if runs("kafka") {
            rivals::set_up_librdkafka(&mut bench)?;
        }
        bench.env("HEARTBEAT_PROGRAM", program);
        tell_and_run(&mut bench)
    }
}
