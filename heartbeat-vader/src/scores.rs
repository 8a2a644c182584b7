//! VADER's four numbers as heartbeat's three shares and a label.

use heartbeat_core::{Label, Scores};
use vader_parity::SentimentScores;

/// From this compound score on a text is positive, from its opposite down negative.
const CUT: f64 = 0.05;

/// Less than half a thousandth, so that a share that moves by it still rounds to where it was.
const MOST: f64 = 0.000_46;

/// The shares as VADER gives them, made to sum to 1, and the label its compound score decides.
pub(crate) fn from_vader(vader: SentimentScores) -> Scores {
    let [neg, neu, pos] = shares([vader.neg, vader.neu, vader.pos]);
    Scores {
        neg: neg as f32,
        neu: neu as f32,
        pos: pos as f32,
        label: label(vader.compound),
    }
}

/// Gives back what rounding to three decimals took from the sum, or takes what it added.
///
/// That is a thousandth at most, in equal parts to every share that can move that way. Two shares
/// can only move by [`MOST`]; what is left then is within [`Scores::TOLERANCE`].
fn shares(rounded: [f64; 3]) -> [f64; 3] {
    let sum: f64 = rounded.iter().sum();
    if sum == 0.0 {
        return [0.0, 1.0, 0.0]; // nothing to score
    }
    let excess = (sum * 1000.0).round() / 1000.0 - 1.0;
    if excess == 0.0 {
        return rounded;
    }
    let moves = |share: f64| excess < 0.0 || share > 0.0;
    let movable = rounded.iter().filter(|&&share| moves(share)).count();
    let step = (excess / movable as f64).clamp(-MOST, MOST);
    rounded.map(|share| if moves(share) { share - step } else { share })
}

fn label(compound: f64) -> Label {
    if compound >= CUT {
        Label::Positive
    } else if compound <= -CUT {
        Label::Negative
    } else {
        Label::Neutral
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn thousandths(share: f32) -> i64 {
        (f64::from(share) * 1000.0).round() as i64
    }

    fn check(neg: i64, neu: i64, pos: i64) {
        let vader = SentimentScores {
            neg: neg as f64 / 1000.0,
            neu: neu as f64 / 1000.0,
            pos: pos as f64 / 1000.0,
            compound: 0.0,
        };
        let scores = from_vader(vader).checked().expect("shares that sum to 1");
        assert_eq!(
            [scores.neg, scores.neu, scores.pos].map(thousandths),
            [neg, neu, pos],
            "{scores:?}"
        );
    }

    proptest! {
        #[test]
        fn shares_sum_to_one_and_round_as_they_were(neg in 0_i64..=1000, pos in 0_i64..=1000, excess in -1_i64..=1) {
            let neu = 1000 + excess - neg - pos;
            // A sum above 1 needs two shares to have been rounded up.
            let shares = [neg, neu, pos].iter().filter(|&&share| share > 0).count();
            prop_assume!((0..=1000).contains(&neu) && (excess < 1 || shares > 1));
            check(neg, neu, pos);
        }
    }

    #[test]
    fn a_share_alone_and_two_at_a_tie_round_as_they_were() {
        check(0, 999, 0);
        check(0, 999, 2);
        check(999, 0, 0);
        check(500, 501, 0);
    }

    #[test]
    fn nothing_to_score_is_neutral() {
        let nothing = SentimentScores {
            neg: 0.0,
            neu: 0.0,
            pos: 0.0,
            compound: 0.0,
        };
        let neutral = Scores::new(0.0, 1.0, 0.0).expect("shares");
        assert_eq!(from_vader(nothing), neutral);
    }

    #[test]
    fn the_compound_decides_the_label() {
        for (compound, expected) in [
            (0.05, Label::Positive),
            (0.0499, Label::Neutral),
            (0.0, Label::Neutral),
            (-0.0499, Label::Neutral),
            (-0.05, Label::Negative),
        ] {
            assert_eq!(label(compound), expected, "{compound}");
        }
    }
}
