//! [`InfluxStore`].

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::{StreamExt, TryStreamExt, stream};
use heartbeat_core::{
    Bucket, Error, Keyed, Page, Query, Refused, Result, Sentiment, Store, WriteReport, remote,
};
use tracing::warn;

use crate::batch::{Lines, Sorted};
use crate::client::Client;
use crate::config::InfluxConfig;
use crate::read::Reader;
use crate::refusals::{self, Bad, Refusal, Sent};
use crate::settings::{Settings, token_of_environment};
use crate::taken::Taken;
use crate::tally::Tally;

/// A store on InfluxDB 2: one bucket and one measurement of it.
///
/// It tells `metrics`:
///
/// | metric | kind | what |
/// |---|---|---|
/// | `heartbeat_influx_requests_total` | counter | requests with points |
/// | `heartbeat_influx_collisions_total` | counter | points that are not there since another tweet has their place |
/// | `heartbeat_influx_unchecked_total` | counter | places of which InfluxDB did not tell who is there, so that a collision may be unseen |
#[derive(Debug)]
pub struct InfluxStore {
    client: Arc<Client>,
    reader: Reader,
    taken: Taken,
    requests: Tally,
    collisions: Tally,
}

impl InfluxStore {
    /// Reaches the server, and sees that there are the organization and the bucket and that the token is one of theirs.
    ///
    /// # Errors
    /// [`ErrorKind::Misconfigured`](heartbeat_core::ErrorKind::Misconfigured) when a setting cannot work or the server does
    /// not have what is named; [`ErrorKind::Unavailable`](heartbeat_core::ErrorKind::Unavailable) while it is away.
    pub async fn open(config: InfluxConfig) -> Result<Self> {
        let client = connect(config).await?;
        let (asked, answer) = client
            .write(Lines::default().compress(&[]).map_err(uncompressed)?)
            .await?;
        // A token that may only read will do for what reads.
        if !matches!(answer.status, 204 | 403) || answer.status == 403 && answer.told().is_none() {
            return Err(asked.refused(&answer));
        }
        Ok(Self {
            reader: Reader::new(client.clone()),
            taken: Taken::new(client.clone()),
            client,
            requests: Tally::new("heartbeat_influx_requests_total"),
            collisions: Tally::new("heartbeat_influx_collisions_total"),
        })
    }

    /// How many requests with points it has sent so far.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.requests.get()
    }

    /// How many collisions it has found so far: two tweets at one nanosecond, of which the database has one.
    #[must_use]
    pub fn collisions(&self) -> u64 {
        self.collisions.get()
    }

    /// Of how many places InfluxDB did not tell who is there, so that a collision with what another process stored may be
    /// unseen.
    #[must_use]
    pub fn unchecked(&self) -> u64 {
        self.taken.unchecked.get()
    }

    /// Stores some of the points, and gives those that InfluxDB refuses.
    async fn store(&self, points: &[Keyed<Sentiment>], good: Vec<usize>) -> Result<Vec<Bad>> {
        let lines = good.iter().map(|index| &points[*index]);
        let lines = Arc::new(Lines::of(lines, &self.client.settings.measurement)?);
        let before = self.requests();
        let target = Target { store: self, lines };
        let mut bad = refusals::store(&target, (0..good.len()).collect()).await?;
        if let Some((_, words)) = bad.first() {
            warn!(
                refused = bad.len(),
                of = good.len(),
                requests = self.requests() - before,
                answer = words,
                "InfluxDB refuses points for good; the others are stored."
            );
        }
        for (line, _) in &mut bad {
            *line = good[*line];
        }
        Ok(bad)
    }
}

/// Where lines go.
struct Target<'s> {
    store: &'s InfluxStore,
    lines: Arc<Lines>,
}

#[async_trait]
impl refusals::Target for Target<'_> {
    async fn send(&self, numbers: &[usize]) -> Result<Sent> {
        let (lines, numbers) = (self.lines.clone(), numbers.to_vec());
        let compressed = tokio::task::spawn_blocking(move || lines.compress(&numbers)).await;
        let compressed = compressed
            .map_err(|panic| Error::internal("the compression panicked").caused_by(panic))?
            .map_err(uncompressed)?;
        self.store.requests.add(1);
        let (asked, answer) = self.store.client.write(compressed).await?;
        match (answer.status, answer.told()) {
            (204, _) => Ok(Sent::Stored),
            (413, told) => Ok(Sent::TooLong(told.unwrap_or_else(|| "too long".to_owned()))),
            (400 | 422, Some(words)) => Ok(Sent::Refused(Refusal {
                dropped: dropped(&words),
                words: remote::words(&words),
            })),
            _ => Err(asked.refused(&answer)),
        }
    }
}

/// Makes a client on a thread that may block.
pub(crate) async fn connect(config: InfluxConfig) -> Result<Arc<Client>> {
    let settings = Settings::new(&config, token_of_environment())?;
    let client = tokio::task::spawn_blocking(move || Client::new(settings)).await;
    let client = client.map_err(|panic| Error::internal("the client panicked").caused_by(panic))?;
    Ok(Arc::new(client?))
}

fn uncompressed(error: std::io::Error) -> Error {
    Error::internal("points cannot be compressed").caused_by(error)
}

/// How many points InfluxDB says it dropped: `… dropped=3` ends what it tells then.
fn dropped(words: &str) -> Option<usize> {
    let (_, count) = words.rsplit_once("dropped=")?;
    let digits = count.split(|char: char| !char.is_ascii_digit()).next()?;
    digits.parse().ok()
}

#[async_trait]
impl Store for InfluxStore {
    async fn write(&self, points: &[Keyed<Sentiment>]) -> Result<WriteReport> {
        let settings = &self.client.settings;
        // What another process began to write when this one did has come by then.
        let replaced = self.taken.prove(2 * settings.timeout).await;
        self.collisions.add(replaced);
        let there = self.taken.look(points).await;
        let Sorted {
            good,
            mut refused,
            collisions,
        } = Sorted::of(points, &settings.measurement, |task, place| {
            there.at(task, place)
        });
        if collisions > 0 {
            self.collisions.add(collisions);
            warn!(
                collisions,
                "Tweets of one task are at the same nanosecond; the first of each stays."
            );
        }
        // The lines of one request are made while others are on their way.
        let bad: Vec<Vec<Bad>> = stream::iter(good.chunks(settings.batch).map(<[usize]>::to_vec))
            .map(|good| self.store(points, good))
            .buffer_unordered(settings.requests)
            .try_collect()
            .await?;

        let bad: HashMap<usize, String> = bad.into_iter().flatten().collect();
        let stored = good.iter().filter(|index| !bad.contains_key(index));
        self.taken.store(stored.map(|index| &points[*index]));
        refused.extend(bad.into_iter().map(|(index, words)| {
            let error = Error::invalid("InfluxDB refuses the point")
                .with("id", points[index].id)
                .with("answer", words);
            Refused { index, error }
        }));
        refused.sort_by_key(|refused| refused.index);
        Ok(WriteReport { refused })
    }

    async fn read(&self, query: &Query, page: &Page) -> Result<Vec<Keyed<Sentiment>>> {
        self.reader.read(query, page).await
    }

    async fn summarize(&self, query: &Query, every: Duration) -> Result<Vec<Bucket>> {
        self.reader.summarize(query, every).await
    }

    async fn close(&self) -> Result<()> {
        // Connections that nobody uses are closed by the client when it is dropped.
        let replaced = self.taken.prove(Duration::ZERO).await;
        self.collisions.add(replaced);
        Ok(())
    }
}
