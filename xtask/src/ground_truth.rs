//! The file of rated tweets: its lines in, heartbeat's input lines out.

use anyhow::{Context, Result, ensure};
use serde::Serialize;

/// How many tweets the data set has.
const TWEETS: usize = 4200;

/// A tweet with the mean of its ratings by twenty people.
#[derive(Debug, PartialEq)]
struct Rated<'a> {
    /// Its place in the file, from 1; also its id there.
    number: usize,
    /// From −4, most negative, to 4, most positive.
    valence: f64,
    text: &'a str,
}

/// An input line of heartbeat, with the human rating beside.
#[derive(Serialize)]
struct InputLine<'a> {
    id: String,
    text: &'a str,
    created_at: String,
    task: &'static str,
    valence: f64,
}

/// Turns the whole file into JSON lines.
///
/// # Errors
/// The file does not have exactly the tweets it should; a bad line is named by its number.
pub(crate) fn to_jsonl(file: &[u8]) -> Result<Vec<u8>> {
    let tweets = parse(file)?;
    ensure!(
        tweets.len() == TWEETS,
        "{} tweets where {TWEETS} should be",
        tweets.len()
    );
    let mut jsonl = Vec::with_capacity(2 * file.len());
    for tweet in &tweets {
        serde_json::to_writer(&mut jsonl, &input_line(tweet))?;
        jsonl.push(b'\n');
    }
    Ok(jsonl)
}

/// Every line of the file. The last one may or may not be ended.
fn parse(file: &[u8]) -> Result<Vec<Rated<'_>>> {
    file.strip_suffix(b"\n")
        .unwrap_or(file)
        .split(|&byte| byte == b'\n')
        .zip(1..)
        .map(|(line, number)| {
            parse_line(line, number).with_context(|| format!("bad line {number}"))
        })
        .collect()
}

/// `id TAB rating TAB text`, where the id is the line's own number, so that no two are alike.
fn parse_line(line: &[u8], number: usize) -> Result<Rated<'_>> {
    let line = str::from_utf8(line).context("not UTF-8")?;
    let line = line.strip_suffix('\r').unwrap_or(line);
    let mut fields = line.splitn(3, '\t');
    let mut field = |name| fields.next().with_context(|| format!("no {name}"));
    let (id, rating, text) = (field("id")?, field("rating")?, field("text")?);

    ensure!(
        id.parse() == Ok(number),
        "id {id:?} where {number} should be"
    );
    let valence = rating
        .parse()
        .with_context(|| format!("rating {rating:?} is not a number"))?;
    ensure!(
        (-4.0..=4.0).contains(&valence),
        "rating {valence} is not within -4 and 4"
    );
    ensure!(!text.trim().is_empty(), "no text");
    Ok(Rated {
        number,
        valence,
        text,
    })
}

/// The data has no times: tweet number n gets the n-th second of 1 June 2014.
fn input_line<'a>(tweet: &Rated<'a>) -> InputLine<'a> {
    let n = tweet.number;
    let (hour, minute, second) = (n / 3600, n / 60 % 60, n % 60);
    InputLine {
        id: n.to_string(),
        text: tweet.text,
        created_at: format!("2014-06-01T{hour:02}:{minute:02}:{second:02}Z"),
        task: "hutto-2014",
        valence: tweet.valence,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is said of a file, in one line.
    fn complaint(file: &[u8]) -> String {
        format!("{:#}", parse(file).unwrap_err())
    }

    #[test]
    fn lines_may_end_as_on_windows_and_the_last_not_at_all() {
        let tweets = parse(b"1\t2.5\tso lucky\r\n2\t-1\ta\tb").unwrap();
        let texts: Vec<_> = tweets.iter().map(|it| (it.valence, it.text)).collect();
        assert_eq!(texts, [(2.5, "so lucky"), (-1.0, "a\tb")]);
    }

    #[test]
    fn a_bad_line_is_named_by_its_number() {
        let bad: [(&[u8], &str); 8] = [
            (b"", "no rating"),
            (b"2", "no rating"),
            (b"2\t1", "no text"),
            (b"2\t1\t ", "no text"),
            (b"1\t1\ttwice", "id \"1\" where 2 should be"),
            (b"2\tgood\tx", "rating \"good\" is not a number"),
            (b"2\t4.5\tx", "rating 4.5 is not within -4 and 4"),
            (b"2\t1\t\xff", "not UTF-8"),
        ];
        for (line, expected) in bad {
            let said = complaint(&[b"1\t0\tfine\n", line, b"\n"].concat());
            assert!(
                said.starts_with(&format!("bad line 2: {expected}")),
                "{said}"
            );
        }
        assert!(complaint(b"1\tnan\tx").ends_with("is not within -4 and 4"));
    }

    #[test]
    fn a_tweet_too_few_is_an_error() {
        let lines: String = (1..TWEETS).map(|n| format!("{n}\t0\tx\n")).collect();
        let error = to_jsonl(lines.as_bytes()).unwrap_err();
        assert_eq!(error.to_string(), "4199 tweets where 4200 should be");
    }

    #[test]
    fn a_tweet_becomes_one_input_line_at_its_own_second() {
        let lines: String = (1..=TWEETS)
            .map(|n| format!("{n}\t-0.25\t\"{n}\"\r\n"))
            .collect();
        let jsonl = String::from_utf8(to_jsonl(lines.as_bytes()).unwrap()).unwrap();
        assert_eq!(jsonl.lines().count(), TWEETS);
        assert_eq!(
            jsonl.lines().nth(3660),
            Some(concat!(
                r#"{"id":"3661","text":"\"3661\"","created_at":"2014-06-01T01:01:01Z","#,
                r#""task":"hutto-2014","valence":-0.25}"#
            ))
        );
    }
}
