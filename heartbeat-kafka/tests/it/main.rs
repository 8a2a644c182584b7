//! What the bus does on a real broker beyond what every bus promises.
#![expect(clippy::unwrap_used, reason = "a test may stop where it stands")]

mod instances;
mod support;
