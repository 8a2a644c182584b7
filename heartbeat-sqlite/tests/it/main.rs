//! What this crate promises beyond the traits' own contract.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test may stop where it stands"
)]

mod bus;
mod file;
mod groups;
#[cfg(unix)]
mod processes;
mod retention;
mod store;
mod support;
