//! The program at work.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::time::sleep;

/// So long a process may take to end once it was told to: its stages' time to drain, and some for the rest.
const END: Duration = Duration::from_secs(30);

/// A running `heartbeat`, killed when dropped. Its log goes to the end of a file, which keeps those of earlier runs.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    log: PathBuf,
    /// Where this run begins in the log.
    log_start: usize,
    out: PathBuf,
}

impl Process {
    /// Starts it in `dir` with its config in `NAME.toml`, its log in `NAME.log` and what it writes in `NAME.out`.
    pub(crate) fn start(dir: &Path, name: &str, args: &[&str]) -> Self {
        let file = |extension| dir.join(format!("{name}.{extension}"));
        let (log, out) = (file("log"), file("out"));
        let log_start = fs::read(&log).map_or(0, |log| log.len());
        let log_file = File::options().create(true).append(true).open(&log);
        let child = Command::new(env!("CARGO_BIN_EXE_heartbeat"))
            .arg("--config")
            .arg(file("toml"))
            .args(args)
            .current_dir(dir)
            .env_clear()
            .stdin(Stdio::null())
            .stdout(File::create(&out).expect("a file"))
            .stderr(log_file.expect("a log"))
            .spawn()
            .expect("heartbeat starts");
        Self {
            child,
            log,
            log_start,
            out,
        }
    }

    /// What this run has logged.
    pub(crate) fn logged(&self) -> String {
        let log = fs::read(&self.log).unwrap_or_default();
        String::from_utf8_lossy(&log[self.log_start..]).into_owned()
    }

    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("a status").is_none()
    }

    /// Kills it as a crash would.
    pub(crate) fn kill(&mut self) {
        self.child.kill().expect("killed");
        self.child.wait().expect("ended");
    }

    /// Waits until `said` is in the log.
    pub(crate) async fn until_logged(&mut self, said: &str, patience: Duration) {
        let started = Instant::now();
        while !self.logged().contains(said) {
            assert!(
                self.is_running() && started.elapsed() < patience,
                "it does not say {said:?}:\n{}",
                self.logged()
            );
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// Tells it to stop, unless it has ended by itself; gives what it says it has done.
    pub(crate) async fn stop(mut self) -> Value {
        // One that has only just been started does not listen yet, and a SIGTERM would end it at once.
        while self.is_running() && !self.listens() {
            sleep(Duration::from_millis(20)).await;
        }
        if self.is_running() {
            let told = Command::new("kill")
                .args(["-TERM", &self.child.id().to_string()])
                .status();
            assert!(told.expect("kill runs").success());
        }
        self.end(END).await
    }

    fn listens(&self) -> bool {
        let log = self.logged();
        [
            "Reads the topic.",
            "Reads the source",
            "Goes on where",
            "Trying again",
        ]
        .iter()
        .any(|said| log.contains(said))
    }

    /// Waits for its end; gives what it says it has done, if it came to do anything.
    pub(crate) async fn end(mut self, patience: Duration) -> Value {
        let started = Instant::now();
        while self.is_running() {
            assert!(
                started.elapsed() < patience,
                "it did not end within {patience:?}:\n{}",
                self.logged()
            );
            sleep(Duration::from_millis(10)).await;
        }
        let status = self.child.wait().expect("a status");
        assert!(status.success(), "{status}:\n{}", self.logged());
        let out = fs::read_to_string(&self.out).expect("what it wrote");
        if out.is_empty() {
            return Value::Null;
        }
        serde_json::from_str(&out).expect("JSON")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
