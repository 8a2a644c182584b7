//! Which machine a host is.

use std::net::IpAddr;

/// Whether a host is this machine by its very name, as no other machine can read what is sent to it: `localhost` or a
/// loopback address, an IPv6 one with or without its brackets. Nothing is looked up.
///
/// ```
/// assert!(heartbeat_core::is_this_machine("[::1]"));
/// assert!(!heartbeat_core::is_this_machine("localhost.example.org"));
/// ```
#[must_use]
pub fn is_this_machine(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost"
        || address
            .parse()
            .is_ok_and(|address: IpAddr| address.is_loopback())
}
