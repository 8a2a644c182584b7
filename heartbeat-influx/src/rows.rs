//! Answers to queries: CSV, a header before the rows of each table.

use std::str::FromStr;

use csv::StringRecord;
use heartbeat_core::{Error, Result, remote};
use jiff::Timestamp;

use crate::place::second_of;

/// One row, with the names of its cells.
#[derive(Debug)]
pub(crate) struct Row<'r> {
    header: &'r StringRecord,
    cells: &'r StringRecord,
}

/// What `read` makes of each row.
///
/// # Errors
/// That of `read`; or that the answer is none in this form, or tells of an error.
pub(crate) fn rows<T>(csv: &[u8], read: impl Fn(&Row<'_>) -> Result<T>) -> Result<Vec<T>> {
    let mut records = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .from_reader(csv);
    let mut header = StringRecord::new();
    let mut rows = Vec::new();
    for record in records.records() {
        let record = record.map_err(|error| {
            let place = error.position().map_or(0, csv::Position::line);
            strange("is no CSV").with("line", place).caused_by(error)
        })?;
        if is_header(&record) {
            header = record;
        } else if header.get(0) == Some("error") || header.get(1) == Some("error") {
            // It began to answer before it failed.
            let words: Vec<&str> = record.iter().filter(|cell| !cell.is_empty()).collect();
            return Err(
                Error::unavailable("InfluxDB failed in the midst of an answer")
                    .with("answer", remote::words(&words.join(" "))),
            );
        } else {
            rows.push(read(&Row {
                header: &header,
                cells: &record,
            })?);
        }
    }
    Ok(rows)
}

fn is_header(record: &StringRecord) -> bool {
    let starts = |start: &[&str]| record.iter().take(start.len()).eq(start.iter().copied());
    starts(&["", "result", "table"])
        || starts(&["error", "reference"])
        || starts(&["", "error", "reference"])
}

impl Row<'_> {
    pub(crate) fn text(&self, column: &str) -> Result<&str> {
        let index = self.header.iter().position(|name| name == column);
        index
            .and_then(|index| self.cells.get(index))
            .ok_or_else(|| strange("lacks a column").with("column", column))
    }

    pub(crate) fn number<N: FromStr>(&self, column: &str) -> Result<N> {
        let text = self.text(column)?;
        text.parse()
            .map_err(|_| self.wrong("holds what should be a number and is none", column, text))
    }

    /// In whole seconds since 1970.
    pub(crate) fn second<S: TryFrom<i64>>(&self, column: &str) -> Result<S> {
        let (second, text) = (second_of(self.nanosecond(column)?), self.text(column)?);
        S::try_from(second).map_err(|_| self.out_of_range(column, text))
    }

    /// In nanoseconds since 1970.
    pub(crate) fn nanosecond(&self, column: &str) -> Result<i64> {
        let text = self.text(column)?;
        let time: Timestamp = text
            .parse()
            .map_err(|_| self.wrong("holds what should be a time and is none", column, text))?;
        i64::try_from(time.as_nanosecond()).map_err(|_| self.out_of_range(column, text))
    }

    fn out_of_range(&self, column: &str, text: &str) -> Error {
        self.wrong("holds a time out of range", column, text)
    }

    fn wrong(&self, what: &str, column: &str, text: &str) -> Error {
        strange(what)
            .with("column", column)
            .with("value", remote::words(text))
    }
}

fn strange(what: &str) -> Error {
    Error::misconfigured(format!("InfluxDB's answer to a query {what}"))
        .hint("Check InfluxDB's `url`, and whether others write to this measurement of the bucket.")
}

#[cfg(test)]
mod tests {
    use heartbeat_core::ErrorKind;

    use super::*;

    fn read(csv: &str) -> Result<Vec<(String, i64, i64)>> {
        rows(csv.as_bytes(), |row| {
            Ok((
                row.text("task")?.to_owned(),
                row.second::<i64>("_time")?,
                row.number("id")?,
            ))
        })
    }

    #[test]
    fn cells_are_found_by_their_names_in_every_table() {
        let csv = ",result,table,_time,task,id\r\n,a,0,1970-01-01T00:01:00Z,\"a,\"\"b\"\"\",-7\r\n\r\n\
                   ,result,table,id,task,_time\r\n,b,0,1,t,1969-12-31T23:59:59.5Z\r\n\r\n";
        let expected = [("a,\"b\"".to_owned(), 60, -7), ("t".to_owned(), -1, 1)];
        assert_eq!(read(csv).unwrap(), expected);
        assert_eq!(read("\r\n").unwrap(), []);
    }

    #[test]
    fn what_is_no_answer_is_an_error_and_no_panic() {
        let head = ",result,table,_time,task,id\r\n";
        for (csv, kind, says) in [
            (
                "<html>\n<p>a,b</p>".to_owned(),
                ErrorKind::Misconfigured,
                "lacks a column",
            ),
            (
                format!("{head},a,0,x,t,1\r\n"),
                ErrorKind::Misconfigured,
                "column _time, value x",
            ),
            (
                format!("{head},a,0,1970-01-01T00:00:00Z,t,\r\n"),
                ErrorKind::Misconfigured,
                "column id",
            ),
            (
                format!("{head},a,0\r\n"),
                ErrorKind::Misconfigured,
                "lacks a column",
            ),
            (
                format!("{head},a,0,,,\r\n\r\nerror,reference\r\nout of memory,897\r\n"),
                ErrorKind::Misconfigured,
                "_time",
            ),
            (
                "error,reference\r\nout of memory,897\r\n".to_owned(),
                ErrorKind::Unavailable,
                "out of memory 897",
            ),
        ] {
            let error = read(&csv).unwrap_err();
            assert_eq!(error.kind(), kind, "{csv}: {error:?}");
            assert!(error.to_string().contains(says), "{csv}: {error}");
        }
        let error = rows(b",result,table,a\r\n,,0,\xff\r\n", |row| {
            row.number::<i64>("a")
        });
        assert_eq!(error.unwrap_err().kind(), ErrorKind::Misconfigured);
    }

    proptest::proptest! {
        #[test]
        fn no_answer_makes_it_panic(csv: Vec<u8>, rows_of: String) {
            let all = |row: &Row<'_>| Ok((row.second::<i64>("_time")?, row.number::<f64>("pos")?));
            let _ = rows(&csv, all);
            let _ = rows(format!(",result,table,_time,pos\r\n{rows_of}").as_bytes(), all);
        }
    }
}
