//! Topics as people and programs read them.

use std::fmt::Write;
use std::time::Duration;

use anstyle::{AnsiColor, Style};
use heartbeat::kafka::{Difference, TopicState, Verdict};
use heartbeat_core::durations;
use serde::Serialize;

use crate::cli::escape::printable;

const GOOD: Style = AnsiColor::Green.on_default();
const BAD: Style = AnsiColor::Red.on_default();
const ODD: Style = AnsiColor::Yellow.on_default();

/// A table of topics, its first column as wide as the longest name.
pub(super) struct Table(usize);

impl Table {
    pub(super) fn new<'n>(names: impl Iterator<Item = &'n str>) -> Self {
        let widest = names.map(|name| printable(name).chars().count()).max();
        Self(widest.unwrap_or(0).max("TOPIC".len()))
    }

    pub(super) fn head(&self) -> String {
        self.columns([
            "TOPIC",
            "PARTITIONS",
            "REPLICATION",
            "MIN IN SYNC",
            "CLEANUP",
            "KEPT",
        ])
    }

    /// The row of a topic, which may be missing.
    pub(super) fn row(&self, name: &str, found: Option<&TopicState>) -> String {
        let name = printable(name);
        let Some(state) = found else {
            return self.columns([&name, "missing", "", "", "", ""]);
        };
        let insync = state.min_insync_replicas.map(|insync| insync.to_string());
        let policy = state
            .cleanup_policy
            .as_deref()
            .map_or("?".into(), printable);
        self.columns([
            &name,
            &state.partitions.to_string(),
            &state.replication.to_string(),
            insync.as_deref().unwrap_or("?"),
            &policy,
            &kept(state),
        ])
    }

    fn columns(
        &self,
        [topic, partitions, replication, insync, cleanup, kept]: [&str; 6],
    ) -> String {
        let width = self.0;
        let row = format!(
            "{topic:width$}  {partitions:<10}  {replication:<11}  {insync:<11}  {cleanup:<7}  {kept}"
        );
        row.trim_end().to_owned()
    }
}

/// How long messages are kept.
fn kept(state: &TopicState) -> String {
    match (state.cleanup_policy.as_deref(), state.retention_ms) {
        (Some("compact"), _) => "the last of each key".to_owned(),
        (_, Some(millis)) => retention(millis),
        _ => "?".to_owned(),
    }
}

/// A `retention.ms` in words.
fn retention(millis: i64) -> String {
    match u64::try_from(millis) {
        Ok(millis) => durations::written(Duration::from_millis(millis)),
        Err(_) => "for ever".to_owned(),
    }
}

/// What `create` has done about a topic.
pub(super) fn made(before: &Verdict, is_new: bool, dry: bool) -> String {
    let name = printable(&before.planned.topic);
    if is_new {
        let TopicState {
            partitions,
            replication,
            ..
        } = &before.planned;
        let verb = if dry { "would be made" } else { "made" };
        let partitions = match partitions {
            1 => "1 partition".to_owned(),
            more => format!("{more} partitions"),
        };
        let kept = kept(&before.planned);
        return format!(
            "{GOOD}✓{GOOD:#} {name}: {verb}, {partitions}, replication {replication}, keeps {kept}"
        );
    }
    if before.differences.is_empty() {
        return format!("{GOOD}✓{GOOD:#} {name}: was there");
    }
    let differences: Vec<String> = before.differences.iter().map(difference).collect();
    format!(
        "{ODD}!{ODD:#} {name}: was there, but not as planned: {}. See `heartbeat topics verify`.",
        differences.join("; ")
    )
}

/// What `verify` tells of a topic: a line, and below it each difference and what to do.
pub(super) fn verdict(verdict: &Verdict) -> String {
    let name = printable(&verdict.planned.topic);
    if verdict.is_good() {
        return format!("{GOOD}✓{GOOD:#} {name}: as planned");
    }
    let mut told = format!("{BAD}✗{BAD:#} {name}: ");
    if verdict.found.is_none() {
        told.push_str("missing\n    Run `heartbeat topics create`.");
        return told;
    }
    told.push_str("not as planned");
    let mut differences = verdict.differences.iter().peekable();
    while let Some(differs) = differences.next() {
        // Writing to a string cannot fail.
        let _ = write!(told, "\n  {}", difference(differs));
        let advice = advice(&name, differs);
        // The same advice for several is given once.
        let next = differences.peek().map(|next| self::advice(&name, next));
        if next.as_ref() != Some(&advice) {
            let _ = write!(told, "\n    {advice}");
        }
    }
    told
}

/// A difference in words, durations as people write them.
fn difference(difference: &Difference) -> String {
    let worded = |text: &str| match text.parse() {
        Ok(millis) if difference.what == "retention.ms" => retention(millis),
        _ => printable(text).into_owned(),
    };
    let what = match difference.what {
        "retention.ms" => "retention",
        what => what,
    };
    let wanted = worded(&difference.wanted);
    match &difference.is {
        Some(is) => format!("{what} is {}, not {wanted}", worded(is)),
        None => format!("{what} cannot be seen; it should be {wanted}"),
    }
}

/// What to do about a difference. Heartbeat changes no topic that is there.
fn advice(topic: &str, difference: &Difference) -> String {
    let Difference { what, is, wanted } = difference;
    match *what {
        _ if is.is_none() => {
            "Let who runs the brokers allow this user to see the topic's settings (DescribeConfigs).".to_owned()
        }
        "partitions" => format!(
            "Heartbeat cannot change it. Kafka's `kafka-topics.sh --alter --topic {topic} --partitions {wanted}` adds some: best \
             while no stage runs, as keys move to other partitions. Or plan with fewer: `partitions` in `[bus.topics]`."
        ),
        "replication" => format!(
            "Heartbeat cannot change it. Kafka's `kafka-reassign-partitions.sh` puts {topic} on more brokers. Or plan \
             with fewer: `replication` in `[bus.topics]`."
        ),
        setting => format!(
            "Heartbeat does not change it. Kafka's `kafka-configs.sh --alter --topic {topic} --add-config {setting}={wanted}` \
             does. Or change the plan: `[bus.topics]`."
        ),
    }
}

/// A topic as a JSON object.
#[derive(Debug, Serialize)]
pub(super) struct JsonTopic<'t> {
    topic: &'t str,
    exists: bool,
    partitions: Option<usize>,
    replication: Option<usize>,
    min_insync_replicas: Option<usize>,
    cleanup_policy: Option<&'t str>,
    retention_ms: Option<i64>,
}

impl<'t> JsonTopic<'t> {
    pub(super) fn new(topic: &'t str, found: Option<&'t TopicState>) -> Self {
        Self {
            topic,
            exists: found.is_some(),
            partitions: found.map(|state| state.partitions),
            replication: found.map(|state| state.replication),
            min_insync_replicas: found.and_then(|state| state.min_insync_replicas),
            cleanup_policy: found.and_then(|state| state.cleanup_policy.as_deref()),
            retention_ms: found.and_then(|state| state.retention_ms),
        }
    }
}

/// A verdict as a JSON object.
#[derive(Debug, Serialize)]
pub(super) struct JsonVerdict<'v> {
    topic: &'v str,
    ok: bool,
    #[serde(flatten)]
    verdict: &'v Verdict,
}

impl<'v> JsonVerdict<'v> {
    pub(super) fn new(verdict: &'v Verdict) -> Self {
        Self {
            topic: &verdict.planned.topic,
            ok: verdict.is_good(),
            verdict,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state() -> TopicState {
        TopicState {
            topic: "ingest".to_owned(),
            partitions: 6,
            replication: 3,
            min_insync_replicas: Some(2),
            cleanup_policy: Some("delete".to_owned()),
            retention_ms: Some(604_800_000),
        }
    }

    #[test]
    fn a_table_has_a_row_for_each_topic() {
        let table = Table::new(["ingest", "a-longer.dead"].into_iter());
        for (found, row) in [
            (
                Some(state()),
                "ingest         6           3            2            delete   7d",
            ),
            (None, "ingest         missing"),
            (
                Some(TopicState {
                    cleanup_policy: Some("compact\u{1b}".to_owned()),
                    retention_ms: Some(-1),
                    min_insync_replicas: None,
                    ..state()
                }),
                "ingest         6           3            ?            compact\\u{1b}  for ever",
            ),
        ] {
            assert_eq!(table.row("ingest", found.as_ref()), row);
        }
    }

    #[test]
    fn the_same_advice_is_given_once() {
        let hidden = |what| Difference {
            what,
            is: None,
            wanted: "1".to_owned(),
        };
        let told = verdict(&Verdict {
            planned: state(),
            found: Some(state()),
            differences: vec![hidden("min.insync.replicas"), hidden("cleanup.policy")],
        });
        assert_eq!(told.matches("cannot be seen").count(), 2, "{told}");
        assert_eq!(told.matches("DescribeConfigs").count(), 1, "{told}");
    }

    #[test]
    fn each_difference_has_advice() {
        for (what, is, wanted, words, command) in [
            (
                "partitions",
                Some("1"),
                "6",
                "partitions is 1, not 6",
                "--partitions 6",
            ),
            (
                "replication",
                Some("1"),
                "3",
                "replication is 1, not 3",
                "kafka-reassign-partitions.sh",
            ),
            (
                "retention.ms",
                Some("3600000"),
                "604800000",
                "retention is 1h, not 7d",
                "--topic ingest --add-config retention.ms=604800000",
            ),
            (
                "cleanup.policy",
                None,
                "delete",
                "cleanup.policy cannot be seen; it should be delete",
                "DescribeConfigs",
            ),
        ] {
            let differs = Difference {
                what,
                is: is.map(str::to_owned),
                wanted: wanted.to_owned(),
            };
            assert_eq!(difference(&differs), words);
            let advice = advice("ingest", &differs);
            assert!(advice.contains(command), "{advice}");
        }
    }
}
