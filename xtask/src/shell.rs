//! Running commands, and telling what is done as it goes.

use std::{
    env,
    fmt::Display,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anstyle::{AnsiColor, Style};
use anyhow::{Context, Result, ensure};
use serde_json::Value;

/// The colour of what went well.
pub(crate) const GOOD: Style = AnsiColor::Green.on_default().bold();
/// The colour of what went wrong.
pub(crate) const BAD: Style = AnsiColor::Red.on_default().bold();
const STEP: Style = AnsiColor::Cyan.on_default().bold();

/// Tells on stderr what is about to be done.
pub(crate) fn step(what: impl Display) {
    anstream::eprintln!("{STEP}>{STEP:#} {what}");
}

/// Runs `command` to its end with its output passed through.
///
/// # Errors
/// The command could not be started, or ended with anything but success; the message shows it.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let shown = show(command);
    let status = command
        .status()
        .with_context(|| format!("cannot start `{shown}`"))?;
    ensure!(status.success(), "`{shown}` failed ({status})");
    Ok(())
}

/// Tells the command itself as a step, then [`run`]s it.
pub(crate) fn tell_and_run(command: &mut Command) -> Result<()> {
    step(show(command));
    run(command)
}

/// What cargo knows of the workspace: its packages and where it builds them.
pub(crate) fn metadata() -> Result<Value> {
    let output = cargo()
        .args(["metadata", "--format-version", "1", "--no-deps"])
        .stderr(Stdio::inherit())
        .output()
        .context("cannot start cargo")?;
    ensure!(output.status.success(), "`cargo metadata` failed");
    serde_json::from_slice(&output.stdout).context("`cargo metadata` wrote no JSON")
}

/// `cargo` with a command for a folder that is a workspace of its own.
///
/// # Errors
/// Cargo does not tell where it builds.
pub(crate) fn cargo_of(folder: &str, command: &str) -> Result<Command> {
    let mut cargo = cargo();
    cargo
        .args([command, "--locked", "--manifest-path"])
        .arg(root().join(folder).join("Cargo.toml"))
        .arg("--target-dir")
        .arg(others_target()?);
    Ok(cargo)
}

/// Where cargo builds those.
///
/// # Errors
/// As of [`cargo_of`].
pub(crate) fn others_target() -> Result<PathBuf> {
    Ok(target_directory()?.join("rivals"))
}

/// Where cargo builds the workspace.
pub(crate) fn target_directory() -> Result<PathBuf> {
    let metadata = metadata()?;
    let target = metadata["target_directory"].as_str();
    target
        .map(PathBuf::from)
        .context("`cargo metadata` tells no target directory")
}

/// The cargo that started xtask, in the repository's root.
pub(crate) fn cargo() -> Command {
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(root());
    cargo
}

/// The repository's root.
pub(crate) fn root() -> &'static Path {
    let xtask = Path::new(env!("CARGO_MANIFEST_DIR"));
    xtask.parent().unwrap_or(xtask)
}

/// The command as one would type it: the program by its file name alone.
fn show(command: &Command) -> String {
    let program = Path::new(command.get_program());
    let program = program.file_name().unwrap_or(program.as_os_str());
    let words = std::iter::once(program).chain(command.get_args());
    words
        .map(|word| word.to_string_lossy())
        .collect::<Vec<_>>()
        .join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_that_fails_is_named_with_its_status() {
        let error = run(Command::new("/bin/sh").args(["-c", "exit 3"])).unwrap_err();
        assert_eq!(error.to_string(), "`sh -c exit 3` failed (exit status: 3)");
    }

    #[test]
    fn a_command_that_is_not_there_is_named() {
        let error = run(&mut Command::new("/no/such/program")).unwrap_err();
        assert_eq!(error.to_string(), "cannot start `program`");
    }
}
