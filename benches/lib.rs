//! What the benchmarks share.

use std::error::Error;
use std::fs;
use std::sync::Arc;

use async_trait::async_trait;
use heartbeat_core::{Bus, Keyed, Position, Result, Source, SourceBatch, Tweet, TweetId};
use heartbeat_mock::MemoryBus;
use heartbeat_sqlite::{SqliteBus, SqliteConfig};
use tempfile::TempDir;
use tokio::runtime::Runtime;

/// A tweet of the usual length, about 100 characters.
#[must_use]
pub fn tweet(id: i64) -> Keyed<Tweet> {
    Keyed {
        id: TweetId(id),
        value: Tweet {
            time: 1_652_073_462,
            content: format!(
                "Tweet number {id} says that the weather is lovely today and the news is not so good, all in all."
            ),
            task: "RU-UKR".into(),
        },
    }
}

/// A source of [`tweet`]s that takes next to no time.
#[derive(Debug)]
pub struct Tweets {
    next: i64,
    end: i64,
}

impl Tweets {
    /// So many tweets.
    #[must_use]
    pub fn new(end: i64) -> Self {
        Self { next: 0, end }
    }
}

#[async_trait]
impl Source for Tweets {
    fn name(&self) -> &str {
        "tweets"
    }

    async fn resume(&mut self, _from: Option<Position>) -> Result<()> {
        Ok(())
    }

    async fn next_batch(&mut self, max: usize) -> Result<Option<SourceBatch>> {
        let tweets: Vec<_> = (self.next..self.end).take(max).map(tweet).collect();
        self.next += tweets.len() as i64;
        Ok((!tweets.is_empty()).then(|| SourceBatch {
            tweets,
            ..SourceBatch::default()
        }))
    }
}

/// The buses there are.
pub const BUSES: [&str; 2] = ["memory", "sqlite"];

/// A new, empty bus, with the folder of its file if it has one.
pub async fn bus(name: &str) -> (Arc<dyn Bus>, Option<TempDir>) {
    if name == "memory" {
        return (Arc::new(MemoryBus::default()), None);
    }
    let folder = TempDir::new().expect("a temporary folder");
    let config = SqliteConfig {
        path: folder.path().join("bus.db"),
        ..SqliteConfig::default()
    };
    let bus = SqliteBus::open(config).await.expect("opens");
    (Arc::new(bus), Some(folder))
}

/// The runtime of the program: a thread for each core.
#[must_use]
pub fn runtime() -> Runtime {
    Runtime::new().expect("a runtime")
}

/// The texts of a file of posts.
///
/// # Errors
/// When it cannot be read or a line is no post.
pub fn texts(path: &str) -> std::result::Result<Vec<String>, Box<dyn Error>> {
    #[derive(serde::Deserialize)]
    struct Line {
        text: String,
    }
    std::fs::read_to_string(path)?
        .lines()
        .map(|line| Ok(serde_json::from_str::<Line>(line)?.text))
        .collect()
}

/// What Linux tells of a process's memory under that key of its status, such as `VmHWM:`, the most it has had so far;
/// in KiB.
#[must_use]
pub fn memory_kib(pid: u32, key: &str) -> Option<u32> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(key))?;
    line.trim().strip_suffix(" kB")?.trim().parse().ok()
}
