//! A pipeline of its own: topics, groups, a source and a store that no other test has.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::hash::{BuildHasher, RandomState};
use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use heartbeat::config::{BusConfig, Config};
use heartbeat::kafka::{KafkaBus, KafkaConfig, TopicAdmin, TopicPlan};
use heartbeat::sqlite::{SqliteStore, SqliteStoreConfig};
use heartbeat::{Bus, Max, Message, Page, Query, Store, Topic, Topics, TweetId};
use tempfile::TempDir;
use tokio::time::sleep;

use crate::process::Process;
use crate::python::Python;
use crate::tweets;

/// Settings for many failures in a short time: what is killed is missed soon, and what fails is soon tried again.
const HASTE: &str = "session_timeout = '2s'\ntransaction_timeout = '3s'\nhandover = '1s'\n";

const ALL: Max = Max {
    messages: 100_000,
    bytes: usize::MAX,
};

/// What a world is made of.
#[derive(Debug)]
pub(crate) struct Making {
    pub(crate) brokers: String,
    pub(crate) registry: String,
    /// The most messages in a batch: small, so that there is much to interrupt.
    pub(crate) batch: usize,
    /// Whether each process has a name that it keeps when it is started again.
    pub(crate) named: bool,
    /// How many brokers hold each message.
    pub(crate) replication: u16,
    /// Whether the source has only what it is [fed](World::feed).
    pub(crate) fed: bool,
}

impl Making {
    /// On the services that all tests share.
    pub(crate) fn shared() -> Self {
        Self {
            brokers: testbed::shared_brokers().expect("the shared broker"),
            registry: testbed::shared_registry().expect("the shared registry"),
            batch: 1000,
            named: false,
            replication: 1,
            fed: false,
        }
    }
}

#[derive(Debug)]
pub(crate) struct World {
    pub(crate) folder: TempDir,
    making: Making,
    name: String,
    pub(crate) topics: Topics,
    /// Those of the tweets in the source.
    pub(crate) ids: BTreeSet<i64>,
    /// What the source has not been fed.
    unfed: Vec<String>,
    store: SqliteStore,
    pub(crate) bus: KafkaBus,
}

impl World {
    /// Makes the topics, and the source of the real tweets or of some made up.
    pub(crate) async fn new(making: Making) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let name = format!("e2e-{:08x}", random(1 << 32));
        let topic = |of: &str| Topic::new(&format!("{name}.{of}")).expect("a name");
        let topics = Topics {
            ingest: topic("ingest"),
            sentiment: topic("sentiment"),
        };
        let lines = tweets::lines();
        let unfed = lines.lines().map(|line| format!("{line}\n")).collect();
        let store = SqliteStore::open(SqliteStoreConfig {
            path: folder.path().join("points.db"),
            ..SqliteStoreConfig::default()
        });
        let store = store.await.expect("a store");
        fs::write(
            folder.path().join("heartbeat.toml"),
            config(&making, &name, &topics, None),
        )
        .expect("written");
        let config = bus_config(&folder.path().join("heartbeat.toml"));
        let admin = TopicAdmin::connect(config.clone()).await;
        let plans = TopicPlan::of_topics(&config.topics, &topics).expect("plans");
        let created = admin.expect("the brokers").create(&plans).await;
        assert_eq!(created.expect("topics").len(), plans.len());
        let fed = making.fed;
        let mut world = Self {
            ids: BTreeSet::new(),
            unfed,
            bus: KafkaBus::open(config).await.expect("the bus"),
            folder,
            making,
            name,
            topics,
            store,
        };
        if !fed {
            world.feed(usize::MAX);
        }
        world
    }

    /// Starts `heartbeat`; `name` is that of its config and its log.
    pub(crate) fn start(&self, name: &str, args: &[&str]) -> Process {
        let path = self.folder.path().join(format!("{name}.toml"));
        let instance = self.making.named.then_some(name);
        let config = config(&self.making, &self.name, &self.topics, instance);
        fs::write(path, config).expect("written");
        Process::start(self.folder.path(), name, &[args, &["--json"]].concat())
    }

    /// Adds this many tweets to the source, those that are left at the most. It ends behind them.
    pub(crate) fn feed(&mut self, tweets: usize) {
        // A file of its own: sources are told apart by their paths.
        let source = self.folder.path().join("tweets.jsonl");
        let mut source = File::options()
            .create(true)
            .append(true)
            .open(source)
            .expect("a file");
        let lines: String = self.unfed.drain(..tweets.min(self.unfed.len())).collect();
        source.write_all(lines.as_bytes()).expect("written");
        self.ids.extend(tweets::ids(&lines));
    }

    /// Other programs on the same topics.
    pub(crate) fn python(&self) -> Python {
        Python::new(&self.making.brokers, &self.making.registry)
    }

    /// What all processes have logged.
    pub(crate) fn logs(&self) -> String {
        let mut logs = String::new();
        for entry in fs::read_dir(self.folder.path()).expect("a folder") {
            let path = entry.expect("a file").path();
            if path.extension().is_some_and(|it| it == "log") {
                let log = fs::read(&path).unwrap_or_default();
                let log = String::from_utf8_lossy(&log);
                writeln!(logs, "--- {}\n{log}", path.display()).expect("a string takes it");
            }
        }
        logs
    }

    /// The name of one of this world's groups.
    pub(crate) fn group(&self, stage: &str) -> String {
        format!("{}-{stage}", self.name)
    }

    /// The tweets that have become points.
    pub(crate) async fn stored(&self) -> Vec<i64> {
        let all = Page::first(usize::MAX >> 1);
        let points = self.store.read(&Query::default(), &all).await;
        let points = points.expect("points");
        points.iter().map(|point| point.id.0).collect()
    }

    /// Waits until so many tweets are points.
    pub(crate) async fn until_stored(&self, tweets: usize, patience: Duration) {
        let started = Instant::now();
        loop {
            let stored = self.stored().await.len();
            if stored >= tweets {
                return;
            }
            if started.elapsed() >= patience {
                let Topics { ingest, sentiment } = &self.topics;
                let unread = self.lag(ingest, &self.group("analyze")).await;
                let unstored = self.lag(sentiment, &self.group("transfer")).await;
                panic!(
                    "{stored} of {tweets} were stored within {patience:?}; ingest {}, {unread} wait; sentiment {}, \
                     {unstored} wait\n{}",
                    self.told(&keys(&self.read(ingest).await)),
                    self.told(&keys(&self.read(sentiment).await)),
                    self.logs()
                );
            }
            sleep(Duration::from_millis(100)).await;
        }
    }

    /// All messages of a topic, as a reader of committed data finds them.
    pub(crate) async fn read(&self, topic: &Topic) -> Vec<Message> {
        let group = self.group(&format!("verify-{:x}", random(1 << 32)));
        let mut messages = Vec::new();
        if self.lag(topic, &group).await == 0 {
            return messages;
        }
        let mut reader = self.bus.subscribe(topic, &group).await.expect("a reader");
        let started = Instant::now();
        loop {
            let wait = Duration::from_millis(200);
            let batch = reader.poll(ALL, wait).await.expect("a batch");
            if !batch.is_empty() {
                let committed = reader.commit(&batch.checkpoint, &[]).await;
                committed.expect("a commit");
                messages.extend(batch.messages);
            } else if self.lag(topic, &group).await == 0 {
                break;
            }
            let patience = Duration::from_secs(60);
            assert!(started.elapsed() < patience, "{topic}\n{}", self.logs());
        }
        reader.close().await.expect("closed");
        messages
    }

    /// What these keys are in the face of all that should be there.
    fn told(&self, found: &[i64]) -> String {
        let once: BTreeSet<i64> = found.iter().copied().collect();
        let missing: Vec<&i64> = self.ids.difference(&once).collect();
        format!(
            "has {}, {} of them twice, and lacks {}: {:?}",
            found.len(),
            found.len() - once.len(),
            missing.len(),
            &missing[..missing.len().min(20)]
        )
    }

    /// How many messages of a topic a group has not committed.
    pub(crate) async fn lag(&self, topic: &Topic, group: &str) -> u64 {
        let lag = self.bus.lag(topic, group).await.expect("a lag");
        lag.iter().map(|partition| partition.messages).sum()
    }

    /// Every tweet is one point and one message of each topic, and nothing died.
    pub(crate) async fn assert_everything_arrived_once(&self) {
        let Topics { ingest, sentiment } = &self.topics;
        let dead = [ingest.dead_letters(), sentiment.dead_letters()];
        let (ingested, scored, unread, unstored) = tokio::join!(
            self.read(ingest),
            self.read(sentiment),
            self.read(&dead[0]),
            self.read(&dead[1])
        );
        let expected: Vec<i64> = self.ids.iter().copied().collect();
        let mut stored = self.stored().await;
        stored.sort_unstable();
        for (what, found) in [
            ("points", stored),
            ("ingest", keys(&ingested)),
            ("sentiment", keys(&scored)),
        ] {
            assert!(
                found == expected,
                "{what} {}\n{}",
                self.told(&found),
                self.logs()
            );
        }
        assert_eq!((unread, unstored), (vec![], vec![]), "{}", self.logs());
    }
}

/// The config of a process, or of the test itself.
fn config(making: &Making, name: &str, topics: &Topics, instance: Option<&str>) -> String {
    let Making {
        brokers,
        registry,
        batch,
        replication,
        ..
    } = making;
    let instance = instance.map_or_else(String::new, |it| format!("instance = '{name}.{it}'\n"));
    format!(
        "[source]\nkind = 'jsonl'\npath = 'tweets.jsonl'\n\
         [bus]\nkind = 'kafka'\nbrokers = '{brokers}'\nregistry = '{registry}'\n{HASTE}{instance}\
         [bus.topics]\npositions = '{name}.positions'\nreplication = {replication}\n\
         [store]\nkind = 'sqlite'\npath = 'points.db'\n\
         [stages]\ngroup = '{name}'\ningest_topic = '{}'\nsentiment_topic = '{}'\n\
         batch = {batch}\nin_flight = {}\npoll_wait = '20ms'\nretry_longest = '1s'\n",
        topics.ingest,
        topics.sentiment,
        3 * batch,
    )
}

fn bus_config(path: &Path) -> KafkaConfig {
    let config = Config::read(path).expect("a config");
    match config.bus().expect("a bus") {
        BusConfig::Kafka(config) => *config,
        other => panic!("{other} is not Kafka"),
    }
}

/// The keys of messages, sorted; one that is there twice stands twice.
fn keys(messages: &[Message]) -> Vec<i64> {
    let keys = messages
        .iter()
        .map(|message| TweetId::from_key(&message.envelope.key).expect("a key"));
    let mut keys: Vec<i64> = keys.map(|id| id.0).collect();
    keys.sort_unstable();
    keys
}

/// Up to `most`, anew each time.
pub(crate) fn random(most: u64) -> u64 {
    RandomState::new().hash_one(()) % most
}
