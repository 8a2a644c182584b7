//! How well labels agree with the truth.

use heartbeat_core::Label;

/// How often each truth got each label.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Confusion([[u64; 3]; 3]);

impl Confusion {
    /// Counts one text.
    pub(crate) fn add(&mut self, truth: Label, said: Label) {
        self.0[truth as usize][said as usize] += 1;
    }

    /// How many texts of this truth got this label.
    pub(crate) fn count(&self, truth: Label, said: Label) -> u64 {
        self.0[truth as usize][said as usize]
    }

    /// Rows are truths, columns are labels, both from negative to positive.
    pub(crate) fn rows(&self) -> [[u64; 3]; 3] {
        self.0
    }

    /// How many texts.
    pub(crate) fn total(&self) -> u64 {
        self.0.as_flattened().iter().sum()
    }

    /// How many texts have this truth.
    pub(crate) fn support(&self, truth: Label) -> u64 {
        self.0[truth as usize].iter().sum()
    }

    /// The share of all texts that got the right label; `None` when there are none.
    pub(crate) fn accuracy(&self) -> Option<f64> {
        let right = Label::ALL.map(|label| self.count(label, label));
        share(right.iter().sum(), self.total())
    }

    /// The share of the texts of this label that deserve it; `None` when none got it.
    pub(crate) fn precision(&self, label: Label) -> Option<f64> {
        share(self.count(label, label), self.said(label))
    }

    /// The share of the texts of this truth that were found; `None` when it never occurs.
    pub(crate) fn recall(&self, truth: Label) -> Option<f64> {
        share(self.count(truth, truth), self.support(truth))
    }

    /// The harmonic mean of precision and recall, 0 when nothing was found; `None` when this truth
    /// never occurs.
    pub(crate) fn f1(&self, truth: Label) -> Option<f64> {
        let support = self.support(truth);
        let all = support + self.said(truth);
        (support > 0).then(|| 2.0 * self.count(truth, truth) as f64 / all as f64)
    }

    /// The mean recall of the classes that occur.
    pub(crate) fn macro_recall(&self) -> Option<f64> {
        mean(Label::ALL.map(|label| self.recall(label)))
    }

    /// The mean F1 of the classes that occur.
    pub(crate) fn macro_f1(&self) -> Option<f64> {
        mean(Label::ALL.map(|label| self.f1(label)))
    }

    fn said(&self, label: Label) -> u64 {
        self.0.iter().map(|row| row[label as usize]).sum()
    }
}

fn share(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

fn mean(values: [Option<f64>; 3]) -> Option<f64> {
    let known: Vec<f64> = values.into_iter().flatten().collect();
    (!known.is_empty()).then(|| known.iter().sum::<f64>() / known.len() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use Label::*;

    fn near(value: Option<f64>, expected: f64) {
        let value = value.expect("a number");
        assert!(
            (value - expected).abs() < 1e-12,
            "{value} is not {expected}"
        );
    }

    #[test]
    fn agrees_with_what_is_worked_out_by_hand() {
        let confusion = Confusion([[5, 3, 2], [1, 6, 3], [0, 2, 8]]);
        assert_eq!(confusion.total(), 30);
        assert_eq!(confusion.support(Neutral), 10);
        near(confusion.accuracy(), 19.0 / 30.0);
        near(confusion.precision(Negative), 5.0 / 6.0);
        near(confusion.precision(Neutral), 6.0 / 11.0);
        near(confusion.recall(Negative), 0.5);
        near(confusion.recall(Positive), 0.8);
        near(confusion.f1(Negative), 0.625); // 2 · 5/6 · 1/2 ÷ (5/6 + 1/2)
        near(confusion.macro_recall(), (0.5 + 0.6 + 0.8) / 3.0);
        near(
            confusion.macro_f1(),
            (0.625 + 12.0 / 21.0 + 16.0 / 23.0) / 3.0,
        );
    }

    #[test]
    fn a_class_that_never_occurs_is_left_out_of_the_means() {
        let confusion = Confusion([[3, 0, 1], [0, 0, 0], [1, 1, 2]]);
        assert_eq!(confusion.recall(Neutral), None);
        assert_eq!(confusion.f1(Neutral), None);
        near(confusion.precision(Neutral), 0.0);
        near(confusion.macro_recall(), (0.75 + 0.5) / 2.0);
        near(confusion.macro_f1(), (0.75 + 4.0 / 7.0) / 2.0);
    }

    #[test]
    fn a_class_that_is_never_found_counts_as_nothing() {
        let confusion = Confusion([[0, 4, 0], [0, 4, 0], [0, 0, 2]]);
        assert_eq!(confusion.precision(Negative), None);
        near(confusion.f1(Negative), 0.0);
        near(confusion.macro_recall(), 2.0 / 3.0);
    }

    #[test]
    fn nothing_counted_gives_no_numbers() {
        let none = Confusion::default();
        assert_eq!(none.accuracy(), None);
        assert_eq!(none.macro_recall(), None);
        assert_eq!(none.macro_f1(), None);
    }

    #[test]
    fn rows_are_the_truth_and_columns_the_label() {
        let mut confusion = Confusion::default();
        confusion.add(Negative, Positive);
        assert_eq!(confusion.rows(), [[0, 0, 1], [0, 0, 0], [0, 0, 0]]);
    }
}
