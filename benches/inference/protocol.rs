//! The engine's side of how bench and engine talk: as told in `xtask/python/rivals/protocol.py`.

use std::error::Error;
use std::io::{BufRead, Write, stdin, stdout};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

pub(crate) type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// What is loaded with a setting.
pub(crate) trait Engine {
    /// Scores all texts.
    fn once(&mut self) -> Result<Pass>;

    /// Scores each text by itself, after so much rest, and tells the seconds of each.
    fn lone(&mut self, pause: Duration) -> Result<Vec<f64>>;
}

/// All texts scored once.
#[derive(Debug, Serialize)]
pub(crate) struct Pass {
    pub(crate) seconds: f64,
    /// Negative, neutral, positive of each text.
    pub(crate) probabilities: Vec<[f32; 3]>,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Request {
    Load(usize),
    Pass(()),
    Lone(f64),
}

/// Answers until stdin ends.
pub(crate) fn serve<E: Engine>(
    engine: &str,
    settings: &[Value],
    load: impl Fn(&Value) -> Result<E>,
) -> Result<()> {
    say(&json!({ "engine": engine, "settings": settings }))?;
    let mut loaded = None;
    for line in stdin().lock().lines() {
        match (serde_json::from_str(&line?)?, &mut loaded) {
            (Request::Load(setting), _) => {
                drop(loaded.take());
                let setting = settings.get(setting).ok_or("no such setting")?;
                let started = Instant::now();
                loaded = Some(load(setting)?);
                say(&json!({ "seconds": started.elapsed().as_secs_f64() }))?;
            }
            (Request::Pass(_), Some(engine)) => say(&engine.once()?)?,
            (Request::Lone(pause), Some(engine)) => {
                let seconds = engine.lone(Duration::from_secs_f64(pause))?;
                say(&json!({ "seconds": seconds }))?;
            }
            (_, None) => return Err("nothing is loaded".into()),
        }
    }
    Ok(())
}

fn say(value: &impl Serialize) -> Result<()> {
    let mut stdout = stdout().lock();
    serde_json::to_writer(&mut stdout, value)?;
    writeln!(stdout)?;
    Ok(stdout.flush()?)
}
