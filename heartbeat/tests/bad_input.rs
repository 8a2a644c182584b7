//! Input of every bad kind: each piece a dead letter that says what and where, and the rest goes through.

mod common;

use common::heartbeat;
use serde_json::{Value, json};

fn line(id: u32, text: &str) -> Vec<u8> {
    let post = json!({"id": id.to_string(), "text": text, "created_at": "2022-05-09T05:17:42Z", "task": "t"});
    format!("{post}\n").into_bytes()
}

/// Bad lines, and what the dead letter of each has to say.
fn bad_lines() -> Vec<(Vec<u8>, &'static [&'static str])> {
    let post = |id: &str, created_at: &str| {
        format!(r#"{{"id":{id},"text":"x","created_at":{created_at},"task":"t"}}"#).into_bytes()
    };
    let now = r#""2022-05-09T05:17:42Z""#;
    vec![
        (
            br#"{"id":"1","text":"cut sho"#.to_vec(),
            &["cut short", "column"],
        ),
        (b"not JSON at all".to_vec(), &["not JSON", "column 2"]),
        (b"[1, 2, 3]".to_vec(), &["not a post"]),
        (
            br#"{"keep":"alive"}"#.to_vec(),
            &["neither `data` nor `text`", "keep"],
        ),
        (post("true", now), &["field id", "a boolean"]),
        (
            post(r#""12345678901234567890""#, now),
            &["19 digits", "field id"],
        ),
        (post(r#""1""#, "[]"), &["field created_at", "an array"]),
        (
            post(r#""1""#, r#""yesterday""#),
            &["field created_at", "yesterday"],
        ),
        (
            post(r#""1""#, r#""2100-01-01T00:00:00Z""#),
            &["field created_at", "2038"],
        ),
        (post(r#""1""#, "4102444800"), &["field created_at", "2038"]),
        (
            br#"{"id":"1","text":7,"created_at":0,"task":"t"}"#.to_vec(),
            &["field text", "7"],
        ),
        (
            br#"{"id":"1","text":"x","created_at":0}"#.to_vec(),
            &["field task", "--task"],
        ),
        (
            b"{\"id\":\"1\",\"text\":\"\xff\xfe\",\"created_at\":0,\"task\":\"t\"}".to_vec(),
            &["UTF-8", "column 19"],
        ),
        (
            b"{\"id\":\"1\",\"text\":\"a\0b\",\"created_at\":0,\"task\":\"t\"}".to_vec(),
            &["not JSON", "column 20"],
        ),
        (vec![b'x'; 10 << 20], &["10485760", "1048576"]),
    ]
}

#[test]
fn each_bad_line_is_a_dead_letter_and_the_rest_goes_through() {
    let dir = tempfile::tempdir().expect("a folder");
    let good = [
        line(1, "We are absolutely loving this!"),
        line(2, "     "),
        line(3, ""),
        line(4, &"good ".repeat(12_000)),
        line(5, &"\u{1F499}".repeat(60_000)),
        line(6, "a\u{0}b"),
        b"   \r\n".to_vec(),
        line(7, "\u{202e}\u{feff} e\u{301}"),
    ];
    let bad = bad_lines();
    // A good line behind every bad one, in turn.
    let mut input = Vec::new();
    let mut numbers = Vec::new();
    let mut written = 0;
    for (index, (bytes, _)) in bad.iter().enumerate() {
        written += 1;
        numbers.push(written);
        input.extend_from_slice(bytes);
        input.push(b'\n');
        if let Some(good) = good.get(index) {
            written += 1;
            input.extend_from_slice(good);
        }
    }
    std::fs::write(dir.path().join("posts.jsonl"), input).expect("written");

    let run = [
        "run",
        "--source",
        "jsonl:posts.jsonl",
        "--until-idle",
        "--json",
    ];
    let done: Value = serde_json::from_str(&heartbeat(dir.path(), &run, b"").good()).expect("JSON");
    assert_eq!(done["stored"], 7, "{done}");
    assert_eq!(done["dead_letters"], bad.len(), "{done}");

    let stored = heartbeat(dir.path(), &["dump", "--json"], b"").good();
    let ids: Vec<i64> = stored
        .lines()
        .map(|line| {
            serde_json::from_str::<Value>(line).expect("JSON")["id"]
                .as_i64()
                .expect("an id")
        })
        .collect();
    assert_eq!(ids, [1, 2, 3, 4, 5, 6, 7]);

    let letters = heartbeat(dir.path(), &["dead-letters", "list", "--json"], b"").good();
    let mut letters: Vec<Value> = letters
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    letters.sort_by_key(|letter| letter["offset"].as_i64());
    assert_eq!(letters.len(), bad.len());
    for ((letter, (_, reasons)), number) in letters.iter().zip(&bad).zip(numbers) {
        let error = letter["error"].as_str().expect("an error");
        assert!(error.contains(&format!("line {number}")), "{error}");
        for reason in *reasons {
            assert!(error.contains(reason), "{reason:?} is not in {error:?}");
        }
        assert_eq!(letter["stage"], "ingest");
    }
    // Read again: nothing is new, and nothing died again.
    let done: Value = serde_json::from_str(&heartbeat(dir.path(), &run, b"").good()).expect("JSON");
    assert_eq!(
        (&done["read"], &done["dead_letters"]),
        (&json!(0), &json!(0))
    );
}

#[test]
fn an_empty_file_is_fine_and_a_missing_one_is_told() {
    let dir = tempfile::tempdir().expect("a folder");
    std::fs::write(dir.path().join("empty.jsonl"), "").expect("written");
    let run = [
        "run",
        "--source",
        "jsonl:empty.jsonl",
        "--until-idle",
        "--json",
    ];
    let done: Value = serde_json::from_str(&heartbeat(dir.path(), &run, b"").good()).expect("JSON");
    assert_eq!((&done["read"], &done["stored"]), (&json!(0), &json!(0)));

    let missing = heartbeat(
        dir.path(),
        &["run", "--source", "jsonl:none.jsonl", "--until-idle"],
        b"",
    );
    assert_eq!(missing.code, 2, "{missing:?}");
    assert!(missing.err.contains("none.jsonl"), "{missing:?}");
}

#[test]
fn posts_on_the_standard_input_are_read_as_they_come() {
    let dir = tempfile::tempdir().expect("a folder");
    let input: Vec<u8> = (1..=50).flat_map(|id| line(id, "good")).collect();
    let run = ["run", "--source", "jsonl:-", "--until-idle", "--json"];
    let done: Value =
        serde_json::from_str(&heartbeat(dir.path(), &run, &input).good()).expect("JSON");
    assert_eq!(done["stored"], 50, "{done}");
}
