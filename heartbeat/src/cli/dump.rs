//! `heartbeat dump`

use std::process::ExitCode;
use std::time::Duration;

use anstyle::{AnsiColor, Style};
use clap::Args;
use heartbeat_core::{Bucket, Pages, Query, Result, Store, TweetId};
use heartbeat_mock::format_point;
use jiff::Timestamp;
use serde::Serialize;

use crate::cli::args::{StoreArgs, duration};
use crate::cli::context::Context;
use crate::cli::escape::printable;
use crate::cli::out::{Out, is_terminal};

/// So many points are read at once.
const PAGE: usize = 5000;

/// How wide each side of a bar is, in characters.
const BAR: usize = 10;

/// Show what is stored
///
/// A line a point, in the order of time: its number, then tweet id, task, time (epoch seconds),
/// positive, neutral and negative share. With --every, a line for each task and window of time that has
/// points: how many, the mean shares, and net, which is positive less negative.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  heartbeat dump --limit 10
  heartbeat dump --task RU-UKR --from 2022-05-09T00:00:00Z --to 2022-05-10T00:00:00Z --json
  heartbeat dump --every 1h")]
pub(crate) struct DumpArgs {
    /// Only this subject
    #[arg(long)]
    task: Option<String>,
    /// Only at or after this time: RFC 3339 or epoch seconds
    #[arg(long, value_name = "TIME", value_parser = second, allow_negative_numbers = true)]
    from: Option<i32>,
    /// Only before this time
    #[arg(long, value_name = "TIME", value_parser = second, allow_negative_numbers = true)]
    to: Option<i32>,
    /// Summaries, one a task and window of this length: `1m`, `1h`
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    every: Option<Duration>,
    /// At most so many lines
    #[arg(long, value_name = "LINES")]
    limit: Option<usize>,
    /// Write JSON lines: {"id","task","time","pos","neu","neg"}, or with --every
    /// {"start","task","count","pos","neu","neg"}
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    store: StoreArgs,
}

#[derive(Serialize)]
struct JsonPoint<'a> {
    id: TweetId,
    task: &'a str,
    time: i32,
    pos: f32,
    neu: f32,
    neg: f32,
}

#[derive(Serialize)]
struct JsonBucket<'a> {
    start: i64,
    task: &'a str,
    count: u64,
    pos: f64,
    neu: f64,
    neg: f64,
}

pub(crate) async fn run(args: &DumpArgs, context: &Context) -> Result<ExitCode> {
    let store = context.store(&args.store).await?;
    let query = Query {
        task: args.task.clone(),
        from: args.from,
        to: args.to,
    };
    let limit = args.limit.unwrap_or(usize::MAX);
    match args.every {
        None => points(store.as_ref(), query, limit, args.json).await?,
        Some(every) => {
            let mut buckets = store.summarize(&query, every).await?;
            buckets.truncate(limit);
            summaries(&buckets, args.json)?;
        }
    }
    store.close().await?;
    Ok(ExitCode::SUCCESS)
}

async fn points(store: &dyn Store, query: Query, limit: usize, json: bool) -> Result<()> {
    let mut out = Out::new();
    let mut pages = Pages::new(store, query, limit.min(PAGE));
    let mut index = 0;
    while index < limit
        && let Some(points) = pages.next().await?
    {
        for point in points.iter().take(limit - index) {
            if json {
                let sentiment = &point.value;
                out.json(&JsonPoint {
                    id: point.id,
                    task: &sentiment.task,
                    time: sentiment.time,
                    pos: sentiment.pos,
                    neu: sentiment.neu,
                    neg: sentiment.neg,
                })?;
            } else {
                out.line(format_args!("{index}) {}", format_point(point)))?;
            }
            index += 1;
        }
    }
    out.flush()
}

fn summaries(buckets: &[Bucket], json: bool) -> Result<()> {
    let mut out = Out::new();
    if json {
        for bucket in buckets {
            out.json(&JsonBucket {
                start: bucket.start,
                task: &bucket.task,
                count: bucket.count,
                pos: bucket.pos,
                neu: bucket.neu,
                neg: bucket.neg,
            })?;
        }
        return out.flush();
    }
    let tasks: Vec<_> = buckets
        .iter()
        .map(|bucket| printable(&bucket.task))
        .collect();
    let widest = tasks.iter().map(|task| task.chars().count()).max();
    let width = widest.unwrap_or_default().max("TASK".len());
    if !buckets.is_empty() {
        out.line(format_args!(
            "{:<20}  {:<width$}  {:>9}  {:>5}  {:>5}  {:>5}  {:>6}",
            "START", "TASK", "COUNT", "POS", "NEU", "NEG", "NET"
        ))?;
    }
    for (bucket, task) in buckets.iter().zip(tasks) {
        let start = match Timestamp::from_second(bucket.start) {
            Ok(start) => start.to_string(),
            Err(_) => bucket.start.to_string(),
        };
        let Bucket {
            count,
            pos,
            neu,
            neg,
            ..
        } = bucket;
        let net = pos - neg;
        let bar = if is_terminal() {
            bar(net)
        } else {
            String::new()
        };
        out.line(format_args!(
            "{start:<20}  {task:<width$}  {count:>9}  {pos:>5.3}  {neu:>5.3}  {neg:>5.3}  {net:>+6.3}{bar}"
        ))?;
    }
    out.flush()
}

/// A bar from the middle: to the left when `net` is below 0, to the right when it is above.
fn bar(net: f64) -> String {
    const BAD: Style = AnsiColor::Red.on_default();
    const GOOD: Style = AnsiColor::Green.on_default();
    let cells = ((net.abs() * BAR as f64).round() as usize).min(BAR);
    let (left, right) = if net < 0.0 { (cells, 0) } else { (0, cells) };
    let [left, right] = [left, right].map(|cells| "█".repeat(cells));
    format!("  {BAD}{left:>BAR$}{BAD:#}│{GOOD}{right:<BAR$}{GOOD:#}")
}

/// The first whole second at or after a time, which makes it right for `from` and for `to`.
fn second(text: &str) -> Result<i32, String> {
    let seconds = match (text.parse::<i64>(), text.parse::<Timestamp>()) {
        (Ok(seconds), _) => seconds,
        (_, Ok(time)) => {
            let whole = time.as_nanosecond().div_euclid(1_000_000_000);
            let up = i128::from(time.as_nanosecond().rem_euclid(1_000_000_000) > 0);
            i64::try_from(whole + up).unwrap_or(i64::MAX)
        }
        _ => return Err("write it as 2022-05-09T04:37:42Z or as epoch seconds".to_owned()),
    };
    seconds
        .try_into()
        .map_err(|_| "no stored time is there: they are from 1901 to 2038".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_rfc_3339_or_epoch_seconds() {
        for (text, expected) in [
            ("1652073462", 1_652_073_462),
            ("-1", -1),
            ("2022-05-09T05:17:42Z", 1_652_073_462),
            ("2022-05-09T07:17:42+02:00", 1_652_073_462),
            ("1970-01-01T00:00:00.001Z", 1),
            ("1969-12-31T23:59:58.5Z", -1),
        ] {
            assert_eq!(second(text), Ok(expected), "{text}");
        }
        for text in [
            "",
            "today",
            "2022-05-09",
            "2100-01-01T00:00:00Z",
            "9999999999",
        ] {
            assert!(second(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_bar_grows_from_the_middle() {
        let plain = |net| anstream::adapter::strip_str(&bar(net)).to_string();
        assert_eq!(plain(0.0), "            │          ");
        assert_eq!(plain(0.31), "            │███       ");
        assert_eq!(plain(-1.0), "  ██████████│          ");
    }
}
