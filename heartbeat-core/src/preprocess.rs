//! The placeholders that models of tweets were trained with.

use std::borrow::Cow;

/// Puts `@user` for every name of a user and `http` for every link, as the TweetEval models were
/// trained.
///
/// A piece is what lies between two single spaces. One that begins with `@` and is longer than one
/// character is a user; one that begins with `http` is a link.
///
/// ```
/// use heartbeat_core::preprocess;
///
/// assert_eq!(preprocess("@jack look: https://t.co/x 😀"), "@user look: http 😀");
/// ```
#[must_use]
pub fn preprocess(text: &str) -> Cow<'_, str> {
    if text.split(' ').all(|piece| placeholder(piece) == piece) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    for (index, piece) in text.split(' ').enumerate() {
        if index > 0 {
            out.push(' ');
        }
        out.push_str(placeholder(piece));
    }
    Cow::Owned(out)
}

fn placeholder(piece: &str) -> &str {
    if piece.starts_with('@') && piece.len() > 1 {
        "@user"
    } else if piece.starts_with("http") {
        "http"
    } else {
        piece
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn users_and_links_become_placeholders() {
        for (text, expected) in [
            ("", ""),
            (" ", " "),
            ("@", "@"),
            ("@ a", "@ a"),
            ("@é", "@user"),
            ("@@", "@user"),
            ("a@b.c", "a@b.c"),
            ("http", "http"),
            ("https://a.b/c?d#e", "http"),
            ("httpd is a server", "http is a server"),
            ("HTTP://A.B", "HTTP://A.B"),
            ("(http://a.b)", "(http://a.b)"),
            ("  @a   http://b  ", "  @user   http  "),
            // Only the single space divides: a line break stays within its piece.
            ("@a\n@b", "@user"),
            ("so\n@a", "so\n@a"),
        ] {
            assert_eq!(preprocess(text), expected, "{text:?}");
        }
    }

    #[test]
    fn what_stays_the_same_is_borrowed() {
        assert!(matches!(preprocess("@user http @"), Cow::Borrowed(_)));
        assert!(matches!(preprocess("@me"), Cow::Owned(_)));
    }

    proptest! {
        #[test]
        fn pieces_keep_their_number_and_twice_is_once(text in "([@h]?[tp@ é\n]{0,4} ?){0,12}|\\PC*") {
            let once = preprocess(&text);
            prop_assert_eq!(once.split(' ').count(), text.split(' ').count());
            prop_assert_eq!(preprocess(&once), once.as_ref());
        }
    }
}
