//! As much of HTTP as it takes to set a service up and to see that it answers.

use std::{
    io::{Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpStream},
    time::Duration,
};

use anyhow::{Context, Result};

const PATIENCE: Duration = Duration::from_secs(5);

/// What a server on loopback answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// With the headers before it.
    pub(crate) text: String,
}

/// Asks for what is at `path`.
pub(crate) fn get(port: u16, path: &str) -> Result<Answer> {
    ask(port, &format!("GET {path}"), "")
}

/// Sends JSON to `path`.
pub(crate) fn post(port: u16, path: &str, json: &str) -> Result<Answer> {
    ask(port, &format!("POST {path}"), json)
}

fn ask(port: u16, request: &str, body: &str) -> Result<Answer> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut head = format!("{request} HTTP/1.0\r\nHost: {address}\r\n");
    if !body.is_empty() {
        head += &format!(
            "Content-Type: application/json\r\nContent-Length: {}\r\n",
            body.len()
        );
    }
    write!(stream, "{head}\r\n{body}")?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    let text = String::from_utf8_lossy(&answer).into_owned();
    let status = status(&text).with_context(|| format!("no HTTP from {address}"))?;
    Ok(Answer { status, text })
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
