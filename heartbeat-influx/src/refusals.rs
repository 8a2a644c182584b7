//! Finding the points that InfluxDB refuses.
//!
//! InfluxDB tells in prose that it dropped some points of a request, and how many, but not which. Worse, a request is
//! spread over shards, each written by itself: the answer is given when the first of them fails, while others may
//! still be at work, and what they drop is not counted (`v1/coordinator/points_writer.go` in InfluxDB 2.9). So its count is
//! taken as a hint where to look, and what is left is sent once more when the refused ones are known: only when all of
//! that is stored, it is.

use std::collections::HashSet;

use async_trait::async_trait;
use heartbeat_core::{Error, Result};

/// What became of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Sent {
    /// All of it is stored.
    Stored,
    /// Some of it never will be.
    Refused(Refusal),
    /// It is too long.
    TooLong(String),
}

/// Why, and how much of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// InfluxDB's own words.
    pub(crate) words: String,
    /// How many points were dropped at least, if it says so.
    pub(crate) dropped: Option<usize>,
}

/// A line that InfluxDB refuses, by its number, and why.
pub(crate) type Bad = (usize, String);

/// Takes lines, by their numbers.
#[async_trait]
pub(crate) trait Target: Sync {
    /// Sends them in one request.
    async fn send(&self, lines: &[usize]) -> Result<Sent>;
}

/// Sends lines until all are stored but those that InfluxDB refuses, and gives these.
///
/// # Errors
/// That of the first request that fails.
pub(crate) async fn store(target: &dyn Target, lines: Vec<usize>) -> Result<Vec<Bad>> {
    let mut bad = Vec::new();
    // Pieces that are not stored yet, and whether counts are to be trusted in them.
    let mut pieces = vec![(lines, true)];
    while let Some((mut lines, trusted)) = pieces.pop() {
        if lines.is_empty() {
            continue;
        }
        match target.send(&lines).await? {
            Sent::Stored => {}
            Sent::TooLong(words) => {
                if let [line] = lines.as_slice() {
                    bad.push((*line, words));
                } else {
                    let right = lines.split_off(lines.len() / 2);
                    pieces.extend([(right, trusted), (lines, trusted)]);
                }
            }
            Sent::Refused(refusal) => {
                let words = refusal.words.clone();
                let found = search(target, &lines, refusal, trusted).await?;
                if found.is_empty() && !trusted {
                    return Err(Error::unavailable(
                        "InfluxDB refuses points together that it takes one by one",
                    )
                    .with("answer", words));
                }
                let known: HashSet<usize> = found.iter().map(|(line, _)| *line).collect();
                lines.retain(|line| !known.contains(line));
                bad.extend(found);
                pieces.push((lines, false));
            }
        }
    }
    Ok(bad)
}

/// Lines of which some are bad.
struct Suspect<'l> {
    lines: &'l [usize],
    dropped: Option<usize>,
    /// Why, unless it is only inferred that they are.
    words: Option<String>,
}

/// Finds the bad ones among lines that were refused together.
async fn search(
    target: &dyn Target,
    lines: &[usize],
    refusal: Refusal,
    trusted: bool,
) -> Result<Vec<Bad>> {
    let answered = |lines, sent| match sent {
        Sent::Stored => None,
        Sent::Refused(Refusal { words, dropped }) => Some(Suspect {
            lines,
            dropped: dropped.filter(|_| trusted),
            words: Some(words),
        }),
        Sent::TooLong(words) => Some(Suspect {
            lines,
            dropped: None,
            words: Some(words),
        }),
    };
    let mut bad = Vec::new();
    let mut suspects = Vec::from_iter(answered(lines, Sent::Refused(refusal)));
    while let Some(suspect) = suspects.pop() {
        let Suspect {
            lines,
            dropped,
            words,
        } = suspect;
        if lines.len() == 1 || dropped == Some(lines.len()) {
            let words = match words {
                Some(words) => Some(words),
                // Its own words, since those of a larger piece may be about another line.
                None => {
                    answered(lines, target.send(lines).await?).and_then(|suspect| suspect.words)
                }
            };
            // Without: it was inferred from a count that is not right, and is stored.
            if let Some(words) = words {
                bad.extend(lines.iter().map(|line| (*line, words.clone())));
            }
            continue;
        }
        let (left, right) = lines.split_at(lines.len() / 2);
        let inferred = |dropped| Suspect {
            lines: right,
            dropped,
            words: None,
        };
        match answered(left, target.send(left).await?) {
            // Then it is the right one, for one of them it is.
            None => suspects.push(inferred(dropped)),
            Some(found) => {
                let rest = dropped
                    .zip(found.dropped)
                    .and_then(|(all, left)| all.checked_sub(left));
                match rest {
                    Some(0) => {}
                    Some(rest) => suspects.push(inferred(Some(rest))),
                    None => suspects.extend(answered(right, target.send(right).await?)),
                }
                suspects.push(found);
            }
        }
    }
    Ok(bad)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::sync::Mutex;

    use proptest::prelude::*;

    use super::*;

    /// What a server of this kind tells of the points that it dropped.
    #[derive(Debug, Clone, Copy)]
    enum Told {
        Nothing,
        /// Those of the first shard that has some.
        OneShard,
        All,
    }

    /// A server that refuses some points, each in one of three shards, and takes at most so many in one request.
    #[derive(Debug)]
    struct Server {
        bad: BTreeSet<usize>,
        told: Told,
        longest: usize,
        stored: Mutex<BTreeSet<usize>>,
        requests: Mutex<usize>,
    }

    impl Server {
        fn new(bad: impl IntoIterator<Item = usize>, told: Told, longest: usize) -> Self {
            Self {
                bad: bad.into_iter().collect(),
                told,
                longest,
                stored: Mutex::default(),
                requests: Mutex::default(),
            }
        }

        fn take(&self, lines: &[usize]) -> Sent {
            *self.requests.lock().unwrap() += 1;
            if lines.len() > self.longest {
                return Sent::TooLong("too long".to_owned());
            }
            let (bad, good): (Vec<usize>, Vec<usize>) =
                lines.iter().partition(|line| self.bad.contains(line));
            let Some(first) = bad.first() else {
                self.stored.lock().unwrap().extend(good);
                return Sent::Stored;
            };
            // Of the others nobody knows whether they are stored.
            let dropped = match self.told {
                Told::Nothing => None,
                Told::OneShard => Some(bad.iter().filter(|line| *line % 3 == first % 3).count()),
                Told::All => Some(bad.len()),
            };
            let words = format!("{first} is bad");
            Sent::Refused(Refusal { words, dropped })
        }

        async fn store(&self, lines: usize) -> Vec<usize> {
            let mut bad = store(self, (0..lines).collect()).await.unwrap();
            bad.sort();
            bad.into_iter().map(|(line, _)| line).collect()
        }
    }

    #[async_trait]
    impl Target for Server {
        async fn send(&self, lines: &[usize]) -> Result<Sent> {
            Ok(self.take(lines))
        }
    }

    fn now<T>(future: impl Future<Output = T>) -> T {
        futures_util::FutureExt::now_or_never(future).expect("nothing waits")
    }

    proptest! {
        #[test]
        fn the_bad_are_found_and_all_others_stored(
            lines in 1..300usize,
            bad in prop::collection::btree_set(0..300usize, 0..20),
            all_bad: bool,
            told in prop_oneof![Just(Told::Nothing), Just(Told::OneShard), Just(Told::All)],
            longest in prop_oneof![Just(usize::MAX), 1..300usize],
        ) {
            let bad: Vec<usize> = (0..lines).filter(|line| all_bad || bad.contains(line)).collect();
            let server = Server::new(bad.clone(), told, longest);
            prop_assert_eq!(now(server.store(lines)), bad);
            let stored = server.stored.into_inner().unwrap();
            let good: BTreeSet<usize> = (0..lines).filter(|line| !server.bad.contains(line)).collect();
            prop_assert_eq!(stored, good);
        }
    }

    #[test]
    fn few_requests_find_few_bad_ones() {
        for (told, most) in [(Told::All, 86), (Told::Nothing, 130)] {
            for seed in 0..50 {
                let bad = (0..7).map(|n| (seed * 7919 + n * 104_729) % 5000);
                let server = Server::new(bad, told, usize::MAX);
                assert_eq!(now(server.store(5000)).len(), 7);
                let requests = server.requests.into_inner().unwrap();
                assert!(requests <= most, "{told:?}: {requests}");
            }
        }
    }

    #[test]
    fn where_all_are_bad_one_request_tells() {
        let server = Server::new(0..5000, Told::All, usize::MAX);
        assert_eq!(now(server.store(5000)).len(), 5000);
        assert_eq!(server.requests.into_inner().unwrap(), 1);
    }

    #[test]
    fn each_has_its_own_words_where_it_is_alone() {
        let server = Server::new([17, 200, 4999], Told::All, usize::MAX);
        let mut bad = now(store(&server, (0..5000).collect())).unwrap();
        bad.sort();
        let expected = [17, 200, 4999].map(|line| (line, format!("{line} is bad")));
        assert_eq!(bad, expected);
    }

    #[test]
    fn a_server_that_contradicts_itself_is_asked_again_later() {
        struct Contradictory;

        #[async_trait]
        impl Target for Contradictory {
            async fn send(&self, lines: &[usize]) -> Result<Sent> {
                Ok(match lines.len() {
                    10 => Sent::Refused(Refusal {
                        words: "no".to_owned(),
                        dropped: Some(1),
                    }),
                    _ => Sent::Stored,
                })
            }
        }

        let error = now(store(&Contradictory, (0..10).collect())).unwrap_err();
        assert!(error.is_retryable(), "{error:?}");
    }
}
