//! The rivals of benches: a Python with their packages, some in Rust, and a model for all of `inference`.

use std::{
    env::consts,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, ensure};

use crate::{
    cache::{self, Cache},
    python::{Python, own},
    shell::{self, step},
    tweets,
};

const REQUIREMENTS: &str = "python/rivals/requirements.txt";
const PREPARE: &str = "python/rivals/prepare.py";

/// Sets up what is not there yet (7 GB) and tells the bench where it is.
///
/// # Errors
/// The packages are not for this platform, or something cannot be fetched, built or made.
pub(crate) fn set_up(bench: &mut Command) -> Result<()> {
    ensure!(
        (consts::OS, consts::ARCH) == ("linux", "x86_64"),
        "the rivals' packages are those for Linux on x86-64"
    );
    let cache = Cache::open()?;
    let tweets = tweets::set_up(&cache, &Python::set_up(&cache)?, None)?;
    let python = Python::with(&cache, "rivals", REQUIREMENTS)?;
    let model = model(&cache, &python, &tweets)?;
    bench
        .env("HEARTBEAT_RIVALS_PYTHON", python.interpreter())
        .env("HEARTBEAT_RIVALS_MODEL", model)
        .env("HEARTBEAT_RIVALS_CANDLE", candle()?);
    Ok(())
}

/// The model that all engines run, its graphs and the texts.
fn model(cache: &Cache, python: &Python, tweets: &Path) -> Result<PathBuf> {
    let _lock = cache.lock()?;
    let dir = cache.path("rivals-model");
    let recipe = fs::read(own(PREPARE))?;
    // Written last, so a folder left half made is made anew.
    let stamp = dir.join("prepare.py");
    if !fs::read(&stamp).is_ok_and(|it| it == recipe) {
        step("making the model that the rivals run");
        cache::remove(&dir)?;
        fs::create_dir(&dir).with_context(|| format!("cannot create {}", dir.display()))?;
        shell::run(
            Command::new(python.interpreter())
                .arg(own(PREPARE))
                .args([tweets, &dir])
                .env("PYTHONWARNINGS", "ignore"),
        )?;
        cache::write_whole(&stamp, &recipe)?;
    }
    Ok(dir)
}

/// Builds the rival in Rust for this very processor.
fn candle() -> Result<PathBuf> {
    let mut build = shell::cargo_of("benches/candle", "build")?;
    build
        .arg("--release")
        .env("RUSTFLAGS", "-C target-cpu=native");
    shell::tell_and_run(&mut build)?;
    Ok(shell::others_target()?.join("release/candle-rival"))
}

/// Builds the rival of `cargo xtask bench kafka` and tells the bench where it is.
///
/// # Errors
/// It cannot be built.
pub(crate) fn set_up_librdkafka(bench: &mut Command) -> Result<()> {
    shell::tell_and_run(shell::cargo_of("benches/librdkafka", "build")?.arg("--release"))?;
    let program = shell::others_target()?.join("release/librdkafka-rival");
    bench.env("HEARTBEAT_RIVALS_LIBRDKAFKA", program);
    Ok(())
}
