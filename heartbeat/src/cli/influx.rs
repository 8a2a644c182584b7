//! `heartbeat influx`

use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Subcommand};
use heartbeat::config::{Config, StoreConfig};
use heartbeat::influx::{BucketState, DashboardState, InfluxAdmin, InfluxConfig};
use heartbeat_core::{Error, ErrorKind, Result, durations};

use crate::cli::args::{StoreArgs, duration};
use crate::cli::context::Context;
use crate::cli::out::Out;

/// Set an InfluxDB up: its bucket and a dashboard
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  export HEARTBEAT_STORE=influx:http://localhost:8086 HEARTBEAT_INFLUX_TOKEN=…
  heartbeat influx setup --retention 90d
  heartbeat influx template > dashboard.json         for `influx apply`")]
pub(crate) struct InfluxCommand {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Setup(SetupArgs),
    Template(TemplateArgs),
}

/// Create the bucket and install the dashboard, where they are missing
///
/// What is there is left as it is, so this may be run again at any time, as before each start. Only a
/// dashboard that another version of heartbeat installed is replaced, with what was changed in it; change
/// its description to keep it. The token must be allowed to read the organization
/// and to read and write its buckets and dashboards.
#[derive(Debug, Args)]
struct SetupArgs {
    /// How long the bucket keeps points, an hour at least [default: for ever]
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    retention: Option<Duration>,
    /// Only tell what would be done
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    store: StoreArgs,
}

/// Write the dashboard as a template of InfluxDB's own form
///
/// For `influx apply`, or to be kept beside other templates. No server is asked, and no token is needed.
#[derive(Debug, Args)]
struct TemplateArgs {
    #[command(flatten)]
    store: StoreArgs,
}

/// Flags of a store on InfluxDB.
#[derive(Debug, Default, Args)]
pub(crate) struct InfluxArgs {
    /// InfluxDB: the organization [default: heartbeat] [env: HEARTBEAT_INFLUX_ORG]
    #[arg(long, value_name = "NAME")]
    org: Option<String>,
    /// InfluxDB: the bucket [default: heartbeat] [env: HEARTBEAT_INFLUX_BUCKET]
    #[arg(long, value_name = "NAME")]
    bucket: Option<String>,
}

impl InfluxArgs {
    /// Lays the flags over the config.
    pub(crate) fn apply(&self, config: &mut Config) -> Result<()> {
        if let Some(StoreConfig::Influx(influx)) = &mut config.store {
            // Not by clap: a variable may be set for another store to come, and is no mistake then.
            let or = |flag: &Option<String>, variable| {
                flag.clone().or_else(|| std::env::var(variable).ok())
            };
            if let Some(org) = or(&self.org, "HEARTBEAT_INFLUX_ORG") {
                influx.org = org;
            }
            if let Some(bucket) = or(&self.bucket, "HEARTBEAT_INFLUX_BUCKET") {
                influx.bucket = bucket;
            }
        } else if self.org.is_some() || self.bucket.is_some() {
            return Err(
                Error::misconfigured("--org and --bucket are for a store on InfluxDB")
                    .hint("Leave them out, or choose `--store influx:URL`."),
            );
        }
        Ok(())
    }
}

pub(crate) async fn run(args: &InfluxCommand, context: &Context) -> Result<ExitCode> {
    match &args.command {
        Command::Setup(setup) => setup.run(context).await,
        Command::Template(template) => template.run(context),
    }
}

impl SetupArgs {
    async fn run(&self, context: &Context) -> Result<ExitCode> {
        let config = config(&self.store, context)?;
        let bucket = config.bucket.clone();
        let admin = InfluxAdmin::connect(config).await?;
        let mut out = Out::new();

        let asked = kept(self.retention);
        match admin.bucket().await? {
            None if self.dry_run => out.line(format_args!(
                "The bucket {bucket} would be created: it keeps points {asked}."
            ))?,
            None => {
                admin.create_bucket(self.retention).await?;
                out.line(format_args!(
                    "The bucket {bucket} is created: it keeps points {asked}."
                ))?;
            }
            Some(BucketState { retention }) => {
                let is = kept(retention);
                let note = match self.retention {
                    Some(wanted) if retention != Some(wanted) => {
                        format!(", not {asked}: it is left as it is")
                    }
                    _ => String::new(),
                };
                out.line(format_args!(
                    "The bucket {bucket} is there: it keeps points {is}{note}."
                ))?;
            }
        }
        out.flush()?;

        let state = match self.dry_run {
            true => admin.dashboard().await?,
            false => admin.install_dashboard().await?,
        };
        let (would, has) = match self.dry_run {
            true => ("would be installed", "would be replaced"),
            false => ("is installed", "is replaced"),
        };
        match state {
            DashboardState::Missing => out.line(format_args!("The dashboard {would}."))?,
            DashboardState::Outdated => out.line(format_args!(
                "The dashboard of another version of heartbeat {has}."
            ))?,
            DashboardState::Adopted => out.line(
                "The dashboard is there, and somebody has made it their own: it is left as it is.",
            )?,
            _ => out.line("The dashboard is there.")?,
        }
        out.flush()?;
        Ok(ExitCode::SUCCESS)
    }
}

impl TemplateArgs {
    fn run(&self, context: &Context) -> Result<ExitCode> {
        let config = config(&self.store, context)?;
        let mut out = Out::new();
        out.line(format_args!("{:#}", InfluxAdmin::template(&config)))?;
        out.flush()?;
        Ok(ExitCode::SUCCESS)
    }
}

/// The settings of the store, which is InfluxDB's.
fn config(args: &StoreArgs, context: &Context) -> Result<InfluxConfig> {
    let mut config = context.config()?;
    args.apply(&mut config)?;
    match config.store()? {
        StoreConfig::Influx(influx) => Ok(*influx),
        other => Err(Error::misconfigured("this store is no InfluxDB")
            .with("store", other)
            .hint(
                "Choose `--store influx:URL`, or `kind = \"influx\"` in the config's `[store]`.",
            )),
    }
}

/// How long points are kept.
fn kept(retention: Option<Duration>) -> String {
    match retention {
        None => "for ever".to_owned(),
        Some(retention) => format!("for {}", durations::written(retention)),
    }
}

/// What `heartbeat check` tells of the bucket and the dashboard.
///
/// # Errors
/// The bucket is missing.
pub(crate) async fn check(config: InfluxConfig) -> Result<String> {
    let admin = match InfluxAdmin::connect(config).await {
        // A token that may write points need not see more.
        Err(error) if error.kind() == ErrorKind::Misconfigured => {
            return Ok(format!("the token's owner may not look at it ({error})"));
        }
        admin => admin?,
    };
    let Some(BucketState { retention }) = admin.bucket().await? else {
        return Err(
            Error::misconfigured("is not there, or the token's owner may not see it")
                .hint("`heartbeat influx setup` creates it."),
        );
    };
    let kept = kept(retention);
    let dashboard = match admin.dashboard().await {
        Ok(DashboardState::Missing) => "has no dashboard: `heartbeat influx setup` installs it",
        Ok(DashboardState::Outdated) => {
            "has the dashboard of another version: `heartbeat influx setup` replaces it"
        }
        Ok(_) => "has a dashboard",
        Err(error) if error.kind() == ErrorKind::Misconfigured => {
            "the token's owner may not look at dashboards"
        }
        Err(error) => return Err(error),
    };
    Ok(format!("keeps points {kept}; {dashboard}"))
}
