//! Analyzers that do as they are told.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use heartbeat_core::{Analyzer, Error, Label, Result, Scores};

const NEUTRAL: Scores = Scores {
    neg: 0.0,
    neu: 1.0,
    pos: 0.0,
    label: Label::Neutral,
};

/// Finds every text neutral and takes no time: for measuring all the rest.
#[derive(Debug, Clone, Copy, Default)]
pub struct FreeAnalyzer;

#[async_trait]
impl Analyzer for FreeAnalyzer {
    async fn analyze(&self, texts: &[&str]) -> Result<Vec<Scores>> {
        Ok(vec![NEUTRAL; texts.len()])
    }
}

/// Looks texts up in a table.
///
/// ```
/// use heartbeat_core::{Analyzer, Scores};
/// use heartbeat_mock::TableAnalyzer;
///
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let joy = Scores::new(0.0, 0.1, 0.9)?;
/// let analyzer = TableAnalyzer::default().with("what a day", joy);
/// assert_eq!(analyzer.analyze(&["what a day"]).await?, [joy]);
/// # Ok::<_, heartbeat_core::Error>(()) }).unwrap();
/// ```
#[derive(Debug, Clone)]
pub struct TableAnalyzer {
    table: HashMap<String, Scores>,
    other: Scores,
}

impl TableAnalyzer {
    /// An empty table, and the scores of every text that is not in it.
    #[must_use]
    pub fn new(other: Scores) -> Self {
        Self {
            table: HashMap::new(),
            other,
        }
    }

    /// Adds a text.
    #[must_use]
    pub fn with(mut self, text: impl Into<String>, scores: Scores) -> Self {
        self.table.insert(text.into(), scores);
        self
    }
}

impl Default for TableAnalyzer {
    /// An empty table; every other text is neutral.
    fn default() -> Self {
        Self::new(NEUTRAL)
    }
}

#[async_trait]
impl Analyzer for TableAnalyzer {
    async fn analyze(&self, texts: &[&str]) -> Result<Vec<Scores>> {
        let scores = |text: &&str| *self.table.get(*text).unwrap_or(&self.other);
        Ok(texts.iter().map(scores).collect())
    }
}

/// Fails on demand; otherwise answers as the analyzer within.
#[derive(Debug)]
pub struct FailingAnalyzer<A> {
    inner: A,
    error: Error,
    /// Fails when one of the texts contains it.
    marker: Option<String>,
    /// How many calls still fail whatever their texts.
    calls: AtomicUsize,
}

impl<A> FailingAnalyzer<A> {
    /// Fails with `error` whenever one of the texts contains `marker`.
    pub fn on_text(inner: A, marker: impl Into<String>, error: Error) -> Self {
        Self {
            inner,
            error,
            marker: Some(marker.into()),
            calls: AtomicUsize::new(0),
        }
    }

    /// Fails with `error` in the first `calls` calls.
    pub fn first_calls(inner: A, calls: usize, error: Error) -> Self {
        Self {
            inner,
            error,
            marker: None,
            calls: AtomicUsize::new(calls),
        }
    }
}

#[async_trait]
impl<A: Analyzer> Analyzer for FailingAnalyzer<A> {
    async fn analyze(&self, texts: &[&str]) -> Result<Vec<Scores>> {
        let count_down = |calls: usize| calls.checked_sub(1);
        let early = self
            .calls
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, count_down)
            .is_ok();
        let marked = self
            .marker
            .as_ref()
            .is_some_and(|marker| texts.iter().any(|text| text.contains(marker)));
        if early || marked {
            return Err(self.error.clone());
        }
        self.inner.analyze(texts).await
    }
}

/// Takes its time, then answers as the analyzer within.
#[derive(Debug, Clone)]
pub struct SlowAnalyzer<A> {
    inner: A,
    per_call: Duration,
    per_text: Duration,
}

impl<A> SlowAnalyzer<A> {
    /// Waits so long in every call, and so long more for each of its texts.
    pub fn new(inner: A, per_call: Duration, per_text: Duration) -> Self {
        Self {
            inner,
            per_call,
            per_text,
        }
    }
}

#[async_trait]
impl<A: Analyzer> Analyzer for SlowAnalyzer<A> {
    async fn analyze(&self, texts: &[&str]) -> Result<Vec<Scores>> {
        let count = u32::try_from(texts.len()).unwrap_or(u32::MAX);
        let texts_take = self.per_text.saturating_mul(count);
        tokio::time::sleep(self.per_call.saturating_add(texts_take)).await;
        self.inner.analyze(texts).await
    }
}
