//! `heartbeat score`

mod common;

use std::io::{BufRead, BufReader, Write};
use std::process::Stdio;
use std::{fs, iter};

use common::{command, heartbeat};
use flate2::Compression;
use flate2::write::GzEncoder;
use tempfile::tempdir;

#[test]
fn a_text_gets_a_line() {
    let dir = tempdir().unwrap();
    let out = heartbeat(dir.path(), &["score", "I love it"], b"").good();
    assert_eq!(
        out,
        "positive  neg 0.000  neu 0.323  pos 0.677  I love it\n"
    );
}

#[test]
fn json_has_the_fields_in_their_order() {
    let dir = tempdir().unwrap();
    let out = heartbeat(dir.path(), &["score", "--json", "I \"hate\" it"], b"").good();
    assert_eq!(
        out,
        "{\"text\":\"I \\\"hate\\\" it\",\"neg\":0.649,\"neu\":0.351,\"pos\":0.0,\"label\":\"negative\"}\n"
    );
}

#[test]
fn a_file_is_read_as_lines_packed_or_not() {
    let dir = tempdir().unwrap();
    let texts = "I love it\r\n\nI hate it";
    fs::write(dir.path().join("texts"), texts).unwrap();
    let mut packed = GzEncoder::new(Vec::new(), Compression::default());
    packed.write_all(texts.as_bytes()).unwrap();
    fs::write(dir.path().join("texts.gz"), packed.finish().unwrap()).unwrap();

    let plain = heartbeat(dir.path(), &["score", "texts"], b"").good();
    let labels: Vec<&str> = plain
        .lines()
        .filter_map(|line| line.split(' ').next())
        .collect();
    assert_eq!(labels, ["positive", "neutral", "negative"]);
    assert_eq!(
        heartbeat(dir.path(), &["score", "texts.gz"], b"").good(),
        plain
    );
    assert_eq!(
        heartbeat(dir.path(), &["score", "-"], texts.as_bytes()).good(),
        plain
    );
    assert_eq!(
        heartbeat(dir.path(), &["score"], texts.as_bytes()).good(),
        plain
    );
}

#[test]
fn the_name_of_a_directory_is_a_text() {
    let dir = tempdir().unwrap();
    fs::create_dir(dir.path().join("love")).unwrap();
    let out = heartbeat(dir.path(), &["score", "love"], b"").good();
    assert!(out.starts_with("positive"), "{out}");
}

#[test]
fn what_is_no_text_is_told_by_its_line_and_the_others_are_scored() {
    let dir = tempdir().unwrap();
    let mut input = b"one\n\xff\xfe\n".to_vec();
    input.extend(iter::repeat_n(b'x', 2 << 20));
    input.extend(b"\nfour\n");
    let ran = heartbeat(dir.path(), &["score", "--json"], &input);
    assert_eq!(ran.code, 1);
    assert_eq!(ran.out.lines().count(), 2, "{}", ran.out);
    assert!(
        ran.err.contains("UTF-8") && ran.err.contains("line 2"),
        "{}",
        ran.err
    );
    assert!(
        ran.err.contains("1 MiB") && ran.err.contains("line 3"),
        "{}",
        ran.err
    );
}

#[test]
fn many_lines_keep_their_order() {
    let dir = tempdir().unwrap();
    let input: String = (0..5000).map(|number| format!("text {number}\n")).collect();
    let out = heartbeat(dir.path(), &["score"], input.as_bytes()).good();
    for (number, line) in out.lines().enumerate() {
        assert!(line.ends_with(&format!("  text {number}")), "{line}");
    }
    assert_eq!(out.lines().count(), 5000);
}

#[test]
fn a_lone_line_in_an_open_pipe_is_answered() {
    let dir = tempdir().unwrap();
    let mut child = command(dir.path(), &["score"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let mut answers = BufReader::new(child.stdout.take().unwrap()).lines();
    for text in ["first", "second"] {
        writeln!(stdin, "{text}").unwrap();
        stdin.flush().unwrap();
        assert!(answers.next().unwrap().unwrap().ends_with(text));
    }
    drop(stdin);
    assert!(answers.next().is_none());
    assert!(child.wait().unwrap().success());
}

#[test]
fn a_text_cannot_steer_the_terminal() {
    let dir = tempdir().unwrap();
    let out = heartbeat(dir.path(), &["score", "a\u{1b}[31m\nb"], b"").good();
    assert!(out.ends_with("  a\\u{1b}[31m\\nb\n"), "{out:?}");
}

#[test]
fn a_reader_that_has_enough_is_no_failure() {
    let dir = tempdir().unwrap();
    fs::write(dir.path().join("texts"), "many words\n".repeat(50_000)).unwrap();
    let mut child = command(dir.path(), &["score", "texts"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut answers = BufReader::new(child.stdout.take().unwrap()).lines();
    answers.next().unwrap().unwrap();
    drop(answers);
    assert!(child.wait().unwrap().success());
}
