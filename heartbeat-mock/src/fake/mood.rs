//! How the mood of a subject goes up and down.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::Rng;

/// Three waves of different lengths, which together seem to wander. A function of the post's number
/// alone, in nothing but the four operations, so that it is the same everywhere.
#[derive(Debug)]
pub(super) struct Mood([Wave; 3]);

#[derive(Debug)]
struct Wave {
    height: f64,
    /// In posts.
    length: f64,
    /// Where it begins, as a share of its length.
    phase: f64,
}

impl Mood {
    /// A mood that is unlike any other's.
    pub(super) fn new(rng: &mut ChaCha8Rng) -> Self {
        Self(
            [(0.5, 1500.0), (0.3, 400.0), (0.2, 90.0)].map(|(height, length)| Wave {
                height,
                length: length * (0.75 + 0.5 * fraction(rng.next_u32())),
                phase: fraction(rng.next_u32()),
            }),
        )
    }

    /// From −1, as bad as can be, to 1.
    pub(super) fn at(&self, index: u64) -> f64 {
        self.0.iter().map(|wave| wave.at(index)).sum()
    }
}

impl Wave {
    /// Nearly a sine: two parabolas.
    fn at(&self, index: u64) -> f64 {
        let place = index as f64 / self.length + self.phase;
        let place = place - place.floor();
        let shape = if place < 0.5 {
            16.0 * place * (0.5 - place)
        } else {
            -16.0 * (place - 0.5) * (1.0 - place)
        };
        self.height * shape
    }
}

/// From 0 to below 1.
pub(super) fn fraction(random: u32) -> f64 {
    f64::from(random) / (f64::from(u32::MAX) + 1.0)
}
