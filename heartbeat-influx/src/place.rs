//! Where in its second a tweet's point lies.

use heartbeat_core::TweetId;

/// Milliseconds since 1970 at which the ids that X gives out begin to count, 2010-11-04T01:42:54.657Z.
const X_EPOCH: i64 = 1_288_834_974_657;

/// A millisecond of nanoseconds is shared by 1,024 of X's workers: so many for each.
const PER_WORKER: i64 = 976;

const NANOS_PER_SECOND: i64 = 1_000_000_000;

/// The place of a point among those of its task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    /// Nanoseconds since 1970.
    pub(crate) nanos: i64,
    /// Whether no other tweet of X can be there.
    pub(crate) exclusive: bool,
}

impl Place {
    /// The place of the tweet `id` of the second `time`: the same one whenever it is asked for.
    ///
    /// An id of X tells its own millisecond, the worker that gave it out and a number there
    /// (<https://github.com/twitter-archive/snowflake>). Where that millisecond is in the second, the point lies at it, behind
    /// those of smaller workers and numbers, and no other id does. Any other id, also one whose number is 976 or more, lies
    /// at its last nine digits, where another one may be.
    pub(crate) fn of(id: TweetId, time: i32) -> Self {
        let second = i64::from(time);
        let milliseconds = (id.0 >> 22) + X_EPOCH;
        let (worker, number) = (id.0 >> 12 & 0x3ff, id.0 & 0xfff);
        let told = id.0 > 0 && milliseconds.div_euclid(1000) == second && number < PER_WORKER;
        let within = if told {
            milliseconds.rem_euclid(1000) * 1_000_000 + worker * PER_WORKER + number
        } else {
            id.0.rem_euclid(NANOS_PER_SECOND)
        };
        Self {
            nanos: second * NANOS_PER_SECOND + within,
            exclusive: told,
        }
    }
}

/// Where a second begins, in nanoseconds. Seconds up to one behind the last of an `i32` will do.
pub(crate) fn start_of(second: i64) -> i64 {
    second * NANOS_PER_SECOND
}

/// The second of a nanosecond, before 1970 too.
pub(crate) fn second_of(nanos: i64) -> i64 {
    nanos.div_euclid(NANOS_PER_SECOND)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    /// 2022-05-09 05:17:42 UTC, and an id of its millisecond 123.
    const SECOND: i32 = 1_652_073_462;

    fn id(millisecond: i64, worker: i64, number: i64) -> TweetId {
        let milliseconds = i64::from(SECOND) * 1000 + millisecond;
        TweetId((milliseconds - X_EPOCH) << 22 | worker << 12 | number)
    }

    fn place(id: TweetId) -> Place {
        Place::of(id, SECOND)
    }

    #[test]
    fn an_id_of_x_lies_at_its_own_millisecond() {
        let start = i64::from(SECOND) * NANOS_PER_SECOND;
        for (id, within) in [
            (id(0, 0, 0), 0),
            (id(123, 0, 0), 123_000_000),
            (id(123, 0, 7), 123_000_007),
            (id(123, 2, 7), 123_001_959),
            (id(999, 1023, 975), 999_999_423),
        ] {
            let (nanos, exclusive) = (start + within, true);
            assert_eq!(place(id), Place { nanos, exclusive });
        }
    }

    #[test]
    fn any_other_id_lies_at_its_last_digits() {
        let start = i64::from(SECOND) * NANOS_PER_SECOND;
        for (id, within) in [
            (TweetId(0), 0),
            (TweetId(1), 1),
            (TweetId(-1), 999_999_999),
            (TweetId(7_123_456_789), 123_456_789),
            (TweetId(i64::MAX), 854_775_807),
            (TweetId(i64::MIN), 145_224_192),
            // X's, of another second.
            (TweetId(1_523_542_345_123_456_789), 123_456_789),
            // X's, but too many came before it.
            (id(123, 0, 976), id(123, 0, 976).0 % NANOS_PER_SECOND),
        ] {
            let (nanos, exclusive) = (start + within, false);
            assert_eq!(place(id), Place { nanos, exclusive }, "{id:?}");
        }
    }

    #[test]
    fn a_run_of_numbers_has_a_place_for_each() {
        let places: HashSet<_> = (0..10_000).map(|id| place(TweetId(id)).nanos).collect();
        assert_eq!(places.len(), 10_000);
    }

    proptest! {
        #[test]
        fn a_place_is_in_its_second(id: i64, time: i32) {
            let nanos = Place::of(TweetId(id), time).nanos;
            let second = i64::from(time);
            prop_assert!((start_of(second)..start_of(second + 1)).contains(&nanos));
        }

        #[test]
        fn no_two_ids_of_x_share_a_place_and_their_order_is_kept(
            one in (0i64..1000, 0i64..1024, 0i64..976),
            other in (0i64..1000, 0i64..1024, 0i64..976),
        ) {
            let [one, other] = [one, other].map(|(ms, worker, number)| id(ms, worker, number));
            let order = one.cmp(&other);
            prop_assert_eq!(place(one).nanos.cmp(&place(other).nanos), order);
        }
    }
}
