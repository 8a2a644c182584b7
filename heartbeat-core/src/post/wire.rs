//! The shapes of a line, before anything in it is checked.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::error::Category;

use crate::error::{Error, Result};
use crate::json::{Value, shortened};

/// A post, whichever form it came in.
pub(super) struct Post<'a> {
    pub(super) id: Value<'a>,
    /// The whole text.
    pub(super) text: Value<'a>,
    pub(super) created_at: Value<'a>,
    /// The task of the flat form.
    pub(super) task: Value<'a>,
    /// The tags of the rules that matched.
    pub(super) tags: Vec<Value<'a>>,
    /// The ids of all its versions so far.
    pub(super) versions: Vec<Value<'a>>,
    /// When a recording took it down.
    pub(super) arrived_at: Value<'a>,
}

/// Finds the post in a line.
pub(super) fn read(line: &str) -> Result<Post<'_>> {
    let Object(message) =
        serde_json::from_str::<Object<Message<'_>>>(line).map_err(|error| refused(&error))?;
    let rules = message.matching_rules.unwrap_or_default();
    let tags = rules.into_iter().map(|Object(rule)| rule.tag);
    let data = match message.data {
        Some(Object(data)) => data,
        None if matches!(message.text, Value::Missing) => return Err(not_a_post(line)),
        None => Data {
            id: message.id,
            text: message.text,
            created_at: message.created_at,
            note_tweet: message.note_tweet,
            note_post: message.note_post,
            ..Data::default()
        },
    };
    let repeats = data.repeats();
    Ok(Post {
        id: data.id,
        text: message
            .includes
            .and_then(|Object(includes)| includes.text_of(&repeats?))
            .unwrap_or_else(|| whole(data.text, data.note_tweet.or(data.note_post))),
        created_at: data.created_at,
        task: message.task,
        tags: tags.filter(|tag| !matches!(tag, Value::Missing)).collect(),
        versions: data
            .edit_history_tweet_ids
            .or(data.edit_history_post_ids)
            .unwrap_or_default(),
        arrived_at: message.arrived_at,
    })
}

/// The `text` of a long post is only its beginning.
fn whole<'a>(text: Value<'a>, note: Option<Object<Note<'a>>>) -> Value<'a> {
    match note {
        Some(Object(note)) if !matches!(note.text, Value::Missing) => note.text,
        _ => text,
    }
}

/// A line: an envelope around `data`, or the fields of a flat post.
#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow)]
    data: Option<Object<Data<'a>>>,
    #[serde(borrow)]
    includes: Option<Object<Includes<'a>>>,
    #[serde(borrow)]
    matching_rules: Option<Vec<Object<Rule<'a>>>>,
    #[serde(borrow, default)]
    arrived_at: Value<'a>,
    #[serde(borrow, default)]
    task: Value<'a>,
    // Not a flattened `Data`, which serde would read into a buffer first.
    #[serde(borrow, default)]
    id: Value<'a>,
    #[serde(borrow, default)]
    text: Value<'a>,
    #[serde(borrow, default)]
    created_at: Value<'a>,
    #[serde(borrow)]
    note_tweet: Option<Object<Note<'a>>>,
    #[serde(borrow)]
    note_post: Option<Object<Note<'a>>>,
}

#[derive(Default, Deserialize)]
struct Data<'a> {
    #[serde(borrow, default)]
    id: Value<'a>,
    #[serde(borrow, default)]
    text: Value<'a>,
    #[serde(borrow, default)]
    created_at: Value<'a>,
    #[serde(borrow)]
    note_tweet: Option<Object<Note<'a>>>,
    #[serde(borrow)]
    note_post: Option<Object<Note<'a>>>,
    #[serde(borrow)]
    referenced_tweets: Option<Vec<Object<Reference<'a>>>>,
    #[serde(borrow)]
    referenced_posts: Option<Vec<Object<Reference<'a>>>>,
    #[serde(borrow)]
    edit_history_tweet_ids: Option<Vec<Value<'a>>>,
    #[serde(borrow)]
    edit_history_post_ids: Option<Vec<Value<'a>>>,
}

impl<'a> Data<'a> {
    /// The id of the post that this one only repeats.
    fn repeats(&self) -> Option<Cow<'a, str>> {
        let references = self
            .referenced_tweets
            .as_ref()
            .or(self.referenced_posts.as_ref())?;
        references
            .iter()
            .find_map(|Object(reference)| match (&reference.kind, &reference.id) {
                (Value::Text(kind), Value::Text(id))
                    if matches!(&**kind, "retweeted" | "reposted") =>
                {
                    Some(id.clone())
                }
                _ => None,
            })
    }
}

/// How a post stands to another.
#[derive(Deserialize)]
struct Reference<'a> {
    #[serde(borrow, default, rename = "type")]
    kind: Value<'a>,
    #[serde(borrow, default)]
    id: Value<'a>,
}

/// What comes beside the post.
#[derive(Deserialize)]
struct Includes<'a> {
    #[serde(borrow)]
    tweets: Option<Vec<Object<Included<'a>>>>,
    #[serde(borrow)]
    posts: Option<Vec<Object<Included<'a>>>>,
}

impl<'a> Includes<'a> {
    /// The whole text of a post.
    fn text_of(self, id: &str) -> Option<Value<'a>> {
        let posts = self.tweets.or(self.posts)?.into_iter();
        let mut posts = posts.map(|Object(post)| post);
        let is_it = |post: &Included<'_>| matches!(&post.id, Value::Text(text) if text == id);
        let post = posts.find(is_it)?;
        let text = whole(post.text, post.note_tweet.or(post.note_post));
        (!matches!(text, Value::Missing)).then_some(text)
    }
}

#[derive(Deserialize)]
struct Included<'a> {
    #[serde(borrow, default)]
    id: Value<'a>,
    #[serde(borrow, default)]
    text: Value<'a>,
    #[serde(borrow)]
    note_tweet: Option<Object<Note<'a>>>,
    #[serde(borrow)]
    note_post: Option<Object<Note<'a>>>,
}

#[derive(Deserialize)]
struct Rule<'a> {
    #[serde(borrow, default)]
    tag: Value<'a>,
}

#[derive(Deserialize)]
struct Note<'a> {
    #[serde(borrow, default)]
    text: Value<'a>,
}

/// A struct that is written as an object. Derived structs alone also take an array of their fields.
struct Object<T>(T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ObjectVisitor(PhantomData))
    }
}

struct ObjectVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for ObjectVisitor<T> {
    type Value = Object<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map)).map(Object)
    }
}

/// A line that has not the shape of any message.
fn refused(error: &serde_json::Error) -> Error {
    let what = match error.classify() {
        Category::Eof => "the JSON is cut short",
        Category::Data => "the line is not a post",
        Category::Syntax | Category::Io => "the line is not JSON",
    };
    // The column goes into the context; a wrong value stands in the message in full.
    let said = error.to_string();
    let said = said
        .rsplit_once(" at line ")
        .map_or(&*said, |(said, _)| said);
    Error::invalid(format!("{what}: {}", shortened(said))).with("column", error.column())
}

/// The error for a message of another kind, telling what it is.
fn not_a_post(line: &str) -> Error {
    #[derive(Deserialize)]
    struct Notice {
        errors: Vec<Object<Problem>>,
    }
    #[derive(Deserialize)]
    struct Problem {
        title: String,
        detail: Option<String>,
    }
    if let Ok(Notice { errors }) = serde_json::from_str(line)
        && let Some(Object(Problem { title, detail })) = errors.into_iter().next()
    {
        let said = title + &detail.map_or_else(String::new, |detail| format!(": {detail}"));
        return Error::invalid("the stream reported an error").with("error", shortened(&said));
    }
    let keys: BTreeMap<Cow<'_, str>, IgnoredAny> = serde_json::from_str(line).unwrap_or_default();
    let keys: Vec<&str> = keys.keys().map(AsRef::as_ref).collect();
    Error::invalid("the message has neither `data` nor `text`")
        .with("fields", shortened(&keys.join(", ")))
}
