//! Finds the words of all tasks in a text, in one pass.

use std::collections::BTreeMap;

use aho_corasick::AhoCorasick;
use heartbeat_core::{Error, Result};

use self::script::{is_flag_half, is_part_of_word, is_unseparated};

mod script;

const EXAMPLE: &str =
    "Write into the config: `[source.words]` and below it `RU-UKR = [\"ukraine\", \"kyiv\"]`.";

/// The longest name of a task, in bytes.
const LONGEST_TASK: usize = 256;

/// The words of all tasks.
#[derive(Debug)]
pub(crate) struct Words {
    tasks: Vec<String>,
    automaton: AhoCorasick,
    /// What the automaton's patterns are, in its order.
    words: Vec<Word>,
}

/// A word or a phrase of a task.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Word {
    /// Folded.
    text: String,
    /// Whether any ending may follow.
    is_stem: bool,
    /// Whose it is: an index.
    task: usize,
}

impl Words {
    pub(crate) fn new(tasks: &BTreeMap<String, Vec<String>>) -> Result<Self> {
        let mut words = Vec::new();
        for (task, (name, its)) in tasks.iter().enumerate() {
            if name.is_empty() || name.len() > LONGEST_TASK {
                return Err(Error::misconfigured("a task's name is 1 to 256 bytes long")
                    .with("bytes", name.len())
                    .hint(EXAMPLE));
            }
            for text in its {
                words.push(Word::new(text, task).ok_or_else(|| {
                    Error::misconfigured("a word of a task is empty")
                        .with("task", name)
                        .hint("Take it out, or write what to look for.")
                })?);
            }
        }
        if words.is_empty() {
            return Err(Error::misconfigured("no task has a word to look for").hint(EXAMPLE));
        }
        let automaton = AhoCorasick::new(words.iter().map(|word| &word.text)).map_err(|error| {
            Error::misconfigured("there are too many words to look for").caused_by(error)
        })?;
        Ok(Self {
            tasks: tasks.keys().cloned().collect(),
            automaton,
            words,
        })
    }

    /// The tasks that have a word in `text`, in their order.
    pub(crate) fn tasks_of(&self, text: &str) -> Vec<&str> {
        let text = folded(text);
        let mut is_in = vec![false; self.tasks.len()];
        for found in self.automaton.find_overlapping_iter(&text) {
            // The automaton numbers its patterns as they were given.
            let Some(word) = self.words.get(found.pattern().as_usize()) else {
                continue;
            };
            let is_in = &mut is_in[word.task];
            *is_in = *is_in || word.stands_alone(&text, found.start(), found.end());
        }
        let tasks = self.tasks.iter().zip(is_in);
        tasks
            .filter_map(|(task, is_in)| is_in.then_some(task.as_str()))
            .collect()
    }
}

impl Word {
    /// None when there is nothing to look for.
    fn new(text: &str, task: usize) -> Option<Self> {
        let text = text.trim();
        let (text, is_stem) = match text.strip_suffix('*') {
            Some(stem) => (stem, true),
            None => (text, false),
        };
        let text = folded(text.trim());
        (!text.trim().is_empty()).then_some(Self {
            text,
            is_stem,
            task,
        })
    }

    /// Whether its place in a text is one where the word begins and ends.
    fn stands_alone(&self, text: &str, start: usize, end: usize) -> bool {
        let before = text[..start].chars().next_back();
        let after = text[end..].chars().next();
        let (first, last) = (self.text.chars().next(), self.text.chars().next_back());
        let begins = !is_one_word(before, first);
        let ends = self.is_stem || !is_one_word(last, after);
        let is_half = first.is_some_and(is_flag_half) && is_within_flag(&text[..start]);
        begins && ends && !is_half
    }
}

/// Whether no word ends between two neighbours.
fn is_one_word(left: Option<char>, right: Option<char>) -> bool {
    let joins = |char: char| is_part_of_word(char) && !is_unseparated(char);
    left.is_some_and(joins) && right.is_some_and(joins)
}

/// A flag is two letters of its own alphabet: a place behind an odd number of them is in the middle of one.
fn is_within_flag(before: &str) -> bool {
    let halves = before.chars().rev().take_while(|char| is_flag_half(*char));
    halves.count() % 2 == 1
}

/// A text as it is compared: in lower case, with one space for any blanks.
fn folded(text: &str) -> String {
    let mut folded = String::with_capacity(text.len());
    for char in text.chars() {
        match char {
            // They only tell how the character before them is drawn.
            '\u{fe0e}' | '\u{fe0f}' => {}
            _ if char.is_whitespace() => {
                if !folded.ends_with(' ') {
                    folded.push(' ');
                }
            }
            // Sigma has two lower cases, by its place in the word.
            _ => folded.extend(char.to_lowercase().map(|char| match char {
                'ς' => 'σ',
                char => char,
            })),
        }
    }
    folded
}

#[cfg(test)]
mod tests {
    use heartbeat_core::ErrorKind;
    use proptest::prelude::*;

    use super::*;

    fn words(tasks: &[(&str, &[&str])]) -> Result<Words> {
        let tasks = tasks.iter().map(|(task, words)| {
            let words = words.iter().map(|word| (*word).to_owned()).collect();
            ((*task).to_owned(), words)
        });
        Words::new(&tasks.collect())
    }

    #[test]
    fn words_are_found_whole_and_in_any_case() {
        for (word, has, has_not) in [
            (
                "Ukraine",
                "ukraine|UKRAINE!|(Ukraine)|the ukraine's|#ukraine|@ukraine|не ukraine,да",
                "ukrainex|xukraine|ukraine2|_ukraine|ukrain|é\u{301}ukraine|",
            ),
            (
                "ukrain*",
                "ukrain|Ukraine|UKRAINIAN|#ukrainewar",
                "pro-xukraine|ukrai",
            ),
            (
                "слава україні",
                "Слава  Україні!|слава\nукраїні",
                "слава|слава українік",
            ),
            ("#слава", "#Слава|так#слава!|##слава", "слава|#славах"),
            ("київ", "КИЇВ|у київ", "київський"),
            ("ΟΔΟΣ", "οδος|οδοσ|Οδός οδος", "οδοςα"),
            ("🇺🇦", "🇺🇦|слава🇺🇦|🇵🇱🇺🇦x", "🇦🇺🇦🇷|🇺 🇦"),
            ("❤️", "❤|x❤️x", "♥"),
            ("基輔", "今天基輔很冷|基輔", "基"),
            ("キーウ", "ウクライナのキーウで|キーウ", "キー"),
            ("เคียฟ", "ที่เคียฟวันนี้", "เคีย"),
            ("kyiv", "kyivで2|基輔kyiv", "xkyiv|kyiv2で"),
            ("c++", "C++ is|c++", "c+"),
            ("यूक", "यूक है", "यूक्रेन"),
            ("i̇zmir", "İzmir", "izmir"),
        ] {
            let words = words(&[("T", &[word])]).unwrap();
            for text in has.split('|') {
                assert_eq!(words.tasks_of(text), ["T"], "{word} in {text}");
            }
            for text in has_not.split('|') {
                assert!(words.tasks_of(text).is_empty(), "{word} in {text}");
            }
        }
    }

    #[test]
    fn a_text_has_every_task_of_its_words_once_in_their_order() {
        let words = words(&[
            ("C", &["war", "wars"]),
            ("A", &["peace", "war and peace", "war"]),
            ("B", &[]),
        ])
        .unwrap();
        assert_eq!(words.tasks_of("War and peace, war"), ["A", "C"]);
        assert_eq!(words.tasks_of("wars"), ["C"]);
        assert_eq!(words.tasks_of(""), [""; 0]);
    }

    #[test]
    fn what_cannot_be_looked_for_is_refused_with_what_to_do() {
        let long = "x".repeat(257);
        for tasks in [
            &[] as &[(&str, &[&str])],
            &[("T", &[])],
            &[("T", &["a", ""])],
            &[("T", &[" \n\t"])],
            &[("T", &[" * "])],
            &[("T", &["\u{fe0f}"])],
            &[("", &["a"])],
            &[(&long, &["a"])],
        ] {
            let error = words(tasks).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Misconfigured);
            assert!(error.advice().is_some(), "{error:?}");
        }
        let advice = words(&[]).unwrap_err().advice().unwrap().to_owned();
        assert!(
            advice.contains("RU-UKR = [\"ukraine\", \"kyiv\"]"),
            "{advice}"
        );
    }

    /// Looks at every place of the text, character by character.
    fn has(word: &str, text: &str) -> bool {
        let Some(word) = Word::new(word, 0) else {
            return false;
        };
        let text: Vec<char> = folded(text).chars().collect();
        let chars: Vec<char> = word.text.chars().collect();
        let joins = |char: char| is_part_of_word(char) && !is_unseparated(char);
        (0..text.len()).any(|start| {
            let (before, rest) = text.split_at(start);
            if !rest.starts_with(&chars) {
                return false;
            }
            let begins = match before.last() {
                Some(before) => !(joins(*before) && joins(chars[0])),
                None => true,
            };
            let ends = match rest.get(chars.len()) {
                Some(after) => word.is_stem || !(joins(*after) && joins(chars[chars.len() - 1])),
                None => true,
            };
            begins && ends
        })
    }

    proptest! {
        #[test]
        fn words_are_found_where_a_plain_search_finds_them(
            tasks in prop::collection::vec(prop::collection::vec("[aAbé基ท# _1*]{1,4}", 0..4), 1..4),
            text in "[aAbBéÉ基ทแ# _1\n!\u{301}]{0,24}",
        ) {
            let blank = |word: &String| Word::new(word, 0).is_none();
            prop_assume!(!tasks.iter().flatten().any(blank) && tasks.iter().any(|words| !words.is_empty()));
            let named = tasks.iter().enumerate().map(|(index, words)| (index.to_string(), words.clone()));
            let words = Words::new(&named.collect()).unwrap();
            let plain = tasks.iter().enumerate().filter(|(_, words)| words.iter().any(|word| has(word, &text)));
            let plain: Vec<String> = plain.map(|(index, _)| index.to_string()).collect();
            prop_assert_eq!(words.tasks_of(&text), plain);
        }

        #[test]
        fn a_word_is_found_between_blanks_whatever_stands_around(word in "\\PC{1,8}", text in any::<String>()) {
            if let Ok(words) = words(&[("T", &[&word])]) {
                prop_assert_eq!(words.tasks_of(&format!("{text} {word} {text}")), ["T"]);
            }
        }
    }
}
