//! `cargo xtask fuzz`

use std::{fs, process::Command};

use anyhow::{Result, bail};

use crate::{
    cache::Cache,
    shell::{GOOD, root, step, target_directory, tell_and_run},
    tools::FUZZ,
};

/// What is fuzzed, by the names of its binaries in `fuzz`.
const TARGETS: [&str; 2] = ["jetstream", "post"];

/// The longest input, in bytes. What is longer only takes longer.
const LONGEST: u32 = 4096;

/// Fuzz what reads the network: each parser for a minute
///
/// What is found on the way is kept, so that the next run goes on from there. An input that breaks a parser is
/// written to `fuzz/artifacts` and told.
#[derive(Debug, clap::Args)]
pub(crate) struct Fuzz {
    /// One of them: `jetstream` or `post`
    target: Option<String>,
    /// How long each takes
    #[arg(long, default_value_t = 60)]
    seconds: u32,
}

impl Fuzz {
    pub(crate) fn run(&self) -> Result<()> {
        let targets: Vec<&str> = match &self.target {
            None => TARGETS.to_vec(),
            Some(name) => match TARGETS.iter().find(|target| *target == name) {
                Some(target) => vec![target],
                None => bail!(
                    "there is no fuzz target {name}: there are {}",
                    TARGETS.join(", ")
                ),
            },
        };
        let cache = Cache::open()?;
        let program = FUZZ.set_up(&cache)?;
        for target in targets {
            let corpus = cache.path(&format!("fuzz/{target}"));
            fs::create_dir_all(&corpus)?;
            let mut fuzz = Command::new(&program);
            fuzz.current_dir(root().join("fuzz"))
                // There is no `unsafe` here for a sanitizer to find, and with one it takes a nightly compiler.
                .args(["fuzz", "run", "--sanitizer", "none", "--fuzz-dir", "."])
                .arg("--target-dir")
                .arg(target_directory()?.join("fuzz"))
                .arg(target)
                .arg(&corpus)
                .arg(format!("seeds/{target}"))
                .args(["--", "-timeout=5", "-rss_limit_mb=1024"])
                .arg(format!("-max_total_time={}", self.seconds))
                .arg(format!("-max_len={LONGEST}"));
            tell_and_run(&mut fuzz)?;
            step(format_args!(
                "{GOOD}{target}{GOOD:#}: nothing broke it in {} s",
                self.seconds
            ));
        }
        Ok(())
    }
}
