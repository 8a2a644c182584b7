use proptest::prelude::*;
use serde_json::{Value as Json, json};

use super::*;
use crate::error::ErrorKind;

fn parse(line: &str) -> Result<Vec<Keyed<Tweet>>> {
    PostParser::default().parse(line.as_bytes())
}

fn refusal(line: impl AsRef<[u8]>) -> String {
    let error = PostParser::default()
        .parse(line.as_ref())
        .expect_err("the line is no post");
    assert_eq!(error.kind(), ErrorKind::Invalid);
    error.report()
}

fn tweet(id: i64, time: i32, content: &str, task: &str) -> Keyed<Tweet> {
    Keyed {
        id: TweetId(id),
        value: Tweet {
            time,
            content: content.to_owned(),
            task: task.to_owned(),
        },
    }
}

fn flat(field: &str, value: Json) -> String {
    let mut line = json!({"id": "1", "text": "a", "created_at": 7, "task": "T"});
    line[field] = value;
    line.to_string()
}

#[test]
fn a_line_of_the_stream_is_a_tweet_for_each_distinct_tag() {
    let line = r#"{"matching_rules":[{"id":"1","tag":"B"},{"id":"2"},{"tag":""},{"tag":null},{"tag":"A"},{"tag":"B"}],
        "includes":{"users":[{"id":"3"}]},"errors":[{"title":"Not Found"}],
        "data":{"text":"short \ud83d\ude00","edit_history_tweet_ids":["9"],"id":"9223372036854775807",
                "created_at":"2024-01-15T10:35:00.999Z"}}"#;
    assert_eq!(
        parse(line).unwrap(),
        [
            tweet(i64::MAX, 1705314900, "short 😀", "B"),
            tweet(i64::MAX, 1705314900, "short 😀", "A"),
        ]
    );
}

#[test]
fn a_flat_line_is_a_tweet() {
    let line =
        "\t{\"task\":\"RU-UKR\",\"created_at\":1652073462,\"text\":\"\\u0000 @a\",\"id\":1783}\r\n";
    assert_eq!(
        parse(line).unwrap(),
        [tweet(1783, 1652073462, "\0 @a", "RU-UKR")]
    );
}

#[test]
fn the_long_text_goes_before_the_short() {
    for note in ["note_tweet", "note_post"] {
        let mut post =
            json!({"id": "1", "text": "sho…", "created_at": 7, note: {"text": "the long text"}});
        let stream = json!({"data": post, "matching_rules": [{"tag": "T"}]});
        assert_eq!(
            parse(&stream.to_string()).unwrap(),
            [tweet(1, 7, "the long text", "T")]
        );
        post["task"] = "T".into();
        assert_eq!(
            parse(&post.to_string()).unwrap(),
            [tweet(1, 7, "the long text", "T")]
        );
        post[note] = json!({"entities": {}});
        assert_eq!(
            parse(&post.to_string()).unwrap(),
            [tweet(1, 7, "sho…", "T")]
        );
    }
}

#[test]
fn what_only_repeats_another_post_has_the_whole_text_of_that() {
    for (references, included, kind) in [
        ("referenced_tweets", "tweets", "retweeted"),
        ("referenced_posts", "posts", "reposted"),
    ] {
        let line = |kind: &str, original: Json| {
            json!({
                "data": {
                    "id": "2", "text": "RT @a: the beg…", "created_at": 7,
                    references: [{"type": "quoted", "id": "9"}, {"type": kind, "id": "1"}],
                },
                "includes": {included: [{"id": "9", "text": "another"}, original], "users": [{"id": "1"}]},
                "matching_rules": [{"tag": "T"}],
            })
        };
        let text = |line: Json| parse(&line.to_string()).unwrap().remove(0).value.content;
        let short = json!({"id": "1", "text": "the beginning and the end"});
        let long = json!({"id": "1", "text": "the beg…", "note_tweet": {"text": "it is long"}});
        assert_eq!(text(line(kind, short.clone())), "the beginning and the end");
        assert_eq!(text(line(kind, long)), "it is long");
        // A reply is a text of its own, and a post that is not there leaves what is left of it.
        assert_eq!(text(line("replied_to", short)), "RT @a: the beg…");
        assert_eq!(
            text(line(kind, json!({"id": "3", "text": "x"}))),
            "RT @a: the beg…"
        );
        assert_eq!(text(line(kind, json!({"id": "1"}))), "RT @a: the beg…");
    }
}

#[test]
fn the_versions_of_a_post_are_told() {
    for field in ["edit_history_tweet_ids", "edit_history_post_ids"] {
        let post = json!({"id": "3", "text": "a", "created_at": 7, field: ["1", "x", "3"]});
        let line = json!({"data": post, "matching_rules": [{"tag": "T"}]}).to_string();
        let post = PostParser::default()
            .post(line.as_bytes())
            .unwrap()
            .unwrap();
        assert_eq!(post.versions, [TweetId(1), TweetId(3)]);
    }
}

#[test]
fn a_recorded_message_is_read_as_what_it_was_taken_for() {
    let arrived = SystemTime::UNIX_EPOCH + std::time::Duration::from_micros(1_652_073_462_123_456);
    let tweets = [
        tweet(7, -60, "a\n\"b\" 💙", "A"),
        tweet(7, -60, "a\n\"b\" 💙", "B"),
    ];
    for (raw, kept) in [
        (
            &br#"{"data":{"id":7e0}}"#[..],
            r#""raw":{"data":{"id":7e0}}}"#,
        ),
        (b"{\n}", r#""raw":"{\n}"}"#),
        (b"\xff", "\"raw\":\"\u{fffd}\"}"),
    ] {
        let line = recorded(arrived, raw, &tweets);
        let text = String::from_utf8(line.clone()).unwrap();
        assert!(text.ends_with(kept) && !text.contains('\n'), "{text}");
        let post = PostParser::default().post(&line).unwrap().unwrap();
        assert_eq!(post.arrived_at, Some(arrived));
        assert_eq!(post.into_tweets(), tweets);
        // What was no post then is none now.
        assert!(refusal(recorded(arrived, raw, &[])).contains("neither `data` nor `text`"));
    }
    // The post is what counts.
    let long = format!("{{\"x\":\"{}\"}}", "x".repeat(MAX_LINE));
    let line = recorded(arrived, long.as_bytes(), &tweets);
    assert!(line.len() < MAX_LINE && line.ends_with(b"\"raw\":null}"));
    assert_eq!(parse(&String::from_utf8(line).unwrap()).unwrap(), tweets);

    let report = refusal(flat("arrived_at", 7.into()));
    assert!(report.contains("field arrived_at"), "{report}");
}

#[test]
fn the_default_task_is_for_posts_without_one() {
    let parser = PostParser::new(Some("D".into())).unwrap();
    let tasks = |line: Json| -> Vec<String> {
        let tweets = parser.parse(line.to_string().as_bytes()).unwrap();
        tweets.into_iter().map(|tweet| tweet.value.task).collect()
    };
    let post = json!({"id": "1", "text": "a", "created_at": 7});
    assert_eq!(tasks(post.clone()), ["D"]);
    assert_eq!(tasks(json!({"data": post})), ["D"]);
    assert_eq!(
        tasks(json!({"data": post, "matching_rules": [{"id": "5"}]})),
        ["D"]
    );
    assert_eq!(
        tasks(json!({"data": post, "matching_rules": [{"tag": "A"}]})),
        ["A"]
    );
    assert_eq!(tasks(json!({"data": post, "task": "F"})), ["F"]);

    let report = refusal(post.to_string());
    assert!(
        report.contains("field task") && report.contains("--task"),
        "{report}"
    );
}

#[test]
fn a_task_is_1_to_256_bytes() {
    for task in [" ", &"x".repeat(256), "кошка", "a,b=c d\n"] {
        assert_eq!(
            parse(&flat("task", task.into())).unwrap()[0].value.task,
            task
        );
    }
    for task in ["", &"x".repeat(257)] {
        assert!(refusal(flat("task", task.into())).contains("field task"));
        let error = PostParser::new(Some(task.into())).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Misconfigured);
    }
}

#[test]
fn a_post_has_at_most_1000_tasks() {
    let line = |tags: usize| {
        let rules: Vec<Json> = (0..tags)
            .map(|tag| json!({"tag": tag.to_string()}))
            .collect();
        json!({"data": {"id": "1", "text": "a", "created_at": 7}, "matching_rules": rules})
            .to_string()
    };
    assert_eq!(parse(&line(1000)).unwrap().len(), 1000);
    assert!(refusal(line(1001)).contains("field tag"));
}

#[test]
fn any_text_is_a_text() {
    for text in [
        "",
        "   ",
        "\0",
        "\u{feff}",
        "\u{2028}\r\n",
        &"ж".repeat(60_000),
    ] {
        assert_eq!(
            parse(&flat("text", text.into())).unwrap()[0].value.content,
            text
        );
    }
}

#[test]
fn the_time_is_whole_seconds_of_32_bits() {
    for (time, seconds) in [
        (json!("1970-01-01T00:00:00Z"), 0),
        (json!("1969-12-31T23:59:59.9999999Z"), -1),
        (json!("2024-01-15T12:35:00+02:00"), 1705314900),
        (json!("2038-01-19T03:14:07.999Z"), i32::MAX),
        (json!(i32::MIN), i32::MIN),
    ] {
        assert_eq!(
            parse(&flat("created_at", time)).unwrap()[0].value.time,
            seconds
        );
    }
    for time in [
        json!("2100-01-01T00:00:00Z"),
        json!("2038-01-19T03:14:08Z"),
        json!(2_147_483_648_i64),
        json!(1_652_073_462_000_i64),
        json!(u64::MAX),
        json!(1e300),
        json!(7.5),
        json!("2024-01-15"),
        json!("2024-01-15T10:35:00"),
        json!("7"),
        json!(""),
        json!("x".repeat(100_000)),
        json!([7]),
        json!(null),
    ] {
        let report = refusal(flat("created_at", time));
        assert!(report.contains("field created_at"), "{report}");
        assert!(report.len() < 500, "{report}");
    }
}

#[test]
fn an_id_is_19_digits_of_63_bits() {
    for (id, number) in [
        (json!("0001"), 1),
        (json!(0), 0),
        (json!(i64::MAX), i64::MAX),
    ] {
        assert_eq!(parse(&flat("id", id)).unwrap()[0].id, TweetId(number));
    }
    for id in [
        json!("12345678901234567890"),
        json!("9223372036854775808"),
        json!(9_223_372_036_854_775_808_u64),
        json!(1e20),
        json!(-1),
        json!("-1"),
        json!("+1"),
        json!("1a"),
        json!(" 1"),
        json!(""),
        json!(1.0),
        json!(true),
        json!({}),
    ] {
        let report = refusal(flat("id", id));
        assert!(report.contains("field id"), "{report}");
    }
}

#[test]
fn a_field_of_a_wrong_type_is_named() {
    for (field, value, found) in [
        ("text", json!(5), "needs a string, not 5"),
        ("text", json!({"a": [1]}), "an object"),
        ("text", json!(null), "neither"),
        ("task", json!(false), "a boolean"),
        ("id", json!([]), "an array"),
    ] {
        let report = refusal(flat(field, value));
        assert!(report.contains(field) && report.contains(found), "{report}");
    }
    let report = refusal(r#"{"data":{"id":"1","created_at":7}}"#);
    assert!(report.contains("lacks a field (field text)"), "{report}");
}

#[test]
fn a_broken_line_is_told_with_its_column() {
    for (line, said) in [
        (
            &br#"{"id":"1","te"#[..],
            "cut short: EOF while parsing a string (column 13)",
        ),
        (b"hello", "not JSON: expected value (column 1)"),
        (
            b"{\"id\":\"1\"} {}",
            "not JSON: trailing characters (column 12)",
        ),
        (
            br#"{"id":"1","id":"2"}"#,
            "not a post: duplicate field `id` (column 14)",
        ),
        (br#"["1","a",7,"T"]"#, "expected an object (column 0)"),
        (
            br#"{"data":["1","a",7,null,null]}"#,
            "expected an object (column 8)",
        ),
        (br#"{"data":"1"}"#, "expected an object (column 11)"),
        (br#"{"text":"\ud800"}"#, "hex escape (column 16)"),
        (b"{\"text\":\"\xff\"}", "the line is not UTF-8 (column 10)"),
        (b"\xef\xbb\xbf", "column 1"),
    ] {
        let report = refusal(line);
        assert!(report.contains(said), "{report}");
    }
    let long = format!(r#"{{"data":"{}"}}"#, "x".repeat(100_000));
    assert!(refusal(long).len() < 500);
}

#[test]
fn another_message_is_told_by_what_it_says() {
    for (line, said) in [
        (
            r#"{"errors":[{"title":"operational-disconnect","detail":"shed load","type":"x"}]}"#,
            "the stream reported an error (error operational-disconnect: shed load)",
        ),
        (
            r#"{"errors":[]}"#,
            "neither `data` nor `text` (fields errors)",
        ),
        (
            r#"{"errors":[{"code":5}]}"#,
            "neither `data` nor `text` (fields errors)",
        ),
        (
            r#"{"delete":{"id":"1"},"at":7}"#,
            "neither `data` nor `text` (fields at, delete)",
        ),
        (
            r#"{"id":"1","created_at":7,"task":"T"}"#,
            "neither `data` nor `text`",
        ),
        ("{}", "neither `data` nor `text`"),
    ] {
        let report = refusal(line);
        assert!(report.contains(said), "{report}");
    }
}

#[test]
fn a_blank_line_is_nothing() {
    for line in ["", " ", "\r\n", "\t \n"] {
        assert_eq!(parse(line).unwrap(), []);
    }
}

prop_compose! {
    fn any_tweet()(
        id in 0..=i64::MAX,
        time in any::<i32>(),
        content in any::<String>(),
        task in any::<String>().prop_filter("a task's length", |task| wrong_with_task(task).is_none()),
    ) -> Keyed<Tweet> {
        tweet(id, time, &content, &task)
    }
}

fn any_json() -> impl Strategy<Value = Json> {
    let key = prop_oneof![
        prop::sample::select(vec![
            "data",
            "matching_rules",
            "tag",
            "id",
            "text",
            "created_at",
            "task",
            "note_tweet",
            "note_post",
            "errors",
            "title",
        ])
        .prop_map(str::to_owned),
        any::<String>(),
    ];
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::from),
        any::<i64>().prop_map(Json::from),
        any::<u64>().prop_map(Json::from),
        any::<f64>().prop_map(Json::from),
        any::<String>().prop_map(Json::from),
        Just(json!("2024-01-15T10:35:00Z")),
        Just(json!("17")),
    ];
    leaf.prop_recursive(4, 64, 8, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Json::from),
            prop::collection::btree_map(key.clone(), inner, 0..8)
                .prop_map(|map| Json::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn every_tweet_comes_back_from_either_form(tweet in any_tweet(), as_number: bool, as_seconds: bool) {
        let id = if as_number { json!(tweet.id.0) } else { json!(tweet.id.to_string()) };
        let time = if as_seconds {
            json!(tweet.value.time)
        } else {
            json!(Timestamp::from_second(tweet.value.time.into()).unwrap().to_string())
        };
        let Tweet { content, task, .. } = &tweet.value;
        let flat = json!({"id": id, "text": content, "created_at": time, "task": task});
        let stream = json!({
            "data": {"id": id, "text": content, "created_at": time},
            "matching_rules": [{"id": "1", "tag": task}],
        });
        for line in [flat, stream] {
            prop_assert_eq!(parse(&line.to_string()).unwrap(), [tweet.clone()]);
        }
    }

    #[test]
    fn any_bytes_are_read_or_refused(line in any::<Vec<u8>>()) {
        let _ = PostParser::default().parse(&line);
    }

    #[test]
    fn any_json_is_read_or_refused(line in any_json()) {
        if let Err(error) = parse(&line.to_string()) {
            prop_assert_eq!(error.kind(), ErrorKind::Invalid);
            prop_assert!(error.report().len() < 2000);
        }
    }

    #[test]
    fn a_line_cut_short_is_refused(tweet in any_tweet(), cut: prop::sample::Index) {
        let Tweet { time, content, task } = &tweet.value;
        let line = json!({"id": tweet.id, "text": content, "created_at": time, "task": task}).to_string();
        let cut = 1 + cut.index(line.len() - 1);
        prop_assert!(PostParser::default().parse(&line.as_bytes()[..cut]).is_err());
    }
}
