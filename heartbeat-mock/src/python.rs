//! Records as Python prints them.

use heartbeat_core::{Keyed, Sentiment, Tweet};

/// A point as the notebook's database shows it: key, task, time, positive, neutral, negative.
///
/// ```
/// use heartbeat_core::{Keyed, Sentiment, TweetId};
///
/// let point = Keyed {
///     id: TweetId(1783),
///     value: Sentiment { time: 1652073462, task: "RU-UKR".into(), pos: 0.02, neu: 0.83, neg: 0.15 },
/// };
/// assert_eq!(
///     heartbeat_mock::format_point(&point),
///     "[1783, 'RU-UKR', 1652073462, 0.02, 0.83, 0.15]"
/// );
/// ```
#[must_use]
pub fn format_point(point: &Keyed<Sentiment>) -> String {
    let Sentiment {
        time,
        task,
        pos,
        neu,
        neg,
    } = &point.value;
    let task = string(task);
    let [pos, neu, neg] = [pos, neu, neg].map(|score| rounded(*score));
    format!("[{}, {task}, {time}, {pos}, {neu}, {neg}]", point.id)
}

/// A tweet as a dict.
pub(crate) fn tweet(tweet: &Tweet) -> String {
    let [content, task] = [&tweet.content, &tweet.task].map(|text| string(text));
    format!(
        "{{'time': {}, 'content': {content}, 'task': {task}}}",
        tweet.time
    )
}

/// A sentiment as a dict.
pub(crate) fn sentiment(sentiment: &Sentiment) -> String {
    let task = string(&sentiment.task);
    let [pos, neu, neg] = [sentiment.pos, sentiment.neu, sentiment.neg].map(rounded);
    format!(
        "{{'time': {}, 'task': {task}, 'pos': {pos}, 'neu': {neu}, 'neg': {neg}}}",
        sentiment.time
    )
}

/// `round(score, 2)`, in the fewest digits: `0.15`, `0.1`, `1.0`.
fn rounded(score: f32) -> String {
    let text = format!("{score:.2}");
    match text.strip_suffix('0') {
        Some(short) => short.to_owned(),
        None => text,
    }
}

/// `repr(text)`: in single quotes unless double ones need fewer escapes.
pub(crate) fn string(text: &str) -> String {
    let quote = if text.contains('\'') && !text.contains('"') {
        '"'
    } else {
        '\''
    };
    let mut repr = String::with_capacity(text.len() + 2);
    repr.push(quote);
    for character in text.chars() {
        match character {
            '\n' => repr.push_str("\\n"),
            '\r' => repr.push_str("\\r"),
            '\t' => repr.push_str("\\t"),
            '\\' => repr.push_str("\\\\"),
            _ if character == quote => repr.extend(['\\', quote]),
            // All of them have codes below 256.
            _ if character.is_control() => repr.push_str(&format!("\\x{:02x}", character as u32)),
            _ => repr.push(character),
        }
    }
    repr.push(quote);
    repr
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_round_as_in_python() {
        for (score, expected) in [
            (0.0, "0.0"),
            (1.0, "1.0"),
            (0.1, "0.1"),
            (0.15, "0.15"),
            (0.999, "1.0"),
            (0.004, "0.0"),
            // Exactly half-way: to the even digit.
            (0.125, "0.12"),
            (0.375, "0.38"),
            (f32::NAN, "NaN"),
        ] {
            assert_eq!(rounded(score), expected, "{score}");
        }
    }

    #[test]
    fn strings_are_quoted_as_in_python() {
        for (text, expected) in [
            ("RU-UKR", "'RU-UKR'"),
            ("it's", "\"it's\""),
            ("say \"it's\"", "'say \"it\\'s\"'"),
            ("a\\b\n\t\r", "'a\\\\b\\n\\t\\r'"),
            ("\0\u{1b}[31m\u{7f}\u{85}", "'\\x00\\x1b[31m\\x7f\\x85'"),
            ("schön 🎉", "'schön 🎉'"),
        ] {
            assert_eq!(string(text), expected);
        }
    }
}
