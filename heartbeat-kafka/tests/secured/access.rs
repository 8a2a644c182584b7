//! Rules of who may do what, made by Kafka's own protocol as librdkafka's Rust client cannot.

use std::io::{Read, Write};
use std::net::TcpStream;

use testbed::Listener;

use crate::cluster::kafka;

/// What a rule is about. The numbers are Kafka's.
#[derive(Debug, Clone, Copy)]
pub(crate) enum On<'a> {
    Topic(&'a str),
    Group(&'a str),
    /// All that begin so.
    TransactionalIds(&'a str),
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum Do {
    All = 2,
    Read = 3,
    Describe = 8,
}

pub(crate) fn allow(user: &str, what: Do, on: On<'_>) {
    rule(user, what, on, 3);
}

/// Goes before whatever is allowed.
pub(crate) fn deny(user: &str, what: Do, on: On<'_>) {
    rule(user, what, on, 2);
}

/// `CreateAcls`, version 1, with one of them.
fn rule(user: &str, what: Do, on: On<'_>, permission: u8) {
    const LITERAL: u8 = 3;
    const PREFIXED: u8 = 4;
    let (kind, name, pattern) = match on {
        On::Topic(name) => (2, name, LITERAL),
        On::Group(name) => (3, name, LITERAL),
        On::TransactionalIds(start) => (5, start, PREFIXED),
    };
    let mut request = vec![0, 30, 0, 1, 0, 0, 0, 7];
    text(&mut request, "tests");
    request.extend([0, 0, 0, 1, kind]);
    text(&mut request, name);
    request.push(pattern);
    text(&mut request, &format!("User:{user}"));
    text(&mut request, "*");
    request.extend([what as u8, permission]);

    let broker = kafka().bootstrap_of(Listener::Plaintext).unwrap();
    let mut stream = TcpStream::connect(broker).unwrap();
    let size = u32::try_from(request.len()).unwrap();
    stream.write_all(&size.to_be_bytes()).unwrap();
    stream.write_all(&request).unwrap();
    let mut size = [0; 4];
    stream.read_exact(&mut size).unwrap();
    let mut answer = vec![0; u32::from_be_bytes(size) as usize];
    stream.read_exact(&mut answer).unwrap();
    // The request's number, how long to wait, one result, its error.
    assert_eq!(answer[..4], [0, 0, 0, 7]);
    assert_eq!(answer[8..14], [0, 0, 0, 1, 0, 0], "{on:?}: {answer:?}");
}

fn text(to: &mut Vec<u8>, text: &str) {
    to.extend(u16::try_from(text.len()).unwrap().to_be_bytes());
    to.extend(text.as_bytes());
}
