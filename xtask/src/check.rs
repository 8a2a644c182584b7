//! `cargo xtask check`

use std::{
    env, fs,
    path::PathBuf,
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use crate::{
    cache::Cache,
    libtorch,
    python::Python,
    shell::{BAD, GOOD, cargo, cargo_of, metadata, root, step, tell_and_run},
    tools::{DENY, MACHETE},
};

/// Check format, lints, docs, dependencies, spelling and packages
#[derive(Debug, clap::Args)]
pub(crate) struct Check {
    /// Also look the dependencies up in the database of security advisories (needs the network)
    #[arg(long)]
    advisories: bool,
}

impl Check {
    /// Runs every step, whether or not one before it failed, then sums up.
    pub(crate) fn run(&self) -> Result<()> {
        let mut steps = Steps::default();
        steps.take("format", format);
        steps.take("clippy", clippy);
        steps.take("clippy, no features", clippy_without_features);
        steps.take("clippy, other workspaces", clippy_of_other_workspaces);
        steps.take("docs", docs);
        steps.take("dependencies", || self.deny());
        steps.take("unused dependencies", unused_dependencies);
        steps.take("spelling", spelling);
        steps.take("packages", packages);
        steps.sum_up()
    }

    fn deny(&self) -> Result<()> {
        let mut deny = Command::new(DENY.set_up(&Cache::open()?)?);
        deny.current_dir(root()).args([
            "--workspace",
            "--locked",
            "check",
            "--hide-inclusion-graph",
            "licenses",
            "bans",
            "sources",
        ]);
        if self.advisories {
            deny.arg("advisories");
        }
        tell_and_run(&mut deny)
    }
}

fn format() -> Result<()> {
    tell_and_run(cargo().args(["fmt", "--all", "--check"]))
}

fn clippy() -> Result<()> {
    tell_and_run(
        libtorch::cargo()?
            .args(["clippy", "--workspace", "--all-targets", "--all-features"])
            .args(["--locked", "--", "-D", "warnings"]),
    )
}

/// Each library alone and with nothing switched on, since what others switch on hides what is missing.
fn clippy_without_features() -> Result<()> {
    for library in libraries()? {
        tell_and_run(
            libtorch::cargo()?
                .args(["clippy", "--package", &library, "--lib"])
                .args(["--no-default-features", "--locked", "--", "-D", "warnings"]),
        )?;
    }
    Ok(())
}

/// Rivals of benches and the fuzz targets, which are workspaces of their own.
fn clippy_of_other_workspaces() -> Result<()> {
    for folder in ["benches/candle", "benches/librdkafka", "fuzz"] {
        tell_and_run(cargo_of(folder, "clippy")?.args(["--", "-D", "warnings"]))?;
    }
    Ok(())
}

fn docs() -> Result<()> {
    tell_and_run(
        libtorch::cargo()?
            .args([
                "doc",
                "--workspace",
                "--no-deps",
                "--all-features",
                "--locked",
            ])
            .env("RUSTDOCFLAGS", "-D warnings"),
    )
}

fn unused_dependencies() -> Result<()> {
    tell_and_run(Command::new(MACHETE.set_up(&Cache::open()?)?).current_dir(root()))
}

fn spelling() -> Result<()> {
    let typos = Python::set_up(&Cache::open()?)?.program("typos");
    tell_and_run(Command::new(typos).current_dir(root()))
}

/// Packs each crate as for the registry and builds it from that.
fn packages() -> Result<()> {
    forget_packages()?;
    let mut publish = libtorch::cargo()?;
    publish.args(["publish", "--workspace", "--dry-run", "--locked"]);
    // At work, check what is there; in CI what is there must be what is committed.
    if std::env::var_os("CI").is_none() {
        publish.arg("--allow-dirty");
    }
    tell_and_run(&mut publish)
}

/// Removes what an earlier check unpacked and built of the packages: to cargo, one of the same version is the same.
fn forget_packages() -> Result<()> {
    let home = env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| Some(env::home_dir()?.join(".cargo")));
    let sources = home.context("no home directory")?.join("registry/src");
    let mut clean = cargo();
    clean.arg("clean");
    for package in workspace()?.iter().filter(|it| it["publish"].is_null()) {
        let (Some(name), Some(version)) = (package["name"].as_str(), package["version"].as_str())
        else {
            bail!("`cargo metadata` tells no name or no version of a package");
        };
        clean.args(["--package", name]);
        let registries =
            fs::read_dir(&sources).with_context(|| format!("cannot read {}", sources.display()))?;
        for registry in registries {
            let unpacked = registry?.path().join(format!("{name}-{version}"));
            if unpacked.exists() {
                fs::remove_dir_all(&unpacked)
                    .with_context(|| format!("cannot remove {}", unpacked.display()))?;
            }
        }
    }
    tell_and_run(&mut clean)
}

/// The workspace's packages, as `cargo metadata` tells them.
fn workspace() -> Result<Vec<Value>> {
    match metadata()?["packages"].take() {
        Value::Array(packages) => Ok(packages),
        _ => bail!("`cargo metadata` tells no packages"),
    }
}

/// The workspace's packages that have a library.
fn libraries() -> Result<Vec<String>> {
    Ok(workspace()?.iter().filter_map(library).collect())
}

/// The package's name, if it has a library.
fn library(package: &Value) -> Option<String> {
    let mut targets = package["targets"].as_array()?.iter();
    let is_library = |target: &Value| target["kind"] == serde_json::json!(["lib"]);
    targets
        .any(is_library)
        .then(|| package["name"].as_str())?
        .map(Into::into)
}

/// The steps taken, each with its time and outcome.
#[derive(Debug, Default)]
struct Steps(Vec<(&'static str, Duration, Result<()>)>);

impl Steps {
    fn take(&mut self, name: &'static str, work: impl FnOnce() -> Result<()>) {
        step(format_args!("== {name}"));
        let start = Instant::now();
        let outcome = work();
        self.0.push((name, start.elapsed(), outcome));
    }

    /// # Errors
    /// One of the steps failed.
    fn sum_up(self) -> Result<()> {
        anstream::println!();
        let mut failed = 0;
        for (name, took, outcome) in &self.0 {
            let took = took.as_secs_f64();
            match outcome {
                Ok(()) => anstream::println!("{GOOD}✓{GOOD:#} {name:<22} {took:>6.1} s"),
                Err(error) => {
                    failed += 1;
                    anstream::println!("{BAD}✗{BAD:#} {name:<22} {took:>6.1} s  {error:#}");
                }
            }
        }
        ensure!(failed == 0, "{failed} of {} checks failed", self.0.len());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_step_that_fails_stops_no_other_but_fails_the_whole() {
        let mut taken = 0;
        let mut steps = Steps::default();
        for fails in [false, true, false] {
            steps.take("step", || {
                taken += 1;
                ensure!(!fails, "broken");
                Ok(())
            });
        }
        let error = steps.sum_up().unwrap_err();
        assert_eq!(
            (taken, error.to_string().as_str()),
            (3, "1 of 3 checks failed")
        );
    }

    #[test]
    fn only_packages_with_a_library_are_libraries() {
        let package = |kinds: &[&str]| {
            let targets: Vec<_> = kinds.iter().map(|kind| json!({ "kind": [kind] })).collect();
            library(&json!({ "name": "it", "targets": targets }))
        };
        assert_eq!(package(&["bin", "lib", "test"]), Some("it".to_owned()));
        assert_eq!(package(&["bin", "proc-macro", "custom-build"]), None);
    }
}
