//! Work that waits for the disk or takes long.

use heartbeat_core::{Error, Result};
use tokio::task;

/// Runs `job` where it holds nobody of the async runtime up.
///
/// # Errors
/// The job's own; one of its own when the job panics or the runtime shuts down.
pub(crate) async fn blocking<T: Send + 'static>(
    job: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    task::spawn_blocking(job).await.map_err(|error| {
        Error::internal("a task stopped in the middle of its work").caused_by(error)
    })?
}
