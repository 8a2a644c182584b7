//! What a user is told: errors, and the log.

use std::io::{self, Write};
use std::sync::{LazyLock, Mutex};
use std::time::{Duration, Instant};

use heartbeat_core::{Error, ErrorKind};
use tracing_subscriber::filter::LevelFilter;

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

/// What should be told, and how it goes on when asked again.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Expected {
    pub(crate) kind: ErrorKind,
    pub(crate) says: &'static [&'static str],
}

pub(crate) const fn misconfigured(says: &'static [&'static str]) -> Expected {
    Expected { kind: ErrorKind::Misconfigured, says }
}

pub(crate) const fn unavailable(says: &'static [&'static str]) -> Expected {
    Expected { kind: ErrorKind::Unavailable, says }
}

/// Tries it, and sees that what is told is as expected, in time, and gives no secret away.
pub(crate) async fn tells<T>(
    what: &str,
    expected: Expected,
    secret: &str,
    tried: impl Future<Output = Result<T, Error>>,
) {
    LazyLock::force(&LOG);
    let began = Instant::now();
    let Err(error) = tried.await else {
        println!("NOERROR {what}");
        return;
    };
    let took = began.elapsed();
    let report = error.report();
    println!("{} {what} | {:?} {:.1}s | {report}", if error.kind() == expected.kind && expected.says.iter().all(|s| report.contains(s)) {"ok "} else {"BAD"}, error.kind(), took.as_secs_f32());
    let log = String::from_utf8_lossy(&LOG.lock().unwrap()).into_owned();
    assert!(took < LONGEST, "{what}: {took:?}");
    for told in [&report, &format!("{error:?}"), &log] {
        assert!(!told.contains(secret), "{what}");
    }
    if std::env::var("SHOWLOG").is_ok() { println!("{log}"); }
}
