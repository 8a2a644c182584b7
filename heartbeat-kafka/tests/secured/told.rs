//! What a user is told: errors, and the log.

use std::io::{self, Write};
use std::sync::{LazyLock, Mutex};
use std::time::{Duration, Instant};

use heartbeat_core::{ErrorKind, Result};
use testbed::{GUEST, USER};
use tracing_subscriber::filter::LevelFilter;

/// A password that is wrong.
pub(crate) const WRONG: &str = "hunter2";

/// The longest that anybody waits for an error.
const LONGEST: Duration = Duration::from_secs(15);

/// All that this process has logged, down to the last detail.
static LOG: LazyLock<Mutex<Vec<u8>>> = LazyLock::new(|| {
    let log = tracing_subscriber::fmt().with_max_level(LevelFilter::TRACE);
    log.with_ansi(false).with_writer(|| Log).init();
    Mutex::default()
});

struct Log;

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        LOG.lock().unwrap().extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Sees that no password is in it, nor in the log.
fn keeps_secrets(told: &str) {
    let log = LOG.lock().unwrap();
    let log = String::from_utf8_lossy(&log);
    for secret in [WRONG, USER.password, GUEST.password] {
        assert!(!told.contains(secret), "{told}");
        let mut lines = log.lines();
        assert_eq!(lines.find(|line| line.contains(secret)), None);
    }
}

/// Tries it, and sees that it fails in time and says what is expected, with something to do about it.
pub(crate) async fn fails<T>(
    what: &str,
    tried: impl Future<Output = Result<T>>,
    kind: ErrorKind,
    says: &[&str],
) {
    LazyLock::force(&LOG);
    let began = Instant::now();
    let tried = tried.await;
    let took = began.elapsed();
    let Err(error) = tried else {
        panic!("{what}: no error after {took:?}");
    };
    assert!(took < LONGEST, "{what}: {took:?}");
    let report = error.report();
    assert_eq!(error.kind(), kind, "{what}: {report}");
    for words in says {
        assert!(report.contains(words), "{what}: {words}: {report}");
    }
    assert!(error.advice().is_some(), "{what}: {report}");
    keeps_secrets(&format!("{report} {error:?}"));
}
