//! What a caller sees, whatever the model does.

use std::sync::Mutex;

use heartbeat_core::{Error, ErrorKind};

use super::*;

/// A model that does as a function tells, and keeps what it was given.
struct Fake {
    behave: fn(&[u32]) -> Result<[f32; 3]>,
    seen: Seen,
}

/// How many tokens each text had that the model saw.
type Seen = Arc<Mutex<Vec<usize>>>;

impl Model for Fake {
    fn score(&self, texts: &[&[u32]]) -> Result<Vec<[f32; 3]>> {
        let lengths = texts.iter().map(|ids| ids.len());
        self.seen.lock().unwrap().extend(lengths);
        texts.iter().map(|ids| (self.behave)(ids)).collect()
    }
}

/// Positive in so far as the text is long.
fn by_length(ids: &[u32]) -> Result<[f32; 3]> {
    let pos = ids.len() as f32 / 512.0;
    Ok([0.0, 1.0 - pos, pos])
}

/// The small model's tokenizer before a fake model.
async fn analyzer(behave: fn(&[u32]) -> Result<[f32; 3]>) -> (RobertaAnalyzer, Seen) {
    let architecture = Origin::Small.architecture().unwrap();
    let tokenizer = Origin::Small.tokenizer(&architecture).unwrap();
    let seen = Seen::default();
    let limits = Limits {
        batch_tokens: 500,
        queue_tokens: 2000,
    };
    let model = Arc::clone(&seen);
    let worker = Worker::start(limits, move || {
        let seen = Arc::clone(&model);
        Ok(Fake { behave, seen })
    });
    let loaded = Loaded {
        model: "fake".to_owned(),
        parameters: 0,
        device: Device::Cpu,
        precision: Precision::Fp32,
        threads: 1,
        took: Duration::ZERO,
    };
    let worker = worker.await.unwrap();
    (RobertaAnalyzer::new(tokenizer, worker, loaded), seen)
}

/// As many tokens as the text has, its ends among them, makes of it.
fn scores_of(tokens: usize) -> Scores {
    let [neg, neu, pos] = by_length(&vec![0; tokens]).unwrap();
    Scores::new(neg, neu, pos).unwrap()
}

#[tokio::test]
async fn every_text_has_its_own_scores_in_large_calls_and_small() {
    let (analyzer, _) = analyzer(by_length).await;
    for count in [0, 1, 5, 2000] {
        // An exclamation mark is a token.
        let texts: Vec<String> = (0..count)
            .map(|n| "a !".repeat(n % 37 + n / 1000))
            .collect();
        let borrowed: Vec<&str> = texts.iter().map(String::as_str).collect();
        let scores = analyzer.analyze(&borrowed).await.unwrap();
        let tokens = |text: &String| analyzer.tokenizer.encode(text).unwrap().len();
        let wanted: Vec<_> = texts.iter().map(|text| scores_of(tokens(text))).collect();
        assert_eq!(scores, wanted, "{count} texts");
    }
}

#[tokio::test]
async fn users_and_links_are_replaced() {
    let (analyzer, seen) = analyzer(by_length).await;
    let texts = [
        "@a_long_name see https://example.com/page",
        "@user see http",
    ];
    let scores = analyzer.analyze(&texts).await.unwrap();
    assert_eq!(scores[0], scores[1]);
    let [one, other] = texts.map(|text| analyzer.tokenize(text).unwrap());
    assert_eq!(one, other);
    // Two texts, but the same tokens.
    assert_eq!(seen.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn identical_texts_of_a_call_are_scored_once_however_many() {
    let (analyzer, seen) = analyzer(by_length).await;
    let distinct: Vec<String> = (0..1000).map(|n| format!("tweet number {n}")).collect();
    let mut texts: Vec<&str> = distinct.iter().map(String::as_str).collect();
    let single = analyzer.analyze(&texts).await.unwrap();
    seen.lock().unwrap().clear();
    texts.extend_from_within(..);
    let double = analyzer.analyze(&texts).await.unwrap();
    assert_eq!(double, [single.clone(), single].concat());
    assert_eq!(seen.lock().unwrap().len(), 1000);
}

#[tokio::test]
async fn the_error_of_a_text_says_which() {
    let (analyzer, _) = analyzer(|ids| match ids.len() {
        100.. => Err(Error::invalid("too long").at_item(0)),
        _ => by_length(ids),
    })
    .await;
    let long = "! ".repeat(200);
    let error = analyzer.analyze(&["a", "b", "c", &long, "d"]).await;
    let error = error.unwrap_err();
    assert_eq!((error.kind(), error.item()), (ErrorKind::Invalid, Some(3)));
    assert!(analyzer.analyze(&["a", "b", "c", "d"]).await.is_ok());
}

#[tokio::test]
async fn shares_that_are_no_numbers_are_an_error_of_their_text() {
    let (analyzer, _) = analyzer(|ids| match ids.len() {
        3 => Ok([f32::NAN; 3]),
        _ => by_length(ids),
    })
    .await;
    let error = analyzer.analyze(&["", "!"]).await.unwrap_err();
    assert_eq!((error.kind(), error.item()), (ErrorKind::Invalid, Some(1)));
}

#[tokio::test]
async fn what_may_pass_is_no_texts_fault() {
    let (analyzer, _) = analyzer(|_| Err(Error::unavailable("not enough memory"))).await;
    let error = analyzer.analyze(&["a"]).await.unwrap_err();
    assert_eq!((error.is_retryable(), error.item()), (true, None));
}

#[tokio::test]
async fn the_first_error_ends_a_call() {
    let (analyzer, seen) = analyzer(|ids| match ids.len() {
        3 => Err(Error::invalid("no")),
        _ => by_length(ids),
    })
    .await;
    let mut texts = vec!["!".to_owned()];
    texts.extend((0..20_000).map(|n| format!("tweet number {n}")));
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let error = analyzer.analyze(&texts).await.unwrap_err();
    assert_eq!(error.item(), Some(0));
    let scored = seen.lock().unwrap().len();
    assert!(scored < 10_000, "{scored} texts were scored for nobody");
}
