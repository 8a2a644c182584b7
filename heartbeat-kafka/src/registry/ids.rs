//! From schemas to ids.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use heartbeat_core::remote::words;
use heartbeat_core::{Error, Result, Schema, Topic};
use quick_cache::Weighter;
use quick_cache::sync::Cache;
use serde::Deserialize;

use super::Registry;
use super::answer::{Answer, Refusal};
use super::schemas::{CAPACITY, OVERHEAD, USUAL, Weight};
use super::subject::{is_dead, subject};

/// The ids learnt so far.
pub(super) type Ids = Cache<Key, u32, Weight>;

/// A schema, by its text, under a subject; `None`: as it was read under its id, wherever that was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Key {
    subject: Option<String>,
    schema: Arc<Schema>,
}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.subject.hash(state);
        self.schema.text().hash(state);
    }
}

impl Weighter<Key, u32> for Weight {
    fn weight(&self, key: &Key, _: &u32) -> u64 {
        OVERHEAD + key.schema.text().len() as u64
    }
}

/// An empty cache.
pub(super) fn ids() -> Ids {
    Cache::with_weighter(USUAL, CAPACITY, Weight)
}

#[derive(Debug, Deserialize)]
struct Registered {
    id: u32,
}

#[derive(Debug, Deserialize)]
struct Compatibility {
    is_compatible: bool,
    #[serde(default)]
    messages: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct Level {
    #[serde(rename = "compatibilityLevel")]
    level: String,
}

impl Registry {
    /// The id under which `schema` is written to `topic`: looked up in the topic's subject, and
    /// registered there where that is allowed and the subject does not have it. Asked for once;
    /// callers that come meanwhile wait for the same answer.
    ///
    /// A dead letter is written with the id it was read with, so that another record's schema is not
    /// registered where it does not belong.
    ///
    /// # Errors
    /// What may pass is [`ErrorKind::Unavailable`](heartbeat_core::ErrorKind::Unavailable) and not
    /// remembered. A schema that the subject does not have and may not get is
    /// [`ErrorKind::Misconfigured`](heartbeat_core::ErrorKind::Misconfigured).
    pub(crate) async fn id_of(&self, topic: &Topic, schema: &Arc<Schema>) -> Result<u32> {
        let mut key = Key {
            subject: None,
            schema: schema.clone(),
        };
        if is_dead(topic)
            && let Some(id) = self.ids.get(&key)
        {
            return Ok(id);
        }
        let subject = subject(topic);
        key.subject = Some(subject.clone());
        let ask = self.look_up_or_register(&subject, schema.text());
        self.ids.get_or_insert_async(&key, ask).await
    }

    /// Notes that `schema` came from the registry under `id`.
    pub(super) fn note_read(&self, id: u32, schema: &Arc<Schema>) {
        let key = Key {
            subject: None,
            schema: schema.clone(),
        };
        self.ids.insert(key, id);
    }

    async fn look_up_or_register(&self, subject: &str, schema: &str) -> Result<u32> {
        let path = ["subjects", subject];
        let found: Answer<Registered> = self.client.post(&path, None, schema).await?;
        match found {
            Ok(found) => return Ok(found.id),
            Err(refusal) if refusal.is_not_found() => {}
            Err(refusal) => return Err(self.not_taken(subject, &refusal)),
        }
        if !self.register {
            return Err(
                Error::misconfigured("the schema is not registered under its subject")
                    .with("subject", subject)
                    .with("registry", self.client.base())
                    .hint(
                        "Register it there by hand, or let heartbeat do so: `register = true` in the \
                         registry's settings.",
                    ),
            );
        }
        self.check_compatible(subject, schema).await?;
        let path = ["subjects", subject, "versions"];
        let registered: Answer<Registered> = self.client.post(&path, None, schema).await?;
        match registered {
            Ok(registered) => Ok(registered.id),
            Err(refusal) => Err(self.not_taken(subject, &refusal)),
        }
    }

    /// Asks before registering, which tells no more than that it was refused.
    async fn check_compatible(&self, subject: &str, schema: &str) -> Result<()> {
        let path = ["compatibility", "subjects", subject, "versions", "latest"];
        let query = Some("verbose=true");
        let answer: Answer<Compatibility> = self.client.post(&path, query, schema).await?;
        match answer {
            Ok(answer) if answer.is_compatible => Ok(()),
            // Some say so even where it does not matter, as registering would show.
            Ok(_) if self.takes_anything(subject).await? => Ok(()),
            Ok(answer) => Err(self.incompatible(subject, &answer.messages.join("; "))),
            // It has no version yet that this one could break.
            Err(refusal) if refusal.is_not_found() => Ok(()),
            Err(refusal) => Err(self.not_taken(subject, &refusal)),
        }
    }

    /// Whether a subject's versions need not be compatible.
    async fn takes_anything(&self, subject: &str) -> Result<bool> {
        let path = ["config", subject];
        let query = Some("defaultToGlobal=true");
        match self.client.get::<Level>(&path, query).await {
            Ok(answer) => Ok(answer.is_ok_and(|answer| answer.level == "NONE")),
            Err(error) if error.is_retryable() => Err(error),
            // One that does not tell levels.
            Err(_) => Ok(false),
        }
    }

    fn not_taken(&self, subject: &str, refusal: &Refusal) -> Error {
        match refusal.status {
            409 => self.incompatible(subject, &refusal.words),
            422 => Error::misconfigured("the registry does not take the schema")
                .with("subject", subject)
                .with("registry", self.client.base())
                .with("answer", &refusal.words)
                .hint("Check the subject's mode and compatibility in the registry."),
            _ => refusal.unforeseen().with("subject", subject),
        }
    }

    fn incompatible(&self, subject: &str, difference: &str) -> Error {
        Error::misconfigured("the schema is not compatible with its subject's versions")
            .with("subject", subject)
            .with("registry", self.client.base())
            .with("difference", words(difference))
            .hint(
                "Write to another topic, or change the subject's versions or its compatibility in the \
                 registry.",
            )
    }
}
