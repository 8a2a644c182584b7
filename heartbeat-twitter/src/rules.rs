//! The rules by which X picks posts.

use std::collections::BTreeMap;
use std::fmt;

use heartbeat_core::{Error, Result};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::client::Client;
use crate::config::TwitterConfig;
use crate::error::{NO_RULES, Problem, SET_RULES};
use crate::settings::{Settings, token_of_environment};

/// The longest rule that X takes, in characters. Some plans have less.
const LONGEST: usize = 1024;

/// The most rules of one app.
const MOST: usize = 1000;

/// A rule of the app.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Rule {
    /// X's number for it; none as long as X does not have it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// What posts must be like, in [X's own language](https://docs.x.com/x-api/posts/filtered-stream/integrate/operators).
    pub value: String,
    /// The task of posts that match.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
}

impl Rule {
    /// The rule of a task.
    #[must_use]
    pub fn new(task: impl Into<String>, value: impl Into<String>) -> Self {
        Self {
            id: None,
            value: value.into(),
            tag: Some(task.into()),
        }
    }

    /// Whether it is of the same task and says the same.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        self.value == other.value && self.tag == other.tag
    }
}

/// What has to be done so that X has some rules and no others.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[non_exhaustive]
pub struct Change {
    /// Those that X lacks.
    pub add: Vec<Rule>,
    /// Those that X has and that are not wanted.
    pub remove: Vec<Rule>,
    /// How many stay.
    pub kept: usize,
}

impl Change {
    /// The fewest changes that make `found` into `wanted`. A rule that X has twice stays once.
    #[must_use]
    pub fn between(found: &[Rule], wanted: &[Rule]) -> Self {
        let mut change = Self {
            add: wanted.to_vec(),
            ..Self::default()
        };
        for rule in found {
            match change.add.iter().position(|wanted| wanted.is_same(rule)) {
                Some(index) => {
                    change.add.remove(index);
                    change.kept += 1;
                }
                None => change.remove.push(rule.clone()),
            }
        }
        change
    }

    /// Whether there is nothing to do.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.add.is_empty() && self.remove.is_empty()
    }
}

/// What X thinks of a rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Verdict {
    /// The rule.
    pub rule: Rule,
    /// Why it is none; nothing when it is one.
    pub problem: Option<String>,
}

/// Lists and changes the rules of the app that the access token is of.
#[derive(Debug)]
pub struct RuleAdmin {
    client: Client,
}

impl RuleAdmin {
    /// Makes ready. Nothing is asked yet.
    ///
    /// # Errors
    /// [`ErrorKind::Misconfigured`](heartbeat_core::ErrorKind::Misconfigured) when a setting cannot work.
    pub async fn connect(config: &TwitterConfig) -> Result<Self> {
        let settings = Settings::new(config, token_of_environment())?;
        let client = Client::connect(settings).await?;
        Ok(Self { client })
    }

    /// All rules, by task.
    ///
    /// # Errors
    /// [`ErrorKind::Misconfigured`](heartbeat_core::ErrorKind::Misconfigured) when X does not let the app;
    /// [`ErrorKind::Unavailable`](heartbeat_core::ErrorKind::Unavailable) while X is away or asked too often.
    pub async fn list(&self) -> Result<Vec<Rule>> {
        list(&self.client).await
    }

    /// What has to be done so that X has the config's rules.
    ///
    /// # Errors
    /// As of [`RuleAdmin::list`]; and [`ErrorKind::Misconfigured`](heartbeat_core::ErrorKind::Misconfigured) when X has no rules
    /// at all: then there is no stream.
    pub async fn compare(&self, config: &TwitterConfig) -> Result<Change> {
        compare(&self.client, config).await
    }

    /// Asks X what it thinks of rules, without setting them. In the order of the rules.
    ///
    /// # Errors
    /// As of [`RuleAdmin::list`].
    pub async fn test(&self, rules: &[Rule]) -> Result<Vec<Verdict>> {
        if rules.is_empty() {
            return Ok(Vec::new());
        }
        // A rule that X has already is none to add, and still one.
        let problems = self.send(rules, true).await?.problems();
        let verdict = |rule: &Rule| Verdict {
            rule: rule.clone(),
            problem: problems.get(&rule.value).cloned(),
        };
        Ok(rules.iter().map(verdict).collect())
    }

    /// Does what a change says. Rules are added before others are removed, so that no post is missed, unless X has no room for
    /// both; but one that only gets another tag is removed first, since X has no value twice.
    ///
    /// # Errors
    /// As of [`RuleAdmin::list`]; and [`ErrorKind::Misconfigured`](heartbeat_core::ErrorKind::Misconfigured) when a rule is none:
    /// then nothing is changed.
    pub async fn apply(&self, change: &Change) -> Result<()> {
        self.check(change).await?;
        let is_full = change.kept + change.add.len() + change.remove.len() > MOST;
        let in_the_way =
            |old: &Rule| is_full || change.add.iter().any(|new| new.value == old.value);
        let (first, last): (Vec<Rule>, Vec<Rule>) =
            change.remove.iter().cloned().partition(in_the_way);
        self.remove(&first).await?;
        self.add(&change.add).await?;
        self.remove(&last).await
    }

    /// Whether X would do what a change says.
    ///
    /// # Errors
    /// As of [`RuleAdmin::apply`].
    pub async fn check(&self, change: &Change) -> Result<()> {
        check(&change.add)?;
        let verdicts = self.test(&change.add).await?;
        match verdicts
            .into_iter()
            .find_map(|it| Some((it.rule, it.problem?)))
        {
            Some((rule, problem)) => Err(none(&rule, problem)),
            None => Ok(()),
        }
    }

    async fn add(&self, rules: &[Rule]) -> Result<()> {
        if rules.is_empty() {
            return Ok(());
        }
        let problems = self.send(rules, false).await?.problems();
        match rules
            .iter()
            .find_map(|rule| Some((rule, problems.get(&rule.value)?)))
        {
            Some((rule, problem)) => Err(none(rule, problem.clone())),
            None => Ok(()),
        }
    }

    async fn remove(&self, rules: &[Rule]) -> Result<()> {
        let ids: Vec<&String> = rules.iter().filter_map(|rule| rule.id.as_ref()).collect();
        if ids.is_empty() {
            return Ok(());
        }
        let body = json!({"delete": {"ids": ids}});
        let answer: Answer = self.client.change_rules(&body, false).await?;
        match answer.errors.first() {
            Some(problem) => Err(Error::misconfigured("X does not remove a rule")
                .with("answer", problem)
                .hint("See `heartbeat rules list`.")),
            None => Ok(()),
        }
    }

    async fn send(&self, rules: &[Rule], dry_run: bool) -> Result<Answer> {
        let add: Vec<_> = rules
            .iter()
            .map(|Rule { value, tag, .. }| json!({"value": value, "tag": tag}))
            .collect();
        Ok(self
            .client
            .change_rules(&json!({"add": add}), dry_run)
            .await?)
    }
}

/// The rules that X has.
async fn list(client: &Client) -> Result<Vec<Rule>> {
    let mut answer: Answer = client.rules().await?;
    answer
        .data
        .sort_by(|one, other| (&one.tag, &one.value).cmp(&(&other.tag, &other.value)));
    Ok(answer.data)
}

/// As [`RuleAdmin::compare`].
pub(crate) async fn compare(client: &Client, config: &TwitterConfig) -> Result<Change> {
    let found = list(client).await?;
    if found.is_empty() {
        return Err(Error::misconfigured(NO_RULES).hint(SET_RULES));
    }
    Ok(Change::between(&found, &config.wanted_rules()))
}

/// Looks for what X refuses anyhow.
fn check(rules: &[Rule]) -> Result<()> {
    if rules.len() > MOST {
        return Err(Error::misconfigured("an app has no more than 1,000 rules")
            .with("rules", rules.len())
            .hint("Put several subjects into one rule by `OR`, or fewer rules."));
    }
    let mut values: Vec<&str> = rules.iter().map(|rule| rule.value.as_str()).collect();
    values.sort_unstable();
    if let Some(twice) = values.windows(2).find(|pair| pair[0] == pair[1]) {
        return Err(
            Error::misconfigured("two tasks have one rule, and X takes it once")
                .with("rule", twice[0])
                .hint("Give one of them another rule, or both posts one task."),
        );
    }
    for rule in rules {
        let length = rule.value.chars().count();
        if length > LONGEST {
            return Err(none(
                rule,
                format!("it has {length} characters, and X takes 1,024"),
            ));
        }
    }
    Ok(())
}

fn none(rule: &Rule, problem: impl fmt::Display) -> Error {
    Error::misconfigured("X does not take a rule")
        .with("task", rule.tag.as_deref().unwrap_or_default())
        .with("rule", &rule.value)
        .with("answer", problem)
        .hint("See https://docs.x.com/x-api/posts/filtered-stream/integrate/build-a-rule, and try it by `heartbeat rules test`.")
}

/// What X answers when it is asked for rules.
#[derive(Debug, Deserialize)]
struct Answer {
    #[serde(default)]
    data: Vec<Rule>,
    // Every answer has it: what lacks it is another thing.
    #[serde(rename = "meta")]
    _meta: serde::de::IgnoredAny,
    #[serde(default)]
    errors: Vec<Problem>,
}

impl Answer {
    /// Why each rule is none. One that is there already is one.
    fn problems(&self) -> BTreeMap<String, String> {
        let problems = self.errors.iter().filter(|problem| !problem.is_duplicate());
        problems
            .filter_map(|problem| Some((problem.value.clone()?, problem.to_string())))
            .collect()
    }
}
