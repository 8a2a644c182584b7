//! What messages come to.

use heartbeat_core::{ErrorKind, TweetId};
use proptest::prelude::*;
use serde_json::{Value as Json, json};

use super::*;

fn filter(languages: &[&str]) -> PostFilter {
    let mut config = BlueskyConfig::default();
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
    config.words.insert("B".into(), words(&["ukraine", "kyiv"]));
    config.words.insert("A".into(), words(&["kyiv"]));
    config.languages = words(languages);
    PostFilter::new(&config).unwrap()
}

fn post() -> Json {
    json!({
        "did": "did:plc:eygmaihciaxprqvxpfvl6flk", "time_us": 1_725_911_162_329_308_i64, "kind": "commit",
        "commit": {
            "rev": "3l3qo2vutsw2b", "operation": "create", "collection": "app.bsky.feed.post",
            "rkey": "3l3qo2vuowo2b", "cid": "bafy",
            "record": {
                "$type": "app.bsky.feed.post", "createdAt": "1999-09-09T19:46:02.102Z", "langs": ["en"],
                "text": "Kyiv \u{1F1FA}\u{1F1E6}", "embed": {"alt": ["ukraine", 1.5, null]},
            },
        },
    })
}

/// The post, with another value at a place.
fn with(pointer: &str, value: Json) -> Vec<u8> {
    let mut post = post();
    *post.pointer_mut(pointer).unwrap() = value;
    post.to_string().into_bytes()
}

#[test]
fn a_post_is_a_tweet_of_each_of_its_tasks_at_the_servers_time() {
    let found = filter(&[]).read(post().to_string().as_bytes()).unwrap();
    assert_eq!(found.time_us, Some(1_725_911_162_329_308));
    let MessageKind::Post(tweets) = found.kind else {
        panic!("{found:?}");
    };
    let tweet = |task: &str| Keyed {
        id: TweetId(ID),
        value: Tweet {
            time: 1_725_911_162,
            content: "Kyiv \u{1F1FA}\u{1F1E6}".into(),
            task: task.into(),
        },
    };
    assert_eq!(tweets, [tweet("A"), tweet("B")]);
}

const ID: i64 = 1_898_513_091_806_997_865;

#[test]
fn only_new_posts_of_the_words_and_languages_are_wanted() {
    let filter = filter(&["en", " PT "]);
    for (message, kind) in [
        (with("/commit/record/text", json!("")), "Unwanted"),
        (with("/commit/record/text", json!("Kyivan")), "Unwanted"),
        (with("/commit/record/langs", json!(["uk", "en-US"])), "Post"),
        (with("/commit/record/langs", json!(["pt-BR"])), "Post"),
        (with("/commit/record/langs", json!(["EN"])), "Post"),
        (with("/commit/record/langs", json!(["enm", "uk"])), "Unwanted"),
        (with("/commit/record/langs", json!([])), "Unwanted"),
        (with("/commit/record/langs", Json::Null), "Unwanted"),
        (with("/commit/operation", json!("update")), "Update"),
        (with("/commit/operation", json!("delete")), "Delete"),
        (with("/commit/operation", json!("resync")), "Other"),
        (with("/commit/collection", json!("app.bsky.feed.like")), "Other"),
        (with("/kind", json!("identity")), "Other"),
        (with("/kind", json!("account")), "Other"),
        (with("/kind", json!("something new")), "Other"),
        (with("/kind", Json::Null), "Other"),
        (b"{}".to_vec(), "Other"),
        (br#"{"kind":"commit","commit":{"operation":"delete","collection":"app.bsky.feed.post"}}"#.to_vec(), "Delete"),
    ] {
        let found = filter.read(&message).unwrap();
        let name = format!("{:?}", found.kind);
        assert!(name.starts_with(kind), "{}: {found:?}", String::from_utf8_lossy(&message));
    }
}

#[test]
fn what_should_be_a_post_and_is_none_is_told_with_the_field() {
    let filter = filter(&[]);
    for (pointer, values, field) in [
        ("/did", vec![Json::Null, json!(7), json!("")], "did"),
        (
            "/time_us",
            vec![
                Json::Null,
                json!("7"),
                json!(1.5),
                json!(u64::MAX),
                json!(i64::MAX),
                json!(2_147_483_648_000_000_i64),
            ],
            "time_us",
        ),
        ("/kind", vec![json!(["commit"])], "kind"),
        (
            "/commit",
            vec![
                Json::Null,
                json!("x"),
                json!([1]),
                json!(1),
                json!(-1),
                json!(0.5),
                json!(true),
            ],
            "commit",
        ),
        (
            "/commit/operation",
            vec![Json::Null, json!({"a": 1})],
            "commit.operation",
        ),
        (
            "/commit/collection",
            vec![Json::Null, json!(true)],
            "commit.collection",
        ),
        (
            "/commit/rkey",
            vec![Json::Null, json!([]), json!("")],
            "commit.rkey",
        ),
        (
            "/commit/record",
            vec![Json::Null, json!("x")],
            "commit.record",
        ),
        (
            "/commit/record/text",
            vec![Json::Null, json!(["kyiv"]), json!(7)],
            "commit.record.text",
        ),
        (
            "/commit/record/langs",
            vec![json!("x".repeat(100)), json!([1]), json!({})],
            "commit.record.langs",
        ),
    ] {
        for value in values {
            let error = filter.read(&with(pointer, value.clone())).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Invalid);
            let text = error.to_string();
            assert!(
                text.contains(&format!("(field {field}")) && text.len() < 200,
                "{value}: {text}"
            );
        }
    }
    for (message, says) in [
        ("", "cut short"),
        (r#"{"did":"did:plc:a","kind":"com"#, "cut short"),
        ("<html>", "not JSON"),
        ("null", "null"),
        ("[]", "an array"),
        ("7", "a number"),
        (
            r#"{"kind":"commit","kind":"commit"}"#,
            "not one of Jetstream",
        ),
    ] {
        let error = filter.read(message.as_bytes()).unwrap_err();
        assert!(error.to_string().contains(says), "{message}: {error}");
    }
}

#[test]
fn a_time_is_of_the_second_that_it_is_in() {
    for (time, second) in [
        (1_999_999, Some(1)),
        (-1, Some(-1)),
        (2_147_483_647_999_999, Some(i32::MAX)),
        (2_147_483_648_000_000, None),
        (i64::MIN, None),
    ] {
        assert_eq!(second_of(time), second, "{time}");
    }
}

#[test]
fn a_language_that_is_empty_is_refused() {
    let mut config = BlueskyConfig::default();
    config.words.insert("A".into(), vec!["a".into()]);
    config.languages = vec!["en".into(), " ".into()];
    let error = PostFilter::new(&config).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Misconfigured);
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = filter(&["en"]).read(&bytes);
    }

    #[test]
    fn any_change_of_a_post_is_read_or_refused(at in any::<prop::sample::Index>(), with in any::<Vec<u8>>()) {
        let mut message = post().to_string().into_bytes();
        let at = at.index(message.len());
        let end = message.len().min(at + with.len());
        message.splice(at..end, with);
        if let Err(error) = filter(&["en"]).read(&message) {
            prop_assert_eq!(error.kind(), ErrorKind::Invalid);
            prop_assert!(error.report().len() < 1000);
        }
    }
}
