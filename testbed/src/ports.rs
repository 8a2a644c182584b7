//! Free ports on loopback.

use std::{
    collections::HashSet,
    hash::{BuildHasher, RandomState},
    net::{Ipv4Addr, TcpListener},
    sync::Mutex,
};

use anyhow::{Result, ensure};

/// Below what Linux and macOS take for outgoing connections. A port of those, free while its service is down, may become
/// the near end of a client's connection, even of one that a client makes to this very port.
const RANGE: std::ops::Range<u16> = 15_000..32_000;

/// What this process has given out. A service that is down has no hold on its port, but comes back to it.
static GIVEN: Mutex<Option<HashSet<u16>>> = Mutex::new(None);

/// So many ports that nobody listens on, never one twice in this process.
pub(crate) fn free(count: usize) -> Result<Vec<u16>> {
    let mut guard = GIVEN
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    let given = guard.get_or_insert_default();
    // Elsewhere in each process, since others look for ports too.
    let start = (RandomState::new().hash_one(0) % RANGE.len() as u64) as usize;
    let ports: Vec<u16> = RANGE
        .cycle()
        .skip(start)
        .take(RANGE.len())
        .filter(|port| !given.contains(port))
        .filter(|port| is_free(*port))
        .take(count)
        .collect();
    given.extend(&ports);
    ensure!(ports.len() == count, "no {count} free ports on loopback");
    Ok(ports)
}

fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_never_given_twice() {
        let mut ports = free(50).unwrap();
        ports.extend(free(50).unwrap());
        assert_eq!(ports.iter().collect::<HashSet<_>>().len(), 100);
    }

    #[test]
    fn a_port_that_somebody_listens_on_is_not_free() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        assert!(!is_free(listener.local_addr().unwrap().port()));
    }
}
