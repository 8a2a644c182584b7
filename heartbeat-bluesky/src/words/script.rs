//! What characters are to the words that they stand in.

/// Whether it is a part of a word: a letter, a digit, `_`, or a mark on the character before it.
pub(super) fn is_part_of_word(char: char) -> bool {
    char.is_alphanumeric() || char == '_' || is_mark(char)
}

/// Marks that the standard library does not count as letters: accents, and what joins the consonants of Indian scripts, which is
/// at the same place of each.
fn is_mark(char: char) -> bool {
    match u32::from(char) {
        0x0300..=0x036f
        | 0x0483..=0x0487
        | 0x064b..=0x065f
        | 0x1ab0..=0x1aff
        | 0x1dc0..=0x1dff
        | 0x20d0..=0x20ff
        | 0xfe20..=0xfe2f => true,
        code @ 0x0900..=0x0d7f => code & 0x7f == 0x4d,
        _ => false,
    }
}

/// Whether its script puts no blanks between words.
pub(super) fn is_unseparated(char: char) -> bool {
    matches!(
        u32::from(char),
        0x0e00..=0x0fff          // Thai, Lao, Tibetan
        | 0x1000..=0x109f        // Myanmar
        | 0x1780..=0x17ff        // Khmer
        | 0x1950..=0x19df        // Tai Le, New Tai Lue
        | 0x1a20..=0x1aaf        // Lanna
        | 0x3005..=0x3007        // signs that stand for Han
        | 0x3040..=0x312f        // Hiragana, Katakana, Bopomofo
        | 0x31a0..=0x31bf
        | 0x31f0..=0x31ff
        | 0x3400..=0x4dbf        // Han
        | 0x4e00..=0x9fff
        | 0xa9e0..=0xa9ff        // Myanmar
        | 0xaa60..=0xaadf        // Myanmar, Tai Viet
        | 0xf900..=0xfaff        // Han
        | 0xff66..=0xff9f        // Katakana of half width
        | 0x1_aff0..=0x1_b16f    // Kana
        | 0x2_0000..=0x3_ffff    // Han
    )
}

/// Whether it is one of the letters that flags are made of.
pub(super) fn is_flag_half(char: char) -> bool {
    ('\u{1f1e6}'..='\u{1f1ff}').contains(&char)
}
