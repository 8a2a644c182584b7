//! The bus on a broker that asks who it is: the ways in, and what is said where there is none.
#![expect(clippy::unwrap_used, reason = "a test may stop where it stands")]

mod access;
mod cluster;
#[path = "../double/mod.rs"]
mod double;
mod no_way_in;
mod rights;
mod told;
mod ways_in;
