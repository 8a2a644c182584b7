//! Scores are those of Python's transformers, whatever stands beside a text and however many
//! threads share the work.
#![allow(
    clippy::print_stderr,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "tests"
)]

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::time::SystemTime;

use heartbeat_core::{Analyzer, Label, Scores, preprocess};
use heartbeat_torch::{Device, Precision, RobertaAnalyzer, RobertaConfig};
use serde::Deserialize;

/// Python's own scores of a text alone and in a batch differ by 6e-6.
const EXACT: f32 = 2e-5;

/// A line of `fixtures/expected`.
#[derive(Deserialize)]
struct Expected {
    text: Option<String>,
    repeat: Option<(String, usize)>,
    /// Negative, neutral, positive.
    scores: [f32; 3],
}

impl Expected {
    fn text(&self) -> String {
        match (&self.text, &self.repeat) {
            (Some(text), None) => text.clone(),
            (None, Some((text, times))) => text.repeat(*times),
            _ => panic!("a line has a text or a repetition"),
        }
    }
}

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures")
}

/// Texts and Python's scores of them.
fn expected(model: &str) -> (Vec<String>, Vec<[f32; 3]>) {
    let path = fixtures().join(format!("expected/{model}.jsonl"));
    std::fs::read_to_string(path)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str::<Expected>(line).unwrap())
        .map(|line| (line.text(), line.scores))
        // Python was given the texts as they are; the analyzer replaces users and links.
        .filter(|(text, _)| preprocess(text) == text.as_str())
        .unzip()
}

/// The device that `HEARTBEAT_DEVICE` names, where all of this must hold as well; else the processor.
fn device() -> Device {
    let named = std::env::var("HEARTBEAT_DEVICE");
    named.map_or(Device::Cpu, |name| name.parse().unwrap())
}

async fn open(model: &str, change: impl FnOnce(&mut RobertaConfig)) -> RobertaAnalyzer {
    let mut config = RobertaConfig {
        model: fixtures().join(model).display().to_string(),
        device: device(),
        ..RobertaConfig::default()
    };
    change(&mut config);
    if config.precision == Precision::Int8 {
        config.device = Device::Cpu; // there is none elsewhere
    }
    RobertaAnalyzer::open(config).await.unwrap()
}

async fn score(analyzer: &RobertaAnalyzer, texts: &[String]) -> Vec<Scores> {
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    analyzer.analyze(&texts).await.unwrap()
}

fn shares(scores: &Scores) -> [f32; 3] {
    [scores.neg, scores.neu, scores.pos]
}

#[track_caller]
fn assert_near(got: &[Scores], want: &[[f32; 3]], tolerance: f32) {
    assert_eq!(got.len(), want.len());
    for (text, (got, want)) in got.iter().zip(want).enumerate() {
        for (got, want) in shares(got).into_iter().zip(*want) {
            assert!(
                (got - want).abs() <= tolerance,
                "text {text}: {got} is not {want}"
            );
        }
    }
}

#[tokio::test]
async fn the_small_model_scores_as_python_does() {
    let (texts, want) = expected("small");
    assert!(texts.len() > 350, "{} texts", texts.len());
    let analyzer = open("small", |_| ()).await;
    assert_near(&score(&analyzer, &texts).await, &want, EXACT);
    // One by one.
    for (text, want) in texts.iter().zip(&want) {
        let alone = analyzer.analyze(&[text]).await.unwrap();
        assert_near(&alone, &[*want], EXACT);
    }
}

#[tokio::test]
async fn the_embedded_model_is_the_one_in_the_folder() {
    let (texts, want) = expected("small");
    let analyzer = RobertaAnalyzer::open(RobertaConfig::default())
        .await
        .unwrap();
    assert_near(&score(&analyzer, &texts).await, &want, EXACT);
}

#[tokio::test]
async fn as_torch_saved_it_with_labels_in_another_order() {
    let (texts, want) = expected("tiny");
    let analyzer = open("tiny", |_| ()).await;
    assert_near(&score(&analyzer, &texts).await, &want, EXACT);
}

#[tokio::test]
async fn xlm_roberta_scores_as_python_does() {
    let (texts, want) = expected("tiny-xlm");
    let analyzer = open("tiny-xlm", |_| ()).await;
    assert_near(&score(&analyzer, &texts).await, &want, EXACT);
}

#[tokio::test]
async fn any_batch_and_any_number_of_threads_give_the_same_scores() {
    let (texts, want) = expected("small");
    for threads in 1..=4 {
        for batch_tokens in [1, 100, 700, 20_000] {
            let analyzer = open("small", |config| {
                config.threads = NonZeroUsize::new(threads);
                config.batch_tokens = NonZeroUsize::new(batch_tokens).unwrap();
            })
            .await;
            assert_near(&score(&analyzer, &texts).await, &want, EXACT);
        }
    }
}

#[tokio::test]
async fn bfloat16_is_near() {
    let (texts, want) = expected("small");
    let analyzer = open("small", |config| config.precision = Precision::Bf16).await;
    assert_near(&score(&analyzer, &texts).await, &want, 0.03);
}

/// The tweets that `HEARTBEAT_TWEETS` names, else texts made up.
static TWEETS: LazyLock<Vec<String>> = LazyLock::new(|| {
    #[derive(Deserialize)]
    struct Tweet {
        text: String,
    }
    match std::env::var_os("HEARTBEAT_TWEETS") {
        Some(path) => std::fs::read_to_string(path)
            .unwrap()
            .lines()
            .map(|line| serde_json::from_str::<Tweet>(line).unwrap().text)
            .collect(),
        None => {
            assert!(
                std::env::var_os("HEARTBEAT_REQUIRE_DATA").is_none(),
                "HEARTBEAT_TWEETS is not set"
            );
            eprintln!("HEARTBEAT_TWEETS is not set: made-up texts take the tweets' place");
            expected("small").0
        }
    }
});

#[tokio::test]
async fn int8_gives_nearly_every_tweet_the_label_of_fp32() {
    let exact = score(&open("small", |_| ()).await, &TWEETS).await;
    let int8 = open("small", |config| config.precision = Precision::Int8).await;
    let int8 = score(&int8, &TWEETS).await;

    let pairs = || exact.iter().zip(&int8);
    let same = pairs().filter(|(exact, int8)| exact.label == int8.label);
    let agreement = same.count() as f64 / exact.len() as f64;
    let difference = |(exact, int8): (&Scores, &Scores)| {
        let parts = shares(exact).into_iter().zip(shares(int8));
        parts
            .map(|(exact, int8)| f64::from((exact - int8).abs()))
            .sum::<f64>()
            / 3.0
    };
    let mean = pairs().map(difference).sum::<f64>() / exact.len() as f64;
    println!(
        "int8: {:.2} % of labels agree, mean difference {mean:.5}",
        agreement * 100.0
    );
    assert!(agreement >= 0.995, "{agreement}");
    assert!(mean < 0.01, "{mean}");
    // Otherwise it would not be int8 at all.
    assert!(mean > 0.0);
}

#[tokio::test]
async fn labels_are_not_all_the_same() {
    let scores = score(&open("small", |_| ()).await, &TWEETS).await;
    for label in Label::ALL {
        assert!(scores.iter().any(|scores| scores.label == label), "{label}");
    }
}

#[tokio::test]
async fn texts_without_anything_to_read_have_scores() {
    let texts = [
        "", " ", "\n\t ", "<s>", "</s></s>", "<pad>", "<mask>", "\u{200d}",
    ];
    for precision in [Precision::Fp32, Precision::Bf16, Precision::Int8] {
        let analyzer = open("small", |config| config.precision = precision).await;
        for scores in analyzer.analyze(&texts).await.unwrap() {
            scores.checked().unwrap();
        }
    }
}

/// Loading says how long it took, and means it.
#[tokio::test]
async fn loading_time_is_told() {
    let start = SystemTime::now();
    let analyzer = open("small", |_| ()).await;
    let took = analyzer.loaded().took;
    assert!(!took.is_zero() && took <= start.elapsed().unwrap());
}
