//! [`PostFilter`].

use std::borrow::Cow;

use heartbeat_core::{Error, Keyed, Result, Tweet, TweetId};
use sha2::{Digest, Sha256};

use crate::config::BlueskyConfig;
use crate::wire::{Message, Value};
use crate::words::Words;

/// The collection of posts.
const POSTS: &str = "app.bsky.feed.post";

/// Reads Jetstream's messages and keeps the posts that a config wants.
///
/// ```
/// use heartbeat_bluesky::{BlueskyConfig, MessageKind, PostFilter};
///
/// let mut config = BlueskyConfig::default();
/// config.words.insert("RU-UKR".into(), vec!["ukraine".into(), "kyiv".into()]);
/// let filter = PostFilter::new(&config)?;
///
/// let found = filter.read(br#"{"did":"did:plc:a","time_us":1725911162329308,"kind":"commit","commit":{
///     "operation":"create","collection":"app.bsky.feed.post","rkey":"3l3qo2vutsw2b",
///     "record":{"text":"Kyiv, in the morning","langs":["en"],"createdAt":"2024-09-09T19:46:02.102Z"}}}"#)?;
/// assert_eq!(found.time_us, Some(1_725_911_162_329_308));
/// let MessageKind::Post(tweets) = found.kind else { panic!("it is a post") };
/// assert_eq!((tweets[0].value.time, tweets[0].value.task.as_str()), (1_725_911_162, "RU-UKR"));
/// # Ok::<(), heartbeat_core::Error>(())
/// ```
#[derive(Debug)]
pub struct PostFilter {
    words: Words,
    /// In lower case.
    languages: Vec<String>,
}

/// What a message of Jetstream came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// When the server had it, in microseconds since 1970-01-01 UTC: where the stream is. A post always tells it.
    pub time_us: Option<i64>,
    /// What it is.
    pub kind: MessageKind,
}

/// What a message of Jetstream is.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum MessageKind {
    /// A new post that is wanted: a tweet for each of its tasks, at least one, in their order.
    Post(Vec<Keyed<Tweet>>),
    /// A new post that has no word of any task, or not the language.
    Unwanted,
    /// A post that was changed.
    Update,
    /// A post that was deleted.
    Delete,
    /// Something else: another collection, an account's news, a kind that is not known.
    Other,
}

impl PostFilter {
    /// The filter of a config's `words` and `languages`.
    ///
    /// # Errors
    /// [`ErrorKind::Misconfigured`](heartbeat_core::ErrorKind::Misconfigured) when no task has a word, or a task, a word or a
    /// language is empty or too long.
    pub fn new(config: &BlueskyConfig) -> Result<Self> {
        let languages = config.languages.iter();
        let languages: Vec<String> = languages.map(|it| it.trim().to_lowercase()).collect();
        if languages.iter().any(String::is_empty) {
            return Err(Error::misconfigured("a language is empty")
                .hint("Leave `languages` out for all, or write them as `[\"en\", \"uk\"]`."));
        }
        Ok(Self {
            words: Words::new(&config.words)?,
            languages,
        })
    }

    /// Reads one message.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](heartbeat_core::ErrorKind::Invalid) when it is not JSON, or should be a post and is none; the field at
    /// fault is named.
    pub fn read(&self, message: &[u8]) -> Result<Found> {
        let message = Message::read(message)?;
        let time_us = match message.time_us {
            Value::Integer(time) => second_of(time).map(|_| time),
            _ => None,
        };
        Ok(Found {
            time_us,
            kind: self.kind_of(message)?,
        })
    }

    fn kind_of(&self, message: Message<'_>) -> Result<MessageKind> {
        match &message.kind {
            Value::Text(kind) if kind == "commit" => {}
            Value::Text(_) | Value::Missing => return Ok(MessageKind::Other),
            other => return Err(other.mistaken("kind", "a string")),
        }
        let commit = message.commit.into_object("commit")?;
        if commit.collection.into_text("commit.collection")? != POSTS {
            return Ok(MessageKind::Other);
        }
        match &*commit.operation.into_text("commit.operation")? {
            "create" => {}
            "update" => return Ok(MessageKind::Update),
            "delete" => return Ok(MessageKind::Delete),
            _ => return Ok(MessageKind::Other),
        }
        let did = named(message.did, "did")?;
        let rkey = named(commit.rkey, "commit.rkey")?;
        let time = time_of(&message.time_us)?;
        let record = commit.record.into_object("commit.record")?;
        let text = record.text.into_text("commit.record.text")?;
        if !self.takes_languages(&record.langs)? {
            return Ok(MessageKind::Unwanted);
        }
        let tasks = self.words.tasks_of(&text);
        if tasks.is_empty() {
            return Ok(MessageKind::Unwanted);
        }
        let id = id_of(&did, &rkey);
        let tweet = |task: &str| Keyed {
            id,
            value: Tweet {
                time,
                content: text.as_ref().to_owned(),
                task: task.to_owned(),
            },
        };
        Ok(MessageKind::Post(tasks.into_iter().map(tweet).collect()))
    }

    fn takes_languages(&self, langs: &Value<'_>) -> Result<bool> {
        let field = "commit.record.langs";
        let langs = match langs {
            Value::Missing => &[],
            Value::List(langs) => langs.as_slice(),
            other => return Err(other.mistaken(field, "an array")),
        };
        let mut takes = self.languages.is_empty();
        for lang in langs {
            let Value::Text(lang) = lang else {
                return Err(lang.mistaken(field, "strings"));
            };
            takes = takes || self.languages.iter().any(|wanted| is_kind_of(lang, wanted));
        }
        Ok(takes)
    }
}

/// Whether a language is the one that is wanted, or one of its regions and scripts.
fn is_kind_of(lang: &str, wanted: &str) -> bool {
    let lang = lang.to_lowercase();
    let rest = lang.strip_prefix(wanted);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
}

/// A part of what tells a post from all others.
fn named<'a>(value: Value<'a>, field: &'static str) -> Result<Cow<'a, str>> {
    let text = value.into_text(field)?;
    if text.is_empty() {
        return Err(Error::invalid("the field is empty").with("field", field));
    }
    Ok(text)
}

fn time_of(time_us: &Value<'_>) -> Result<i32> {
    let Value::Integer(time) = time_us else {
        return Err(time_us.mistaken("time_us", "microseconds since 1970"));
    };
    second_of(*time).ok_or_else(|| {
        Error::invalid("the time does not fit the seconds of a tweet")
            .with("field", "time_us")
            .with("value", time)
    })
}

/// The whole second that a time in microseconds is in.
fn second_of(time_us: i64) -> Option<i32> {
    i32::try_from(time_us.div_euclid(1_000_000)).ok()
}

/// The number of a post, which Bluesky does not have: the first 8 bytes, big-endian, of the SHA-256 of its author's `did`, a zero
/// byte and its `rkey`, without the highest bit. Stores know posts by it, so it never changes.
fn id_of(did: &str, rkey: &str) -> TweetId {
    number_of(
        Sha256::new()
            .chain_update(did)
            .chain_update([0])
            .chain_update(rkey),
    )
}

/// The number of a message that is no post, to know it again: as of a post, of `0`, a zero byte and all its bytes. No post has
/// that, as `0` is not a DID.
pub(crate) fn id_of_bad(message: &[u8]) -> TweetId {
    number_of(Sha256::new().chain_update([b'0', 0]).chain_update(message))
}

fn number_of(hash: Sha256) -> TweetId {
    let hash = hash.finalize();
    let number = hash
        .iter()
        .take(8)
        .fold(0, |number, byte| number << 8 | i64::from(*byte));
    TweetId(number & i64::MAX)
}

#[cfg(test)]
mod tests {
    use heartbeat_core::ErrorKind;
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
    fn ids_are_the_same_for_ever() {
        for (did, rkey, id) in [
            ("did:plc:eygmaihciaxprqvxpfvl6flk", "3l3qo2vuowo2b", ID),
            ("did:plc:a", "b", 8_813_019_529_677_599_215),
            (
                "did:web:example.org",
                "3kznmn7xqxl22",
                7_830_078_753_280_001_141,
            ),
        ] {
            assert_eq!(id_of(did, rkey), TweetId(id), "{did} {rkey}");
        }
        assert_ne!(id_of("ab", "c"), id_of("a", "bc"));
    }

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
}
