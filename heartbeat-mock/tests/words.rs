//! The words fake posts are made of mean to VADER what they should.

use std::collections::HashSet;

use vader_parity::SentimentIntensityAnalyzer;

const ORDINARY: &str = include_str!("../src/fake/words.txt");
const HAPPY: &str = include_str!("../src/fake/positive.txt");
const SAD: &str = include_str!("../src/fake/negative.txt");

#[test]
fn there_are_enough_and_no_two_alike() {
    assert!(ORDINARY.lines().count() >= 1500);
    assert!(HAPPY.lines().count() >= 150);
    assert!(SAD.lines().count() >= 150);
    let mut seen = HashSet::new();
    for word in [ORDINARY, HAPPY, SAD].into_iter().flat_map(str::lines) {
        assert!(seen.insert(word), "{word} is there twice");
        assert!(
            word.len() > 1 && word.bytes().all(|byte| byte.is_ascii_lowercase()),
            "{word:?} is no word"
        );
    }
}

#[test]
fn ordinary_words_say_nothing_and_the_others_what_they_should() {
    let vader = SentimentIntensityAnalyzer::new();
    let compound = |text: &str| vader.polarity_scores(text).compound;
    let good = compound("table good");
    for word in ORDINARY.lines() {
        assert_eq!(compound(word), 0.0, "{word}");
        // Nor does it turn or strengthen what comes behind it.
        assert_eq!(compound(&format!("{word} good")), good, "{word}");
    }
    for word in HAPPY.lines() {
        assert!(compound(word) > 0.1, "{word}");
    }
    for word in SAD.lines() {
        assert!(compound(word) < -0.1, "{word}");
    }
}
