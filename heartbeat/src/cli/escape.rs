//! Texts from outside, made fit for a terminal.

use std::borrow::Cow;
use std::fmt::Write as _;

/// The text in one line, in which whatever could steer a terminal is spelled out: `\n`, `\u{1b}`.
pub(crate) fn printable(text: &str) -> Cow<'_, str> {
    if !text.contains(steers) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for character in text.chars() {
        if steers(character) {
            shown.extend(character.escape_default());
        } else {
            shown.push(character);
        }
    }
    Cow::Owned(shown)
}

/// Control characters, line and paragraph separators, and what turns the direction of writing.
fn steers(character: char) -> bool {
    character.is_control()
        || matches!(character,
            '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Bytes as text where they are, the others as `\xff`; at most `most` bytes of them.
pub(crate) fn printable_bytes(bytes: &[u8], most: usize) -> String {
    let mut shown = String::new();
    let kept = &bytes[..bytes.len().min(most)];
    for chunk in kept.utf8_chunks() {
        shown.push_str(&printable(chunk.valid()));
        for byte in chunk.invalid() {
            let _ = write!(shown, "\\x{byte:02x}"); // writing to a string cannot fail
        }
    }
    let more = bytes.len() - kept.len();
    if more > 0 {
        let _ = write!(shown, " … and {more} bytes more");
    }
    shown
}

/// At most `width` characters of the text, the last one `…` when it was longer.
pub(crate) fn shortened(text: &str, width: usize) -> Cow<'_, str> {
    if text.chars().nth(width).is_none() {
        return Cow::Borrowed(text);
    }
    let kept = width.saturating_sub(1);
    Cow::Owned(text.chars().take(kept).chain(['…']).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_steers_a_terminal_is_spelled_out() {
        assert_eq!(printable("schön 🎉 'x' \\"), "schön 🎉 'x' \\");
        assert_eq!(
            printable("a\n\t\u{1b}[31m\u{9b}2J\u{202e}z"),
            r"a\n\t\u{1b}[31m\u{9b}2J\u{202e}z"
        );
    }

    #[test]
    fn bytes_are_text_where_they_are() {
        assert_eq!(
            printable_bytes(b"\0a\xff\n\xc3\xbc", 100),
            "\\u{0}a\\xff\\nü"
        );
        assert_eq!(printable_bytes(b"abcdef", 4), "abcd … and 2 bytes more");
    }

    #[test]
    fn a_long_text_ends_in_an_ellipsis() {
        assert_eq!(shortened("üüü", 3), "üüü");
        assert_eq!(shortened("üüüü", 3), "üü…");
        assert_eq!(shortened("ü", 0), "…");
    }
}
