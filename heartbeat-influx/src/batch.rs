//! The lines of one write.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::io::{self, Write};
use std::ops::Range;

use flate2::Compression;
use flate2::write::GzEncoder;
use heartbeat_core::{Error, Keyed, Refused, Result, Sentiment, TweetId};
use influxdb2::models::{DataPoint, WriteDataPoint};

use crate::place::Place;

/// InfluxDB's limit for a measurement, its tags and a field's key, with what stands between them.
const LONGEST_KEY: usize = 65_535;

/// What stands beside the measurement and the task in that: `,task=`, four signs, and the longest field's key.
const KEY_OVERHEAD: usize = 6 + 4 + 3;

/// What of a write can be stored, and what cannot.
#[derive(Debug, Default)]
pub(crate) struct Sorted {
    /// Which of the points that were given are to be stored, no two in one place.
    pub(crate) good: Vec<usize>,
    /// Those that InfluxDB cannot hold.
    pub(crate) refused: Vec<Refused>,
    /// How many of these are refused since another tweet has their place.
    pub(crate) collisions: u64,
}

impl Sorted {
    /// Of two equal points the later is taken; of two that fall on one place the earlier, be it in this write or `there` before.
    pub(crate) fn of(
        points: &[Keyed<Sentiment>],
        measurement: &str,
        there: impl Fn(&str, Place) -> Option<TweetId>,
    ) -> Self {
        let mut sorted = Self::default();
        sorted.good.reserve(points.len());
        let mut places = HashMap::with_capacity(points.len());
        for (index, point) in points.iter().enumerate() {
            if let Err(error) = check(point, measurement) {
                sorted.refused.push(Refused { index, error });
                continue;
            }
            let place = Place::of(point.id, point.value.time);
            let task = point.value.task.as_str();
            let first = match places.entry((task, place.nanos)) {
                Entry::Occupied(there) => {
                    let there: usize = *there.get();
                    let first = points[sorted.good[there]].id;
                    if first == point.id {
                        sorted.good[there] = index;
                        continue;
                    }
                    Some(first)
                }
                Entry::Vacant(free) => {
                    let first = there(task, place).filter(|first| *first != point.id);
                    if first.is_none() {
                        free.insert(sorted.good.len());
                    }
                    first
                }
            };
            match first {
                None => sorted.good.push(index),
                Some(first) => {
                    sorted.collisions += 1;
                    let error = collision(point, first);
                    sorted.refused.push(Refused { index, error });
                }
            }
        }
        sorted
    }
}

/// Points as lines, each known by its number.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    text: Vec<u8>,
    /// Where each line lies in the text.
    ranges: Vec<Range<usize>>,
}

impl Lines {
    /// The lines of points.
    ///
    /// # Errors
    /// None that points are to blame for.
    pub(crate) fn of<'p>(
        points: impl ExactSizeIterator<Item = &'p Keyed<Sentiment>>,
        measurement: &str,
    ) -> Result<Self> {
        let mut lines = Self {
            text: Vec::with_capacity(points.len() * 160),
            ranges: Vec::with_capacity(points.len()),
        };
        for point in points {
            let start = lines.text.len();
            append(&mut lines.text, point, measurement).map_err(|error| {
                Error::internal("a point cannot be written as a line").caused_by(error)
            })?;
            lines.ranges.push(start..lines.text.len());
        }
        Ok(lines)
    }

    /// Some of the lines, compressed by gzip.
    pub(crate) fn compress(&self, numbers: &[usize]) -> io::Result<Vec<u8>> {
        let mut text = Vec::with_capacity(self.text.len());
        for &number in numbers {
            text.extend_from_slice(&self.text[self.ranges[number].clone()]);
        }
        // Any level makes it a fraction; the fastest costs least.
        let mut gzip = GzEncoder::new(Vec::with_capacity(text.len() / 2), Compression::fast());
        gzip.write_all(&text)?;
        gzip.finish()
    }
}

fn append(text: &mut Vec<u8>, point: &Keyed<Sentiment>, measurement: &str) -> io::Result<()> {
    let Keyed { id, value } = point;
    let line = DataPoint::builder(measurement)
        .tag("task", value.task.as_str())
        .field("id", id.0)
        // Each share is written as what it is exactly, so that it is read again bit for bit.
        .field("neg", f64::from(value.neg))
        .field("neu", f64::from(value.neu))
        .field("pos", f64::from(value.pos))
        .timestamp(Place::of(*id, value.time).nanos)
        .build()
        .map_err(io::Error::other)?;
    line.write_data_point_to(text)
}

fn collision(point: &Keyed<Sentiment>, first: TweetId) -> Error {
    Error::invalid("another tweet of this task is at the same nanosecond")
        .with("id", point.id)
        .with("other", first)
        .with("second", point.value.time)
        .hint("InfluxDB keeps one point for each: the first one that was stored stays.")
}

/// Refuses what InfluxDB would not store, or not as it is. It takes a whole request back for many of these.
fn check(point: &Keyed<Sentiment>, measurement: &str) -> Result<()> {
    let wrong = |message| Err(Error::invalid(message).with("id", point.id));
    let Sentiment {
        task,
        pos,
        neu,
        neg,
        ..
    } = &point.value;
    for (name, score) in [("pos", pos), ("neu", neu), ("neg", neg)] {
        // A not-a-number is in no range.
        if !(0.0..=1.0).contains(score) {
            return Err(Error::invalid("a score is a number from 0 to 1")
                .with("id", point.id)
                .with(name, score));
        }
    }
    if task.is_empty() {
        return wrong("a point needs a task");
    }
    if task.contains(['\n', '\r']) {
        return wrong("InfluxDB has no task of several lines");
    }
    // It takes such a backslash for the sign's own, and has no way to write one that is not.
    if task.ends_with('\\') || ["\\,", "\\=", "\\ "].iter().any(|pair| task.contains(pair)) {
        return wrong(
            "InfluxDB has no task with a backslash at its end or before a comma, an equals sign or a space",
        );
    }
    if escaped_len(task) + escaped_len(measurement) + KEY_OVERHEAD > LONGEST_KEY {
        return wrong("the task is longer than InfluxDB's 65,535 bytes");
    }
    Ok(())
}

/// How long a name is with a backslash before each sign that needs one.
fn escaped_len(name: &str) -> usize {
    let signs = name.bytes().filter(|byte| b",= ".contains(byte));
    name.len() + signs.count()
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use flate2::read::GzDecoder;

    use super::*;

    fn point(id: i64, time: i32, task: &str) -> Keyed<Sentiment> {
        let (task, pos, neu, neg) = (task.to_owned(), 0.5, 0.25, 0.1);
        Keyed {
            id: TweetId(id),
            value: Sentiment {
                time,
                task,
                pos,
                neu,
                neg,
            },
        }
    }

    fn lines(points: &[Keyed<Sentiment>]) -> (String, Vec<usize>) {
        let Sorted { good, refused, .. } = Sorted::of(points, "my moods", |_, _| None);
        let lines = Lines::of(good.iter().map(|index| &points[*index]), "my moods").unwrap();
        let all: Vec<usize> = (0..good.len()).collect();
        let compressed = lines.compress(&all).unwrap();
        let mut text = String::new();
        GzDecoder::new(compressed.as_slice())
            .read_to_string(&mut text)
            .unwrap();
        (text, refused.iter().map(|refused| refused.index).collect())
    }

    #[test]
    fn a_point_is_a_line() {
        let (text, refused) = lines(&[point(7, 60, "RU-UKR"), point(-1, -1, "a,b=c d")]);
        assert_eq!(
            text,
            "my\\ moods,task=RU-UKR id=7i,neg=0.10000000149011612,neu=0.25,pos=0.5 60000000007\n\
             my\\ moods,task=a\\,b\\=c\\ d id=-1i,neg=0.10000000149011612,neu=0.25,pos=0.5 -1\n"
        );
        assert!(refused.is_empty());
    }

    #[test]
    fn of_equal_points_the_later_and_of_colliding_ones_the_earlier_is_taken() {
        let mut later = point(1, 0, "t");
        later.value.pos = 0.75;
        let points = [
            point(1, 0, "t"),
            point(1_000_000_001, 0, "t"),
            point(1_000_000_001, 0, "other"),
            later,
        ];
        let (text, refused) = lines(&points);
        assert_eq!(refused, [1]);
        assert_eq!(text.lines().count(), 2, "{text}");
        assert!(text.lines().next().unwrap().contains("id=1i"), "{text}");
        assert!(text.contains("pos=0.75 1\n"), "{text}");
    }

    #[test]
    fn what_influxdb_would_not_keep_as_it_is_is_refused() {
        let longest = LONGEST_KEY - KEY_OVERHEAD - "my\\ moods".len();
        let (fits, long) = ("x".repeat(longest), "x".repeat(longest + 1));
        let escaped = format!("{} ", "x".repeat(longest - 1));
        let good = [
            "a\\b",
            "\\\\x",
            "\"q'",
            " ",
            "\t",
            "\u{0}",
            "💙",
            "#x",
            fits.as_str(),
        ];
        let bad = [
            "", "a\nb", "a\rb", "a\\", "a\\,b", "a\\=b", "a\\ b", &long, &escaped,
        ];
        let points: Vec<_> = (0..)
            .zip(good.iter().chain(&bad))
            .map(|(id, task)| point(id, 0, task))
            .collect();
        let (_, refused) = lines(&points);
        let expected: Vec<usize> = (good.len()..points.len()).collect();
        assert_eq!(refused, expected);

        for score in [f32::NAN, f32::INFINITY, -0.1, 1.1] {
            let mut point = point(1, 0, "t");
            point.value.neu = score;
            assert_eq!(lines(&[point]).1, [0], "{score}");
        }
    }
}
