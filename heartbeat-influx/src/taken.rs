//! Who is where another tweet may want to be.
//!
//! InfluxDB replaces a point by another one in its place and tells nobody. So it is asked before a tweet is stored at a place that
//! is not exclusive. Another process may have asked at the same moment, and have found the place as free: so it is asked once
//! more, when all that was in flight then has long arrived.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use heartbeat_core::{Error, Keyed, Result, Sentiment, TweetId};
use quick_cache::sync::Cache;
use tokio::time::{Instant, timeout};
use tracing::warn;

use crate::client::Client;
use crate::place::Place;
use crate::read::Reader;
use crate::tally::Tally;

/// So many places are remembered. Those of one second come close to each other.
const CAPACITY: usize = 100_000;

/// A task, by its hash, and a nanosecond.
type Key = (u64, i64);

/// The places that are not exclusive, and the tweets in them.
#[derive(Debug)]
pub(crate) struct Taken {
    reader: Reader,
    /// How long InfluxDB may take to tell.
    limit: Duration,
    /// What it stored or has seen.
    lately: Cache<Key, TweetId>,
    /// What it stored and has not asked for again.
    unproven: Mutex<VecDeque<Stored>>,
    tasks: RandomState,
    is_blind: AtomicBool,
    /// Places that it could not ask for.
    pub(crate) unchecked: Tally,
}

/// Tweets that were stored at once.
#[derive(Debug)]
struct Stored {
    at: Instant,
    tweets: HashMap<Key, TweetId>,
}

impl Taken {
    pub(crate) fn new(client: Arc<Client>) -> Self {
        Self {
            limit: client.settings.timeout,
            reader: Reader::new(client),
            lately: Cache::new(CAPACITY),
            unproven: Mutex::default(),
            tasks: RandomState::new(),
            is_blind: AtomicBool::new(false),
            unchecked: Tally::new("heartbeat_influx_unchecked_total"),
        }
    }

    /// Who is at the places that points want.
    pub(crate) async fn look(&self, points: &[Keyed<Sentiment>]) -> There<'_> {
        let mut tweets = HashMap::new();
        let mut unknown = Vec::new();
        for (key, _) in self.shared(points) {
            match self.lately.get(&key) {
                Some(id) => _ = tweets.insert(key, id),
                None => unknown.push(key.1),
            }
        }
        tweets.extend(self.ask(unknown).await);
        let taken = self;
        There { taken, tweets }
    }

    /// Remembers points that have been stored.
    pub(crate) fn store<'p>(&self, points: impl IntoIterator<Item = &'p Keyed<Sentiment>>) {
        let tweets: HashMap<Key, TweetId> = self.shared(points).collect();
        if tweets.is_empty() {
            return;
        }
        for (key, id) in &tweets {
            self.lately.insert(*key, *id);
        }
        let at = Instant::now();
        self.unproven().push_back(Stored { at, tweets });
    }

    /// How many of the tweets that were stored so long ago another process has replaced since.
    pub(crate) async fn prove(&self, age: Duration) -> u64 {
        let mut stored = HashMap::new();
        {
            let mut unproven = self.unproven();
            let mut held: usize = unproven.iter().map(|stored| stored.tweets.len()).sum();
            // Early, rather than to hold more and more.
            while let Some(first) =
                unproven.pop_front_if(|first| first.at.elapsed() >= age || held > CAPACITY)
            {
                held -= first.tweets.len();
                stored.extend(first.tweets);
            }
        }
        let found = self.ask(stored.keys().map(|key| key.1).collect()).await;
        let lost = found
            .into_iter()
            .filter_map(|(key, other)| Some((key, *stored.get(&key)?, other)))
            .filter(|(_, id, other)| id != other);
        let mut replaced = 0;
        for (key, id, other) in lost {
            replaced += 1;
            self.lately.insert(key, other);
            warn!(
                %id,
                %other,
                "Another process stored a tweet at the nanosecond of one that this process stored at the same moment; the other \
                 one stays."
            );
        }
        replaced
    }

    /// The places of points which others may want, too, and the points' ids.
    fn shared<'p>(
        &self,
        points: impl IntoIterator<Item = &'p Keyed<Sentiment>>,
    ) -> impl Iterator<Item = (Key, TweetId)> {
        points.into_iter().filter_map(|Keyed { id, value }| {
            let place = Place::of(*id, value.time);
            (!place.exclusive).then(|| (self.key(&value.task, place), *id))
        })
    }

    /// What InfluxDB has at some nanoseconds. That it cannot tell holds nothing up: two tweets seldom share a place.
    async fn ask(&self, mut nanos: Vec<i64>) -> HashMap<Key, TweetId> {
        if nanos.is_empty() {
            return HashMap::new();
        }
        nanos.sort_unstable();
        nanos.dedup();
        match self.read(&nanos).await {
            Ok(found) => {
                self.is_blind.store(false, Relaxed);
                found
            }
            Err(error) => {
                self.unchecked.add(nanos.len() as u64);
                if !self.is_blind.swap(true, Relaxed) {
                    warn!(
                        error = error.report(),
                        "InfluxDB does not tell who is at the places of tweets. Until it does, one that another process stored \
                         there is replaced unseen."
                    );
                }
                HashMap::new()
            }
        }
    }

    async fn read(&self, nanos: &[i64]) -> Result<HashMap<Key, TweetId>> {
        let found = timeout(self.limit, self.reader.at(nanos)).await;
        let found = found.map_err(|_| {
            Error::unavailable("InfluxDB took too long to tell")
                .with("seconds", self.limit.as_secs_f32())
        })??;
        let by_hash = |(task, nanos, id): (String, i64, TweetId)| ((self.hash(&task), nanos), id);
        Ok(found.into_iter().map(by_hash).collect())
    }

    fn key(&self, task: &str, place: Place) -> Key {
        (self.hash(task), place.nanos)
    }

    fn hash(&self, task: &str) -> u64 {
        self.tasks.hash_one(task)
    }

    fn unproven(&self) -> std::sync::MutexGuard<'_, VecDeque<Stored>> {
        self.unproven.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The tweets at the places that a write wants.
#[derive(Debug)]
pub(crate) struct There<'t> {
    taken: &'t Taken,
    tweets: HashMap<Key, TweetId>,
}

impl There<'_> {
    pub(crate) fn at(&self, task: &str, place: Place) -> Option<TweetId> {
        self.tweets.get(&self.taken.key(task, place)).copied()
    }
}
