//! A service's process: its log, waiting for it, and its end.

use std::{
    fs::{self, OpenOptions},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};

/// What a cold start on a busy machine stays well below.
const PATIENCE: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(50);
/// The lines of a log that an error shows.
const LINES: usize = 30;

/// A running process, killed when dropped.
#[derive(Debug)]
pub(crate) struct Process {
    name: String,
    child: Child,
    watchdog: Option<Child>,
    log: PathBuf,
    /// Where this run begins in the log, which keeps those before.
    log_start: usize,
}

impl Process {
    /// Starts a command whose output goes to the end of the file `log`. Should this process die without dropping what it
    /// started, `dir` is removed.
    ///
    /// # Errors
    /// The command cannot be started.
    pub(crate) fn start(name: &str, command: &mut Command, log: &Path, dir: &Path) -> Result<Self> {
        let file = OpenOptions::new().create(true).append(true).open(log);
        let file = file.with_context(|| format!("cannot write {}", log.display()))?;
        let log_start = usize::try_from(file.metadata()?.len())?;
        let child = command
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file)
            .spawn()
            .with_context(|| {
                format!("cannot start {name} by {}", command.get_program().display())
            })?;
        let mut process = Self {
            name: name.into(),
            child,
            watchdog: None,
            log: log.into(),
            log_start,
        };
        process.watchdog = Some(watch(process.child.id(), dir)?);
        Ok(process)
    }

    /// Waits until `ready` says so of what this run has logged.
    ///
    /// # Errors
    /// The process ends, or is not ready after a minute. The message has the end of the log.
    pub(crate) fn wait_until(&mut self, mut ready: impl FnMut(&str) -> bool) -> Result<()> {
        let start = Instant::now();
        loop {
            if ready(&self.logged()) {
                return Ok(());
            }
            if let Some(status) = self.child.try_wait()? {
                bail!("{} ended ({status}):\n{}", self.name, self.tail());
            }
            if start.elapsed() > PATIENCE {
                bail!(
                    "{} is not ready after {PATIENCE:?}:\n{}",
                    self.name,
                    self.tail()
                );
            }
            thread::sleep(PAUSE);
        }
    }

    /// Waits for the process to end by itself, and well.
    ///
    /// # Errors
    /// It ends in another way, or not within a minute. The message has the end of the log.
    pub(crate) fn wait_for_end(mut self) -> Result<()> {
        let start = Instant::now();
        while start.elapsed() < PATIENCE {
            match self.child.try_wait()? {
                Some(status) if status.success() => return Ok(()),
                Some(status) => bail!("{} failed ({status}):\n{}", self.name, self.tail()),
                None => thread::sleep(PAUSE),
            }
        }
        bail!("{} does not end:\n{}", self.name, self.tail())
    }

    /// Kills the process as a crash would, and waits for its end.
    ///
    /// # Errors
    /// The operating system refuses.
    pub(crate) fn kill(&mut self) -> Result<()> {
        // First, since the process's number is another's after the wait.
        if let Some(mut watchdog) = self.watchdog.take() {
            watchdog.kill()?;
            watchdog.wait()?;
        }
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    fn logged(&self) -> String {
        let log = fs::read(&self.log).unwrap_or_default();
        String::from_utf8_lossy(log.get(self.log_start..).unwrap_or_default()).into_owned()
    }

    fn tail(&self) -> String {
        let log = self.logged();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(LINES)..].join("\n")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.kill();
    }
}

/// A shell that kills the process `id` and removes `dir` once the pipe to it breaks: when we die, however we do.
fn watch(id: u32, dir: &Path) -> Result<Child> {
    Command::new("sh")
        .args([
            "-c",
            r#"trap "" INT HUP TERM; read -r _; kill -9 "$1"; rm -rf "$2""#,
        ])
        .args(["watchdog", &id.to_string()])
        .arg(dir)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .context("cannot start sh")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start(dir: &Path, script: &str) -> Process {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        Process::start("it", &mut command, &dir.join("log"), dir).unwrap()
    }

    #[test]
    fn readiness_is_told_by_this_runs_log_alone() {
        let dir = tempfile::tempdir().unwrap();
        let mut first = start(dir.path(), "echo ready; sleep 60");
        first.wait_until(|log| log.contains("ready")).unwrap();
        first.kill().unwrap();
        let error = start(dir.path(), "echo oh no; exit 3").wait_until(|log| log.contains("ready"));
        assert_eq!(
            error.unwrap_err().to_string(),
            "it ended (exit status: 3):\noh no"
        );
    }

    #[test]
    fn an_error_has_the_last_lines_of_the_log() {
        let dir = tempfile::tempdir().unwrap();
        let error = start(dir.path(), "seq 100; exit 1")
            .wait_for_end()
            .unwrap_err();
        let shown = error.to_string();
        assert!(
            shown.starts_with("it failed (exit status: 1):\n71\n72\n"),
            "{shown}"
        );
        assert!(shown.ends_with("\n100"), "{shown}");
    }

    #[test]
    fn a_broken_pipe_ends_the_process_and_its_folder() {
        let root = tempfile::tempdir().unwrap();
        let dir = root.path().join("data");
        fs::create_dir(&dir).unwrap();
        let mut process = start(&dir, "sleep 60");
        let mut watchdog = process.watchdog.take().unwrap();
        drop(watchdog.stdin.take()); // as when we die
        watchdog.wait().unwrap();
        assert!(!process.child.wait().unwrap().success());
        assert!(!dir.exists());
    }
}
