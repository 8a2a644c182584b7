//! What the program does when it is told to stop.

use std::process;

use heartbeat_core::{Error, Result};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing::info;

/// What is cancelled at the first Ctrl-C or SIGTERM. The second ends the program, with the status that
/// a shell gives to one that the signal ended.
pub(crate) fn stop_token() -> Result<CancellationToken> {
    let stop = CancellationToken::new();
    let mut signals = Signals {
        interrupt: listen(SignalKind::interrupt())?,
        terminate: listen(SignalKind::terminate())?,
    };
    let cancelled = stop.clone();
    tokio::spawn(async move {
        signals.next().await;
        info!("Told to stop. Ctrl-C once more ends at once.");
        cancelled.cancel();
        let number = signals.next().await.as_raw_value();
        process::exit(128 + number);
    });
    Ok(stop)
}

struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    async fn next(&mut self) -> SignalKind {
        tokio::select! {
            _ = self.interrupt.recv() => SignalKind::interrupt(),
            _ = self.terminate.recv() => SignalKind::terminate(),
        }
    }
}

fn listen(kind: SignalKind) -> Result<Signal> {
    signal(kind).map_err(|error| Error::internal("cannot listen for signals").caused_by(error))
}
