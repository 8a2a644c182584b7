//! As much of HTTP as it takes to see that the registry answers.

use std::{
    io::{Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpStream},
    time::Duration,
};

use anyhow::{Context, Result};

const PATIENCE: Duration = Duration::from_secs(5);

/// The status that a server on loopback answers with.
pub(crate) fn get(port: u16, path: &str) -> Result<u16> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    write!(stream, "GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n")?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    status(&String::from_utf8_lossy(&answer)).with_context(|| format!("no HTTP from {address}"))
}

fn status(answer: &str) -> Option<u16> {
    let (_version, rest) = answer.strip_prefix("HTTP/1.")?.split_once(' ')?;
    rest.get(..3)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_status_is_the_first_lines_number() {
        assert_eq!(status("HTTP/1.1 404 Not Found\r\n\r\n{}"), Some(404));
        assert_eq!(status("SSH-2.0"), None);
    }
}
