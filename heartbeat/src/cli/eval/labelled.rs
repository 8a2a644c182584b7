//! Texts whose mood people have judged, as data sets write them.

use heartbeat_core::{Error, Label, Result};
use serde::Deserialize;
use serde_json::Value;

/// A text and what people say of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Labelled {
    /// The text.
    pub(crate) text: String,
    /// Its mood.
    pub(crate) truth: Label,
}

/// Reads labelled texts line by line.
#[derive(Debug)]
pub(crate) struct LabelledReader {
    neutral_within: f64,
    form: Option<Form>,
}

/// How the lines are written: settled by the first one that tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// An object a line.
    Json,
    /// Columns that a header names.
    Named {
        columns: usize,
        text: usize,
        truth: usize,
    },
    /// Text, label or valence.
    TextTruth,
    /// Id, label or valence, text.
    IdTruthText,
}

#[derive(Deserialize)]
struct Row {
    text: String,
    #[serde(default)]
    label: Value,
    #[serde(default)]
    valence: Value,
}

impl LabelledReader {
    /// A reader for which a valence of at most `neutral_within`, either way, is neutral.
    pub(crate) fn new(neutral_within: f64) -> Self {
        Self {
            neutral_within,
            form: None,
        }
    }

    /// Reads one line; `None` when it is blank or a header.
    pub(crate) fn read(&mut self, line: &str) -> Result<Option<Labelled>> {
        if line.trim().is_empty() {
            return Ok(None);
        }
        let form = match self.form {
            Some(form) => form,
            None => {
                if let Some(header) = header(line) {
                    self.form = Some(header);
                    return Ok(None);
                }
                *self.form.insert(self.form_of(line)?)
            }
        };
        let (text, truth) = match form {
            Form::Json => return self.json(line).map(Some),
            Form::Named {
                columns,
                text,
                truth,
            } => {
                let fields: Vec<&str> = line.splitn(columns, '\t').collect();
                match (fields.get(text), fields.get(truth)) {
                    (Some(text), Some(truth)) => (*text, *truth),
                    _ => {
                        return Err(Error::invalid("the line has fewer columns than the header")
                            .with("columns", fields.len()));
                    }
                }
            }
            Form::TextTruth => line.rsplit_once('\t').ok_or_else(no_columns)?,
            Form::IdTruthText => {
                let mut fields = line.splitn(3, '\t').skip(1);
                match (fields.next(), fields.next()) {
                    (Some(truth), Some(text)) => (text, truth),
                    _ => return Err(no_columns()),
                }
            }
        };
        Ok(Some(Labelled {
            text: text.to_owned(),
            truth: self.truth(truth)?,
        }))
    }

    /// What a line without a header before it looks like.
    fn form_of(&self, line: &str) -> Result<Form> {
        if line.trim_start().starts_with('{') {
            return Ok(Form::Json);
        }
        let fields: Vec<&str> = line.splitn(3, '\t').collect();
        match fields[..] {
            [_, truth, _] if self.truth(truth).is_ok() => Ok(Form::IdTruthText),
            [_, truth] => self.truth(truth).map(|_| Form::TextTruth),
            _ => Err(no_columns()),
        }
    }

    fn json(&self, line: &str) -> Result<Labelled> {
        let row: Row = serde_json::from_str(line)
            .map_err(|error| Error::invalid("not a labelled text").caused_by(error))?;
        let truth = match (&row.label, &row.valence) {
            (Value::String(label), _) => named(label).ok_or_else(|| no_truth(label))?,
            (Value::Null, Value::Number(valence)) => {
                self.valence(valence.as_f64().unwrap_or(f64::NAN))?
            }
            (Value::Null, Value::Null) => {
                return Err(Error::invalid("the text has no `label` and no `valence`"));
            }
            (Value::Null, valence) => return Err(no_truth(&valence.to_string())),
            // Some data sets count from 0, some from -1.
            (label, _) => return Err(no_truth(&label.to_string())),
        };
        Ok(Labelled {
            text: row.text,
            truth,
        })
    }

    fn truth(&self, field: &str) -> Result<Label> {
        let field = field.trim();
        match (named(field), field.parse()) {
            (Some(label), _) => Ok(label),
            (None, Ok(valence)) => self.valence(valence),
            _ => Err(no_truth(field)),
        }
    }

    fn valence(&self, valence: f64) -> Result<Label> {
        if !valence.is_finite() {
            return Err(no_truth(&valence.to_string()));
        }
        Ok(if valence > self.neutral_within {
            Label::Positive
        } else if valence < -self.neutral_within {
            Label::Negative
        } else {
            Label::Neutral
        })
    }
}

/// The columns, when the line names them.
fn header(line: &str) -> Option<Form> {
    let names: Vec<String> = line
        .split('\t')
        .map(|name| name.trim().to_ascii_lowercase())
        .collect();
    let place = |wanted: &str| names.iter().position(|name| name == wanted);
    Some(Form::Named {
        columns: names.len(),
        text: place("text")?,
        truth: place("label").or_else(|| place("valence"))?,
    })
}

fn named(name: &str) -> Option<Label> {
    Label::ALL
        .into_iter()
        .find(|label| name.eq_ignore_ascii_case(label.as_str()))
}

fn no_truth(value: &str) -> Error {
    let shown: String = value.chars().take(40).collect();
    Error::invalid("neither a label (negative, neutral, positive) nor a valence (a number)")
        .with("value", shown)
}

fn no_columns() -> Error {
    Error::invalid("not the columns `text, label` or `id, valence, text`, parted by tabs")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Text and truth of the good lines; what is wrong with the bad ones.
    fn read(lines: &[&str]) -> Vec<std::result::Result<(String, Label), String>> {
        let mut reader = LabelledReader::new(0.5);
        lines
            .iter()
            .filter_map(|line| reader.read(line).transpose())
            .map(|row| match row {
                Ok(row) => Ok((row.text, row.truth)),
                Err(error) => Err(error.to_string()),
            })
            .collect()
    }

    fn good(rows: &[(&str, Label)]) -> Vec<std::result::Result<(String, Label), String>> {
        rows.iter()
            .map(|&(text, truth)| Ok((text.to_owned(), truth)))
            .collect()
    }

    #[test]
    fn objects_have_a_label_or_a_valence() {
        use Label::*;
        assert_eq!(
            read(&[
                r#"{"text":"a","label":"Negative"}"#,
                "",
                r#"{"id":7,"valence":0.5,"text":"b"}"#,
                r#"{"text":"c","valence":0.51}"#,
                r#"{"text":"d","valence":-1}"#,
                r#"{"text":"e","label":"neutral","valence":4}"#,
            ]),
            good(&[
                ("a", Negative),
                ("b", Neutral),
                ("c", Positive),
                ("d", Negative),
                ("e", Neutral)
            ])
        );
    }

    #[test]
    fn an_object_without_a_clear_truth_is_refused() {
        for line in [
            r#"{"text":"a"}"#,
            r#"{"text":"a","label":"mixed"}"#,
            r#"{"text":"a","label":2}"#,
            r#"{"text":"a","valence":"high"}"#,
            r#"{"label":"neutral"}"#,
            r#"{"text":7,"label":"neutral"}"#,
            r#"{"text":"a","#,
        ] {
            assert!(read(&[line])[0].is_err(), "{line}");
        }
    }

    #[test]
    fn columns_are_known_by_their_shape() {
        use Label::*;
        assert_eq!(
            read(&["so good\tpositive", "meh\t-0.5", "tab\there\tNEGATIVE"]),
            good(&[
                ("so good", Positive),
                ("meh", Neutral),
                ("tab\there", Negative)
            ])
        );
        // As VADER's ground truth is written; its texts may look like anything.
        assert_eq!(
            read(&["1\t2.85\tso good", "2\t-1.5\t{bad\tday}", "3\t0.5\t4"]),
            good(&[
                ("so good", Positive),
                ("{bad\tday}", Negative),
                ("4", Neutral)
            ])
        );
    }

    #[test]
    fn columns_are_known_by_their_header() {
        use Label::*;
        assert_eq!(
            read(&["Text\tlang\tLabel", "so good\ten\tpositive"]),
            good(&[("so good", Positive)])
        );
        assert_eq!(
            read(&["id\tvalence\ttext", "1\t-2\ta\tb"]),
            good(&[("a\tb", Negative)])
        );
    }

    #[test]
    fn a_bad_row_does_not_settle_the_form() {
        let rows = read(&[
            "no tab",
            "a\tb\tc",
            "a\thigh",
            "1\tnan\tx",
            "good\tpositive",
            "1",
        ]);
        assert!(
            rows[..4].iter().all(std::result::Result::is_err),
            "{rows:?}"
        );
        assert_eq!(rows[4..5], good(&[("good", Label::Positive)]));
        assert!(rows[5].is_err());
    }
}
