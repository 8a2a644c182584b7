//! What LibTorch says, as heartbeat's error.

use heartbeat_core::Error;
use tch::TchError;

/// A failure of LibTorch while it was doing `what`.
///
/// Memory may be there again later; anything else would fail again.
pub(crate) fn torch(what: &'static str) -> impl Fn(TchError) -> Error {
    move |error| {
        let text = error.to_string();
        // The first line tells what happened; a C++ backtrace follows it.
        let said = text.lines().next().unwrap_or_default().to_owned();
        let out_of_memory = text.contains("out of memory") || text.contains("not enough memory");
        let error = if out_of_memory {
            Error::unavailable(format!("LibTorch has not enough memory while {what}"))
                .hint("Give the process more memory, or set smaller batches.")
        } else {
            Error::internal(format!("LibTorch failed while {what}"))
        };
        error.with("libtorch", said)
    }
}
