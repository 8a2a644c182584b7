//! The engines, each at the same work.

use std::error::Error;
use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use flate2::Compression;
use flate2::write::GzEncoder;
use futures_util::stream;
use heartbeat_benches::runtime;
use heartbeat_core::{Keyed, Query, Sentiment, Store, TweetId};
use heartbeat_influx::{InfluxAdmin, InfluxConfig, InfluxStore};
use influxdb2::models::{DataPoint, WriteDataPoint};
use serde::Deserialize;
use tempfile::TempDir;
use testbed::{INFLUX_ORG, INFLUX_TOKEN, Influx};
use tokio::runtime::Runtime;

/// Points a turn.
const POINTS: usize = 400_000;
/// Fewer, so that a turn takes some seconds.
const OF_PYTHON: usize = 40_000;
/// Points a request.
const BATCH: usize = 5_000;
/// Requests at once.
const REQUESTS: usize = 4;
/// 2022-05-09 05:17:42 UTC.
const SECOND: i32 = 1_652_073_462;

/// Who does the work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Engine {
    Heartbeat,
    Influxdb2,
    Python,
    Curl,
}

/// A server and the points to write.
pub(crate) struct World {
    runtime: Runtime,
    server: Influx,
    points: Vec<Keyed<Sentiment>>,
    dir: TempDir,
}

impl World {
    /// Starts the server and makes the points: 1,000 a second of three tasks, as X numbers tweets.
    pub(crate) fn set_up() -> Result<Self, Box<dyn Error>> {
        let point = |n: usize| {
            let second = SECOND + i32::try_from(n / 1000)?;
            let milliseconds = i64::from(second) * 1000 + (n % 1000) as i64 - 1_288_834_974_657;
            let pos = (n * 7919 % 1000) as f32 / 1000.0;
            Ok::<_, Box<dyn Error>>(Keyed {
                id: TweetId(milliseconds << 22 | ((n % 7) << 12) as i64),
                value: Sentiment {
                    time: second,
                    task: ["RU-UKR", "climate", "elections"][n % 3].to_owned(),
                    pos,
                    neu: (1.0 - pos) * 0.75,
                    neg: (1.0 - pos) * 0.25,
                },
            })
        };
        Ok(Self {
            runtime: runtime(),
            server: Influx::start()?,
            points: (0..POINTS).map(point).collect::<Result<_, _>>()?,
            dir: TempDir::new()?,
        })
    }

    /// A new bucket.
    fn bucket(&self, name: &str) -> Result<InfluxConfig, Box<dyn Error>> {
        let token_file = self.dir.path().join("token");
        fs::write(&token_file, INFLUX_TOKEN)?;
        let config = InfluxConfig {
            url: self.server.url(),
            org: INFLUX_ORG.to_owned(),
            bucket: name.to_owned(),
            token_file: Some(token_file),
            ..InfluxConfig::default()
        };
        self.runtime.block_on(async {
            InfluxAdmin::connect(config.clone())
                .await?
                .create_bucket(None)
                .await
        })?;
        Ok(config)
    }
}

impl Engine {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Heartbeat => "heartbeat",
            Self::Influxdb2 => "influxdb2",
            Self::Python => "python",
            Self::Curl => "curl",
        }
    }

    /// Does a turn, sees that all is there, and tells how many points a second it were.
    pub(crate) fn run(self, world: &World, turn: usize) -> Result<f64, Box<dyn Error>> {
        let config = world.bucket(&format!("{}-{turn}", self.name()))?;
        let points = match self {
            Self::Python => &world.points[..OF_PYTHON],
            _ => &world.points,
        };
        let seconds = match self {
            Self::Heartbeat => heartbeat(world, &config, points)?,
            Self::Influxdb2 => influxdb2(world, &config, points)?,
            Self::Python => python(&config, points.len())?,
            Self::Curl => curl(world, &config, points)?,
        };
        let stored: u64 = world.runtime.block_on(async {
            let store = InfluxStore::open(config).await?;
            let windows = store
                .summarize(&Query::default(), Duration::from_secs(86_400))
                .await?;
            Ok::<_, heartbeat_core::Error>(windows.iter().map(|window| window.count).sum())
        })?;
        if stored != points.len() as u64 {
            return Err(
                format!("{} stored {stored} points of {}", self.name(), points.len()).into(),
            );
        }
        Ok(points.len() as f64 / seconds)
    }
}

fn heartbeat(
    world: &World,
    config: &InfluxConfig,
    points: &[Keyed<Sentiment>],
) -> Result<f64, Box<dyn Error>> {
    world.runtime.block_on(async {
        let store = InfluxStore::open(config.clone()).await?;
        let started = Instant::now();
        for points in points.chunks(BATCH * REQUESTS) {
            store.write(points).await?;
        }
        Ok(started.elapsed().as_secs_f64())
    })
}

fn data_point(point: &Keyed<Sentiment>, index: usize) -> Result<DataPoint, Box<dyn Error>> {
    let Keyed { id, value } = point;
    let nanos = i64::from(value.time) * 1_000_000_000 + (index % 1000) as i64 * 1_000_000;
    Ok(DataPoint::builder("sentiment")
        .tag("task", value.task.as_str())
        .field("id", id.0)
        .field("neg", f64::from(value.neg))
        .field("neu", f64::from(value.neu))
        .field("pos", f64::from(value.pos))
        .timestamp(nanos)
        .build()?)
}

fn influxdb2(
    world: &World,
    config: &InfluxConfig,
    points: &[Keyed<Sentiment>],
) -> Result<f64, Box<dyn Error>> {
    let client = influxdb2::Client::new(&config.url, INFLUX_ORG, INFLUX_TOKEN);
    world.runtime.block_on(async {
        let started = Instant::now();
        for (chunk, points) in points.chunks(BATCH).enumerate() {
            let lines = (chunk * BATCH..)
                .zip(points)
                .map(|(index, point)| data_point(point, index));
            let lines: Vec<DataPoint> = lines.collect::<Result<_, _>>()?;
            client.write(&config.bucket, stream::iter(lines)).await?;
        }
        Ok(started.elapsed().as_secs_f64())
    })
}

/// Makes its own points, of the same kind.
fn python(config: &InfluxConfig, points: usize) -> Result<f64, Box<dyn Error>> {
    #[derive(Deserialize)]
    struct Told {
        seconds: f64,
    }
    let program = std::env::var("HEARTBEAT_PYTHON")
        .map_err(|_| "HEARTBEAT_PYTHON is not set: run `cargo xtask bench influx`")?;
    let output = Command::new(program)
        .arg("influx/python.py")
        .args([&config.url, &config.org, &config.bucket])
        .args([BATCH.to_string(), points.to_string()])
        .env("TOKEN", INFLUX_TOKEN)
        .stderr(Stdio::inherit())
        .output()?;
    if !output.status.success() {
        return Err(format!("Python failed: {}", output.status).into());
    }
    Ok(serde_json::from_slice::<Told>(&output.stdout)?.seconds)
}

fn curl(
    world: &World,
    config: &InfluxConfig,
    points: &[Keyed<Sentiment>],
) -> Result<f64, Box<dyn Error>> {
    let mut transfers = String::new();
    for (chunk, points) in points.chunks(BATCH).enumerate() {
        let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
        for (index, point) in (chunk * BATCH..).zip(points) {
            let mut line = Vec::new();
            data_point(point, index)?.write_data_point_to(&mut line)?;
            gzip.write_all(&line)?;
        }
        let file = world.dir.path().join(format!("{chunk}.gz"));
        fs::write(&file, gzip.finish()?)?;
        writeln!(
            transfers,
            "url = \"{}/api/v2/write?org={INFLUX_ORG}&bucket={}\"\nheader = \"Authorization: Token {INFLUX_TOKEN}\"\n\
             header = \"Content-Encoding: gzip\"\ndata-binary = \"@{}\"\nwrite-out = \"%{{http_code}}\\n\"\nnext",
            config.url,
            config.bucket,
            file.display()
        )?;
    }
    let list = world.dir.path().join("transfers");
    fs::write(&list, transfers.trim_end().trim_end_matches("next"))?;
    let started = Instant::now();
    let output = Command::new("curl")
        .args(["--silent", "--parallel", "--parallel-immediate"])
        .args(["--parallel-max", &REQUESTS.to_string(), "--config"])
        .arg(&list)
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| format!("cannot start curl: {error}"))?;
    let seconds = started.elapsed().as_secs_f64();
    let stored = String::from_utf8_lossy(&output.stdout)
        .matches("204")
        .count();
    if stored != points.len().div_ceil(BATCH) {
        return Err(format!(
            "curl wrote {stored} bodies: {}",
            String::from_utf8_lossy(&output.stdout)
        )
        .into());
    }
    Ok(seconds)
}
