//! The bench's side of how it talks with an engine, which is a process that stays loaded.

use std::io::{BufRead, BufReader, Lines, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::{fs, mem};

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::protocol::Result;

/// How many threads each engine may use.
pub(crate) const THREADS: usize = 2;

/// An engine that answers.
#[derive(Debug)]
pub(crate) struct Rival {
    pub(crate) name: String,
    pub(crate) settings: Vec<Value>,
    process: Child,
    requests: Option<ChildStdin>,
    answers: Lines<BufReader<ChildStdout>>,
}

/// What an engine says first.
#[derive(Deserialize)]
struct Hello {
    engine: String,
    settings: Vec<Value>,
}

/// One go through the work.
#[derive(Debug, Deserialize)]
pub(crate) struct Pass {
    pub(crate) seconds: f64,
    /// Of each text; of the engine that only multiplies, none.
    #[serde(default)]
    pub(crate) probabilities: Vec<[f64; 3]>,
    /// Of the engine that only multiplies: how many operations.
    #[serde(default)]
    pub(crate) operations: f64,
}

#[derive(Deserialize)]
struct Took<T> {
    seconds: T,
}

impl Rival {
    pub(crate) fn start(command: &mut Command) -> Result<Self> {
        let threads = THREADS.to_string();
        let mut process = command
            .env("OMP_NUM_THREADS", &threads)
            .env("OPENBLAS_NUM_THREADS", &threads)
            .env("RAYON_NUM_THREADS", &threads)
            .env("PYTHONWARNINGS", "ignore")
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .env("TRANSFORMERS_VERBOSITY", "error")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| format!("cannot start {command:?}: {error}"))?;
        let requests = process.stdin.take();
        let answers = process.stdout.take().ok_or("an engine without output")?;
        let mut rival = Self {
            name: format!("{command:?}"),
            settings: Vec::new(),
            process,
            requests,
            answers: BufReader::new(answers).lines(),
        };
        let hello: Hello = rival.answer()?;
        rival.name = hello.engine;
        rival.settings = hello.settings;
        Ok(rival)
    }

    /// Loads the model with one of the settings; tells how long it took.
    pub(crate) fn load(&mut self, setting: usize) -> Result<f64> {
        let took: Took<f64> = self.ask(&json!({ "load": setting }))?;
        Ok(took.seconds)
    }

    /// Scores all texts once.
    pub(crate) fn pass(&mut self) -> Result<Pass> {
        self.ask(&json!({ "pass": null }))
    }

    /// Scores each text by itself after so many seconds of rest; tells the seconds of each.
    pub(crate) fn lone(&mut self, pause: f64) -> Result<Vec<f64>> {
        let took: Took<Vec<f64>> = self.ask(&json!({ "lone": pause }))?;
        Ok(took.seconds)
    }

    /// The processor's ticks (a hundredth of a second, as a rule) that it has used so far.
    pub(crate) fn ticks(&self) -> Result<u64> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.process.id()))?;
        let (_, fields) = stat.rsplit_once(')').ok_or("no name in its stat")?;
        let mut fields = fields.split_whitespace().skip(11);
        let mut ticks = || fields.next().and_then(|ticks| ticks.parse::<u64>().ok());
        let (user, system) = (ticks().ok_or("no utime")?, ticks().ok_or("no stime")?);
        Ok(user + system)
    }

    /// The most memory it has had so far, in MB.
    pub(crate) fn peak(&self) -> Result<f64> {
        crate::memory::of(self.process.id(), "VmHWM:")
    }

    fn ask<T: DeserializeOwned>(&mut self, request: &Value) -> Result<T> {
        let requests = self.requests.as_mut().ok_or("it was told to end")?;
        writeln!(requests, "{request}").map_err(|_| format!("{} has ended", self.name))?;
        self.answer()
    }

    fn answer<T: DeserializeOwned>(&mut self) -> Result<T> {
        let line = self.answers.next();
        let line = line.ok_or_else(|| format!("{} has ended: see above", self.name))??;
        serde_json::from_str(&line)
            .map_err(|error| format!("{}: {error}: {line}", self.name).into())
    }
}

impl Drop for Rival {
    /// It ends when its input does.
    fn drop(&mut self) {
        drop(mem::take(&mut self.requests));
        let _ = self.process.wait();
    }
}
