//! One post after another, each from the seed and its number alone.

use std::sync::LazyLock;

use heartbeat_core::{Keyed, Tweet, TweetId};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use super::Ids;
use super::mood::{Mood, fraction};

const WORDS_A_TWEET: usize = 15;

/// Of the words, how many are happy or sad in a mood that is neither, and how many more at most.
const SOME: f64 = 0.06;
const MORE: f64 = 0.34;

/// X's ids count milliseconds since then, in steps of 2^22.
const SNOWFLAKE_EPOCH: i64 = 1_288_834_974_657;
const SNOWFLAKE_STEPS: i64 = 1 << 22;

/// How many numbers have four digits.
const SHORT_IDS: u64 = 9000;

/// No post has this number, so its random numbers are free for what they all share.
const SHARED: u64 = u64::MAX;

static ORDINARY: LazyLock<Vec<&str>> =
    LazyLock::new(|| include_str!("words.txt").lines().collect());
static HAPPY: LazyLock<Vec<&str>> =
    LazyLock::new(|| include_str!("positive.txt").lines().collect());
static SAD: LazyLock<Vec<&str>> = LazyLock::new(|| include_str!("negative.txt").lines().collect());

#[derive(Debug)]
pub(super) struct Tweets {
    rng: ChaCha8Rng,
    /// The first one's second.
    start: i32,
    /// Posts a second.
    pace: f64,
    tasks: Vec<(String, Mood)>,
    ids: IdMaker,
}

impl Tweets {
    pub(super) fn new(seed: u64, start: i32, pace: f64, tasks: Vec<String>, ids: Ids) -> Self {
        let mut key = [0; 32];
        key[..8].copy_from_slice(&seed.to_le_bytes());
        let rng = ChaCha8Rng::from_seed(key);
        let mut shared = stream(&rng, SHARED);
        let tasks = tasks
            .into_iter()
            .map(|task| (task, Mood::new(&mut shared)))
            .collect();
        Self {
            rng,
            start,
            pace,
            tasks,
            ids: IdMaker::new(ids, start, pace, &mut shared),
        }
    }

    /// How many there are before their times leave the range of an `i32`.
    pub(super) fn end(&self) -> u64 {
        (f64::from(i32::MAX - self.start) * self.pace) as u64
    }

    pub(super) fn make(&self, index: u64) -> Keyed<Tweet> {
        let mut rng = stream(&self.rng, index);
        let (task, mood) = pick(&self.tasks, rng.next_u32());
        let mood = mood.at(index);
        let happy = SOME + MORE * mood.max(0.0);
        let sad = SOME + MORE * (-mood).max(0.0);
        let mut content = String::with_capacity(8 * WORDS_A_TWEET);
        for number in 0..WORDS_A_TWEET {
            if number > 0 {
                content.push(' ');
            }
            let kind = fraction(rng.next_u32());
            let words = if kind < happy {
                &HAPPY
            } else if kind < happy + sad {
                &SAD
            } else {
                &ORDINARY
            };
            content.push_str(pick::<&str>(words, rng.next_u32()));
        }
        Keyed {
            id: self.ids.make(index, &mut rng),
            value: Tweet {
                // It fits: there is no post behind `end`.
                time: self.start + (index as f64 / self.pace) as i32,
                content,
                task: task.clone(),
            },
        }
    }
}

/// The random numbers of one post. Only the generator's own words are used, and mapped here: crates
/// may change how they map them.
fn stream(rng: &ChaCha8Rng, number: u64) -> ChaCha8Rng {
    let mut rng = rng.clone();
    rng.set_stream(number);
    rng
}

/// One of the items, each as likely as any other.
fn pick<T>(items: &[T], random: u32) -> &T {
    &items[((u64::from(random) * items.len() as u64) >> 32) as usize]
}

#[derive(Debug)]
enum IdMaker {
    Snowflake {
        first: i64,
        /// From one post to the next.
        step: i64,
    },
    Short {
        /// Without a factor in common with the number of ids, so that it meets them all.
        stride: u64,
        offset: u64,
    },
}

impl IdMaker {
    fn new(ids: Ids, start: i32, pace: f64, rng: &mut ChaCha8Rng) -> Self {
        match ids {
            Ids::Snowflake => Self::Snowflake {
                first: (i64::from(start) * 1000 - SNOWFLAKE_EPOCH) * SNOWFLAKE_STEPS,
                step: (1000.0 / pace * SNOWFLAKE_STEPS as f64) as i64,
            },
            Ids::Short => Self::Short {
                stride: *pick(
                    &[1009, 2003, 3001, 4001, 4999, 6007, 7001, 8009],
                    rng.next_u32(),
                ),
                offset: u64::from(rng.next_u32()),
            },
        }
    }

    fn make(&self, index: u64, rng: &mut ChaCha8Rng) -> TweetId {
        TweetId(match *self {
            Self::Snowflake { first, step } => {
                // Somewhere before the next one's.
                let random = (u128::from(rng.next_u64()) * step as u128) >> 64;
                first + index as i64 * step + random as i64
            }
            Self::Short { stride, offset } => {
                let (round, place) = (index / SHORT_IDS, index % SHORT_IDS);
                let shuffled = (place * stride + offset) % SHORT_IDS;
                (1000 + round * SHORT_IDS + shuffled) as i64
            }
        })
    }
}
