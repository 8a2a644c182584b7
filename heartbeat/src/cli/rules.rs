//! `heartbeat rules`

use std::path::PathBuf;
use std::process::ExitCode;

use anstyle::{AnsiColor, Style};
use clap::{Args, Subcommand};
use heartbeat::config::SourceConfig;
use heartbeat::twitter::{Change, Rule, RuleAdmin, TwitterConfig, Verdict};
use heartbeat_core::{Error, Result};

use crate::cli::context::Context;
use crate::cli::escape::printable;
use crate::cli::out::Out;

/// List and set the rules by which X picks posts
///
/// A rule says in X's own language what posts must be like; its tag is the task of those that match. The
/// config's `[source.rules]` has a rule for each task, and `set` makes X's equal to them. X takes new rules
/// into a running stream within some 20 seconds.
#[derive(Debug, Args)]
#[command(after_help = "\
The config:
  [source]
  kind = \"twitter\"
  [source.rules]
  RU-UKR = \"(ukraine OR kyiv) lang:en -is:retweet sample:10\"

Examples:
  export HEARTBEAT_TWITTER_TOKEN=…
  heartbeat rules test                               does X take the config's rules?
  heartbeat rules set --dry-run                      what would change
  heartbeat rules set
  heartbeat rules add CATS '(cat OR kitten) lang:en'
  heartbeat rules remove CATS")]
pub(crate) struct RulesCommand {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    List(ListArgs),
    Set(SetArgs),
    Add(AddArgs),
    Remove(RemoveArgs),
    Test(TestArgs),
}

/// List the rules that X has: a line each, task and rule
#[derive(Debug, Args)]
struct ListArgs {
    /// Write a JSON object for each: {"id","value","tag"}
    #[arg(long)]
    json: bool,
}

/// Make X's rules equal to the config's, by the fewest changes
///
/// X first says whether it takes the new ones; when it does not, nothing is changed.
#[derive(Debug, Args)]
struct SetArgs {
    /// Only tell what would change; X is asked whether it would take it
    #[arg(long)]
    dry_run: bool,
}

/// Add a rule to those that X has
///
/// The next `set` removes it, unless it is in the config by then.
#[derive(Debug, Args)]
struct AddArgs {
    /// The task of posts that match
    task: String,
    /// The rule
    rule: String,
}

/// Remove all rules of a task from those that X has
#[derive(Debug, Args)]
struct RemoveArgs {
    /// The task
    task: String,
}

/// Ask X whether it takes rules, without setting them
///
/// Exit status 1 when it does not take one.
#[derive(Debug, Args)]
struct TestArgs {
    /// A file of lines `TASK = "rule"` [default: the config's rules]
    file: Option<PathBuf>,
    /// Write a JSON object for each: {"rule":{"value","tag"},"problem"}
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(args: &RulesCommand, context: &Context) -> Result<ExitCode> {
    let config = config(context)?;
    match &args.command {
        Command::List(list) => list.run(&config).await,
        Command::Set(set) => set.run(&config).await,
        Command::Add(add) => add.run(&config).await,
        Command::Remove(remove) => remove.run(&config).await,
        Command::Test(test) => test.run(config).await,
    }
}

impl ListArgs {
    async fn run(&self, config: &TwitterConfig) -> Result<ExitCode> {
        let rules = RuleAdmin::connect(config).await?.list().await?;
        let mut out = Out::new();
        for rule in &rules {
            match self.json {
                true => out.json(rule)?,
                false => out.line(written(rule))?,
            }
        }
        out.flush()?;
        Ok(ExitCode::SUCCESS)
    }
}

impl SetArgs {
    async fn run(&self, config: &TwitterConfig) -> Result<ExitCode> {
        let wanted = config.wanted_rules();
        if wanted.is_empty() {
            return Err(Error::misconfigured("the config has no rules")
                .hint("Write them into `[source.rules]` as `TASK = \"rule\"`. To have none, `heartbeat rules remove` each."));
        }
        let admin = RuleAdmin::connect(config).await?;
        let change = Change::between(&admin.list().await?, &wanted);
        if self.dry_run {
            admin.check(&change).await?;
        } else {
            admin.apply(&change).await?;
        }
        tell(&change, self.dry_run)
    }
}

impl AddArgs {
    async fn run(&self, config: &TwitterConfig) -> Result<ExitCode> {
        let admin = RuleAdmin::connect(config).await?;
        let mut wanted = admin.list().await?;
        let found = wanted.clone();
        let rule = Rule::new(&self.task, &self.rule);
        if !found.iter().any(|it| it.is_same(&rule)) {
            wanted.push(rule);
        }
        let change = Change::between(&found, &wanted);
        admin.apply(&change).await?;
        tell(&change, false)
    }
}

impl RemoveArgs {
    async fn run(&self, config: &TwitterConfig) -> Result<ExitCode> {
        let admin = RuleAdmin::connect(config).await?;
        let found = admin.list().await?;
        let is_other = |rule: &&Rule| rule.tag.as_ref() != Some(&self.task);
        let wanted: Vec<Rule> = found.iter().filter(is_other).cloned().collect();
        let change = Change::between(&found, &wanted);
        if change.is_empty() {
            return Err(Error::misconfigured("X has no rule of this task")
                .with("task", &self.task)
                .hint("See `heartbeat rules list`."));
        }
        admin.apply(&change).await?;
        tell(&change, false)
    }
}

impl TestArgs {
    async fn run(&self, mut config: TwitterConfig) -> Result<ExitCode> {
        if let Some(file) = &self.file {
            config.rules = std::fs::read_to_string(file)
                .map_err(Into::into)
                .and_then(|text| toml::from_str(&text).map_err(Into::into))
                .map_err(|error: Box<dyn std::error::Error + Send + Sync>| {
                    Error::misconfigured("cannot read rules")
                        .with("file", file.display())
                        .caused_by(error)
                        .hint("Write a line `TASK = \"rule\"` for each.")
                })?;
        }
        let admin = RuleAdmin::connect(&config).await?;
        let verdicts = admin.test(&config.wanted_rules()).await?;
        let mut out = Out::new();
        for verdict in &verdicts {
            match self.json {
                true => out.json(verdict)?,
                false => out.line(judged(verdict))?,
            }
        }
        out.flush()?;
        let all_good = verdicts.iter().all(|verdict| verdict.problem.is_none());
        Ok(if all_good {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        })
    }
}

/// Tells what was changed, or would be.
fn tell(change: &Change, would: bool) -> Result<ExitCode> {
    const ADDED: Style = AnsiColor::Green.on_default();
    const REMOVED: Style = AnsiColor::Red.on_default();
    let mut out = Out::new();
    for rule in &change.remove {
        out.line(format_args!("{REMOVED}-{REMOVED:#} {}", written(rule)))?;
    }
    for rule in &change.add {
        out.line(format_args!("{ADDED}+{ADDED:#} {}", written(rule)))?;
    }
    let (added, removed) = (change.add.len(), change.remove.len());
    out.line(match (change.is_empty(), would) {
        (true, _) => format!("Nothing to change: X has all {} rules.", change.kept),
        (false, false) => format!("Added {added}, removed {removed}, kept {}.", change.kept),
        (false, true) => format!(
            "Would add {added} and remove {removed}, and keep {}.",
            change.kept
        ),
    })?;
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}

fn judged(verdict: &Verdict) -> String {
    const GOOD: Style = AnsiColor::Green.on_default();
    const BAD: Style = AnsiColor::Red.on_default();
    let rule = written(&verdict.rule);
    match &verdict.problem {
        None => format!("{GOOD}✓{GOOD:#} {rule}"),
        Some(problem) => format!("{BAD}✗{BAD:#} {rule}: {problem}"),
    }
}

fn written(rule: &Rule) -> String {
    let task = rule.tag.as_deref().unwrap_or("(no task)");
    format!("{}\t{}", printable(task), printable(&rule.value))
}

/// What `heartbeat check` tells of X.
pub(crate) async fn check(config: &TwitterConfig) -> Result<String> {
    let change = RuleAdmin::connect(config).await?.compare(config).await?;
    let rules = change.kept + change.remove.len();
    Ok(if change.is_empty() {
        format!("answers; it has the config's {rules} rules")
    } else if config.rules.is_empty() {
        format!("answers; it has {rules} rules")
    } else {
        format!(
            "answers; its {rules} rules are not those of the config: `heartbeat rules set` makes them equal"
        )
    })
}

/// The settings of the source, which is X.
fn config(context: &Context) -> Result<TwitterConfig> {
    match context.config()?.source {
        Some(SourceConfig::Twitter(twitter)) => Ok(*twitter),
        // Listing and adding need nothing of it.
        _ => Ok(TwitterConfig::default()),
    }
}
