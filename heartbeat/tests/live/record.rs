//! Recording, and playing it again.

use std::time::Instant;

use crate::World;
use crate::server::{Answer, post, post_of, posts, send, wait};

#[test]
fn a_recording_gives_the_same_moods_however_often_it_is_played() {
    let world = World::new([
        Answer::Stream(vec![
            send(post_of(1, &["A", "B"])),
            posts(2..=20),
            wait(1.0),
            send("no post\r\n"),
            posts(15..=40),
            wait(1000.0),
        ]),
        Answer::Stream(vec![posts(41..=60), wait(1000.0)]),
    ]);
    let told = world
        .run(&["record", "night.jsonl.gz", "--messages", "41"])
        .good();
    assert_eq!(
        told,
        "recorded 41 messages: 41 tweets, 1 no posts, into night.jsonl.gz\n"
    );
    let told = world
        .run(&[
            "record",
            "night.jsonl.gz",
            "--append",
            "--for",
            "1s",
            "--json",
        ])
        .good();
    assert_eq!(told, "{\"messages\":20,\"tweets\":20,\"rejected\":0}\n");

    let play = |store: &str, speed: &[&str]| {
        let files = [
            format!("sqlite:{store}-bus.db"),
            format!("sqlite:{store}.db"),
        ];
        let run = [
            "run",
            "--source",
            "jsonl:night.jsonl.gz",
            "--until-idle",
            "--bus",
            &files[0],
            "--store",
            &files[1],
        ];
        let started = Instant::now();
        let told = world.run(&[&run, speed].concat()).good();
        assert!(told.contains("stored 61, 1 dead letter"), "{told}");
        let dump = world.run(&["dump", "--json", "--store", &files[1]]).good();
        assert_eq!(dump.lines().count(), 61);
        (dump, started.elapsed().as_secs_f64())
    };
    let (first, fast) = play("first", &[]);
    let (second, slow) = play("second", &["--speed", "1"]);
    assert_eq!(first, second);
    assert!(slow > 1.0 && slow > fast, "{slow} s and {fast} s");
}

#[test]
fn a_line_of_a_recording_has_the_message_itself() {
    let world = World::new([Answer::Stream(vec![send(post(7)), wait(1000.0)])]);
    world
        .run(&["record", "one.jsonl", "--messages", "1"])
        .good();
    let text = std::fs::read_to_string(world.path().join("one.jsonl")).unwrap();
    let line: serde_json::Value = serde_json::from_str(&text).unwrap();
    let raw: serde_json::Value = serde_json::from_str(&post(7)).unwrap();
    assert_eq!(line["raw"], raw);
    assert_eq!(line["text"], "post 7");
    assert!(
        line["arrived_at"].as_str().unwrap().ends_with('Z'),
        "{text}"
    );
    assert!(text.ends_with('\n') && text.lines().count() == 1);
}

#[test]
fn nothing_is_recorded_over_or_from_what_is_recorded() {
    let world = World::new([]);
    std::fs::write(world.path().join("there.jsonl"), "x\n").unwrap();
    for (args, says) in [
        (&["record", "there.jsonl"][..], "--append"),
        (
            &["record", "new.jsonl", "--source", "fake"],
            "only a live source",
        ),
        (&["record", "no/such/folder.jsonl"], "no/such/folder.jsonl"),
        (
            &["run", "--source", "fake", "--speed", "2"],
            "--speed is for recorded posts",
        ),
        (
            &["run", "--source", "jsonl:there.jsonl", "--speed", "0"],
            "speed 0",
        ),
    ] {
        let ran = world.run(args);
        assert!(ran.code == 2 && ran.err.contains(says), "{ran:?}");
    }
    assert_eq!(
        std::fs::read(world.path().join("there.jsonl")).unwrap(),
        b"x\n"
    );
    assert!(!world.path().join("new.jsonl").exists());
}
