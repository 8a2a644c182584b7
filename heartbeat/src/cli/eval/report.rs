//! What an evaluation found, as a table and as JSON.

use std::fmt;
use std::time::Duration;

use heartbeat_core::Label;
use indicatif::HumanCount;
use serde::Serialize;

use super::metrics::Confusion;

/// What an evaluation found.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    /// How many texts were scored.
    pub(crate) texts: u64,
    /// How many rows were left out.
    pub(crate) bad_rows: u64,
    pub(crate) accuracy: f64,
    /// The mean over the classes that occur, as is the next.
    pub(crate) macro_recall: f64,
    pub(crate) macro_f1: f64,
    /// The classes that never occur.
    pub(crate) absent: Vec<Label>,
    pub(crate) classes: Classes,
    /// Rows are the truth, columns the label.
    pub(crate) confusion: [[u64; 3]; 3],
    /// By the time that scoring took, reading left out.
    pub(crate) texts_per_second: f64,
}

#[derive(Debug, Serialize)]
pub(crate) struct Classes {
    negative: Class,
    neutral: Class,
    positive: Class,
}

#[derive(Debug, Serialize)]
pub(crate) struct Class {
    texts: u64,
    precision: Option<f64>,
    recall: Option<f64>,
    f1: Option<f64>,
}

impl Report {
    /// The report on what was counted; `None` when that is nothing.
    pub(crate) fn new(confusion: &Confusion, bad_rows: u64, scoring: Duration) -> Option<Self> {
        let class = |label| Class {
            texts: confusion.support(label),
            precision: confusion.precision(label),
            recall: confusion.recall(label),
            f1: confusion.f1(label),
        };
        let texts = confusion.total();
        Some(Self {
            texts,
            bad_rows,
            accuracy: confusion.accuracy()?,
            macro_recall: confusion.macro_recall()?,
            macro_f1: confusion.macro_f1()?,
            absent: Label::ALL
                .into_iter()
                .filter(|label| confusion.support(*label) == 0)
                .collect(),
            classes: Classes {
                negative: class(Label::Negative),
                neutral: class(Label::Neutral),
                positive: class(Label::Positive),
            },
            confusion: confusion.rows(),
            texts_per_second: texts as f64 / scoring.as_secs_f64().max(f64::EPSILON),
        })
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rate = HumanCount(self.texts_per_second as u64).to_string();
        writeln!(f, "texts         {:>7}", HumanCount(self.texts).to_string())?;
        if self.bad_rows > 0 {
            writeln!(
                f,
                "bad rows      {:>7}",
                HumanCount(self.bad_rows).to_string()
            )?;
        }
        writeln!(f, "texts/second  {rate:>7}")?;
        writeln!(f, "accuracy      {:>7.3}", self.accuracy)?;
        writeln!(f, "macro recall  {:>7.3}", self.macro_recall)?;
        writeln!(f, "macro F1      {:>7.3}", self.macro_f1)?;
        for label in &self.absent {
            writeln!(f, "No text is {label}: left out of the macro means.")?;
        }

        let classes = [
            (Label::Negative, &self.classes.negative),
            (Label::Neutral, &self.classes.neutral),
            (Label::Positive, &self.classes.positive),
        ];
        writeln!(f, "\n          precision     recall         F1      texts")?;
        for (label, class) in classes {
            let [precision, recall, f1] = [class.precision, class.recall, class.f1].map(Known);
            let texts = HumanCount(class.texts).to_string();
            writeln!(
                f,
                "{label:<8} {precision:>10} {recall:>10} {f1:>10} {texts:>10}"
            )?;
        }

        writeln!(f, "\ntruth ↓ label →  negative    neutral   positive")?;
        for (label, row) in Label::ALL.into_iter().zip(self.confusion) {
            let [negative, neutral, positive] = row.map(|count| HumanCount(count).to_string());
            writeln!(f, "{label:<14} {negative:>10} {neutral:>10} {positive:>10}")?;
        }
        Ok(())
    }
}

/// A share, or a dash where there is none.
struct Known(Option<f64>);

impl fmt::Display for Known {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(share) => f.pad(&format!("{share:.3}")),
            None => f.pad("–"),
        }
    }
}
