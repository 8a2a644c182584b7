//! What is told in the log.

use std::cell::RefCell;
use std::io::Write;
use std::sync::Once;

use super::*;

thread_local! {
    static TOLD: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// What is told on this thread, and that is by this test, from when it is made.
struct Told;

struct Lines;

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        TOLD.with_borrow_mut(|told| told.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Told {
    fn new() -> Self {
        // One for all threads: where only some have one, `tracing` takes what the others do not want for unwanted by all.
        static ONCE: Once = Once::new();
        ONCE.call_once(|| {
            let subscriber = tracing_subscriber::fmt()
                .with_writer(|| Lines)
                .with_ansi(false);
            subscriber.init();
            tracing::callsite::rebuild_interest_cache();
        });
        TOLD.with_borrow_mut(Vec::clear);
        Self
    }

    /// The lines that say something.
    fn with(&self, text: &str) -> Vec<String> {
        let lines = TOLD.with_borrow(|told| String::from_utf8(told.clone()).unwrap());
        let lines = lines.lines().filter(|line| line.contains(text));
        lines.map(str::to_owned).collect()
    }
}

#[tokio::test(start_paused = true)]
async fn posts_that_jetstream_no_longer_has_are_told() {
    let told = Told::new();
    let double = Double::new([
        Answer::Stream(vec![posts([1])]),
        Answer::Stream(vec![posts([60, 61])]),
        Answer::Stream(vec![posts([122, 300])]),
        Answer::Stream(vec![]),
    ]);
    assert_eq!(read(&double, 1).await, [1, 60, 61, 122, 300]);
    let missing = told.with("posts between may be missing");
    // The other one is before the end.
    assert_eq!(missing.len(), 2, "{missing:?}");
    assert!(missing[0].contains("WARN") && missing[0].contains("host=\"h0.test\""));
    let times = r#"from="2024-09-09T19:47:03.000Z" to="2024-09-09T19:48:04.000Z""#;
    assert!(missing[0].contains(times), "{missing:?}");
}

#[tokio::test(start_paused = true)]
async fn failures_are_told_with_the_wait_and_the_end_of_them_with_the_time() {
    let told = Told::new();
    let double = Double::new([
        Answer::Refusal(503, None),
        Answer::Stream(vec![]),
        Answer::Stream(vec![posts([1])]),
    ]);
    assert_eq!(read(&double, 2).await, [1]);
    let refused = told.with("There is no stream; tries again.");
    assert!(
        refused[0].contains("WARN") && refused[0].contains("wait_ms=1"),
        "{refused:?}"
    );
    assert!(
        refused[0].contains("host h0.test, status 503"),
        "{refused:?}"
    );
    let ended = told.with("before it gave anything");
    assert!(
        ended[0].contains("host=\"h1.test\"") && ended[0].contains("wait_ms="),
        "{ended:?}"
    );
    assert_eq!(told.with("The stream was lost; connects again.").len(), 1);
    let again = told.with("Connected again");
    assert!(again.len() == 1 && again[0].contains("INFO"), "{again:?}");
    assert!(
        again[0].contains("from=\"") && again[0].contains("to=\""),
        "{again:?}"
    );
    assert_eq!(told.with("Connected to the stream.").len(), 2);
}

#[tokio::test(start_paused = true)]
async fn an_address_that_others_can_read_is_told() {
    let told = Told::new();
    Settings::new(&hosts(1)).unwrap();
    Settings::new(&config(&["ws://127.0.0.1:1".into()])).unwrap();
    assert_eq!(told.with("plain ws").len(), 1);
}
