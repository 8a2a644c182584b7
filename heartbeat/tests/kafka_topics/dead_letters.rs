//! `heartbeat dead-letters` on Kafka.

use serde_json::{Value, json};

use crate::{Place, json_lines, post};

/// All of them.
fn list(place: &Place) -> Vec<Value> {
    json_lines(&place.run(&["dead-letters", "list", "--json"]).good())
}

fn lines_of(letters: &[Value]) -> Vec<i64> {
    let lines = letters.iter().map(|letter| letter["offset"].as_i64());
    let mut lines: Vec<i64> = lines.map(Option::unwrap).collect();
    lines.sort_unstable();
    lines
}

#[test]
fn what_is_mended_goes_through_and_what_is_not_stays() {
    let place = Place::with_topics();
    let ran = place.run(&["dead-letters", "list"]);
    assert!(ran.err.contains("No dead letters"), "{ran:?}");
    assert_eq!(ran.good(), "");

    place.ingest(
        &[post(1, Some("a")), post(2, None), "{\"id\"".to_owned()],
        &[],
    );
    place.drain();
    assert_eq!(place.stored(), [1]);
    let letters = list(&place);
    assert_eq!(lines_of(&letters), [2, 3]);
    // Looking passes none of them.
    assert_eq!(list(&place), letters);

    let id = letters[0]["id"].as_str().unwrap();
    assert!(id.starts_with(&place.topic("ingest.dead/0/")), "{id}");
    let shown = place.run(&["dead-letters", "show", id]).good();
    assert!(shown.contains("the post lacks a field"), "{shown}");
    let shown = place.run(&["dead-letters", "show", id, "--json"]).good();
    assert_eq!(json_lines(&shown)[0], letters[0]);
    let none = place.topic("ingest.dead/0/999");
    let ran = place.run(&["dead-letters", "show", &none]);
    assert_eq!(ran.code, 1, "{ran:?}");

    let dry = [
        "dead-letters",
        "replay",
        "--all",
        "--task",
        "b",
        "--dry-run",
    ];
    let out = place.run(&dry).good();
    assert!(
        out.contains("Would replay 1 dead letter, 1 failed again"),
        "{out}"
    );
    assert_eq!(list(&place), letters);

    let ran = place.run(&dry[..5]);
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(
        ran.out
            .contains("Replayed 1 dead letter, 1 failed again, 0 kept."),
        "{}",
        ran.out
    );
    let left = list(&place);
    assert_eq!((lines_of(&left), &left[0]["replays"]), (vec![3], &json!(1)));
    place.drain();
    assert_eq!(place.stored(), [1, 2]);
}

/// More than are counted one by one, and in many transactions, whose marks lie between them.
#[test]
fn many_are_seen_to_the_last_and_only_the_selected_ones_go() {
    const LETTERS: i64 = 1300;
    let place = Place::with_topics();
    let posts: Vec<String> = (1..=LETTERS).map(|id| post(id, None)).collect();
    place.ingest(&posts, &["--batch", "50"]);
    let letters = list(&place);
    assert_eq!(lines_of(&letters), (1..=LETTERS).collect::<Vec<_>>());

    let id_of = |line: i64| {
        let mut letters = letters.iter();
        let letter = letters.find(|letter| letter["offset"] == line).unwrap();
        letter["id"].as_str().unwrap().to_owned()
    };
    let (first, last) = (id_of(3), id_of(LETTERS));
    let replay = ["dead-letters", "replay", "--task", "a"];
    let selected = [&replay[..], &["--id", &first, "--id", &last]].concat();
    let out = place.run(&selected).good();
    assert!(
        out.contains("Replayed 2 dead letters, 0 failed again, 1298 kept"),
        "{out}"
    );
    let kept = list(&place);
    let expected: Vec<i64> = (1..LETTERS).filter(|line| *line != 3).collect();
    assert_eq!(lines_of(&kept), expected);
    place.drain();
    assert_eq!(place.stored(), [3, LETTERS]);

    let out = place.run(&[&replay[..], &["--all"]].concat()).good();
    assert!(out.contains("Replayed 1298 dead letters"), "{out}");
    assert!(list(&place).is_empty());
    place.drain();
    assert_eq!(place.stored(), (1..=LETTERS).collect::<Vec<_>>());
}
