//! A server that sends posts as X does.

use std::io::{self, BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;

/// Sends the lines to everyone who connects to the stream, and then nothing.
pub(crate) fn start(lines: Vec<String>) -> io::Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    thread::spawn(move || {
        for connection in listener.incoming().flatten() {
            let lines = lines.clone();
            // Who hangs up is not missed.
            thread::spawn(move || serve(connection, &lines));
        }
    });
    Ok(address)
}

fn serve(mut connection: TcpStream, lines: &[String]) -> io::Result<()> {
    let mut requests = BufReader::new(connection.try_clone()?);
    loop {
        let mut first = String::new();
        if requests.read_line(&mut first)? == 0 {
            return Ok(());
        }
        let mut line = String::new();
        while line != "\r\n" {
            line.clear();
            requests.read_line(&mut line)?;
        }
        const HEAD: &str = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n";
        if first.contains("/rules") {
            let body =
                r#"{"data":[{"id":"1","value":"ukraine","tag":"RU-UKR"}],"meta":{"sent":"now"}}"#;
            write!(
                connection,
                "{HEAD}Content-Length: {}\r\n\r\n{body}",
                body.len()
            )?;
            continue;
        }
        write!(connection, "{HEAD}Transfer-Encoding: chunked\r\n\r\n")?;
        // A post is a chunk, as when they come one by one.
        for line in lines {
            write!(connection, "{:x}\r\n{line}\r\n", line.len())?;
        }
    }
}
