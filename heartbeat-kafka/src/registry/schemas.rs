//! From ids to schemas.

use std::sync::Arc;

use heartbeat_core::remote::words;
use heartbeat_core::{Error, Result, Schema};
use quick_cache::Weighter;
use quick_cache::sync::Cache;
use serde::Deserialize;

use super::Registry;
use super::answer::Answer;
use super::writer::WriterSchema;

/// A schema, or why it cannot be used.
pub(crate) type Parsed = std::result::Result<Arc<Schema>, String>;

/// What was fetched so far, by what messages call it.
pub(super) type Schemas = Cache<WriterSchema, Parsed, Weight>;

/// How many schemas a registry usually has in use. At so few the cache is not split into parts, of
/// which each would be too small for a large schema.
pub(super) const USUAL: usize = 50;
/// Messages may name four thousand million ids: all schemas kept have about so many bytes of text.
pub(super) const CAPACITY: u64 = 64 << 20;
/// What an entry counts besides its text, so that no more than some ten thousand are kept.
pub(super) const OVERHEAD: u64 = 6 << 10;

/// Weighs by text.
#[derive(Debug, Clone)]
pub(super) struct Weight;

impl Weighter<WriterSchema, Parsed> for Weight {
    fn weight(&self, _: &WriterSchema, parsed: &Parsed) -> u64 {
        let text = match parsed {
            Ok(schema) => schema.text(),
            Err(reason) => reason,
        };
        OVERHEAD + text.len() as u64
    }
}

/// An empty cache.
pub(super) fn schemas() -> Schemas {
    Cache::with_weighter(USUAL, CAPACITY, Weight)
}

/// A schema as the registry holds it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Held {
    schema: String,
    /// Avro when it is left out.
    schema_type: Option<String>,
    #[serde(default)]
    references: Option<Vec<serde::de::IgnoredAny>>,
}

/// One of the ids a GUID has, one a context.
#[derive(Debug, Deserialize)]
struct ContextId {
    context: String,
    id: u32,
}

/// The context of ids that come without one.
const DEFAULT_CONTEXT: &str = ".";

/// Why a schema was not fetched, this time.
enum Missed {
    /// The registry does not have it, yet.
    Unknown(String),
    Failed(Error),
}

impl From<Error> for Missed {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

impl Registry {
    /// The schema that messages call `writer`, or why it can never be used. Fetched once; callers
    /// that come meanwhile wait for the same answer. A schema that the registry does not have is
    /// asked for again the next time.
    ///
    /// # Errors
    /// What may pass is [`ErrorKind::Unavailable`](heartbeat_core::ErrorKind::Unavailable) and not
    /// remembered, anything else [`ErrorKind::Misconfigured`](heartbeat_core::ErrorKind::Misconfigured).
    pub(crate) async fn schema(&self, writer: &WriterSchema) -> Result<Parsed> {
        let fetched = self.schemas.get_or_insert_async(writer, self.fetch(writer));
        match fetched.await {
            Ok(parsed) => Ok(parsed),
            Err(Missed::Unknown(reason)) => Ok(Err(reason)),
            Err(Missed::Failed(error)) => Err(error),
        }
    }

    /// What [`Registry::schema`] told before, without waiting.
    pub(crate) fn cached(&self, writer: &WriterSchema) -> Option<Parsed> {
        self.schemas.get(writer)
    }

    async fn fetch(&self, writer: &WriterSchema) -> std::result::Result<Parsed, Missed> {
        let name = writer.to_string();
        let by = match writer {
            WriterSchema::Id(_) => "ids",
            WriterSchema::Guid(_) => "guids",
        };
        let path = ["schemas", by, &name];
        let held: Answer<Held> = self.client.get(&path, None).await?;
        let held = match held {
            Ok(held) => held,
            Err(refusal) if refusal.is_not_found() => {
                return Err(Missed::Unknown(format!(
                    "the registry has no schema {name}"
                )));
            }
            // The path is unknown, but not to something that is no registry.
            Err(refusal) if refusal.status == 404 && by == "guids" => {
                return Err(Missed::Unknown(format!(
                    "the registry has no schema {name}, or does not find schemas by GUID"
                )));
            }
            Err(refusal) if refusal.status < 300 => {
                return Ok(Err(format!("schema {name} is {}", refusal.words)));
            }
            Err(refusal) => return Err(refusal.unforeseen().into()),
        };
        let parsed = held.parse(&name);
        if let Ok(schema) = &parsed {
            let id = match writer {
                WriterSchema::Id(id) => Some(*id),
                WriterSchema::Guid(_) => self.id_of_guid(&name).await?,
            };
            if let Some(id) = id {
                self.note_read(id, schema);
            }
        }
        Ok(parsed)
    }

    /// The id of a schema whose GUID is known: its dead letters are written with that.
    async fn id_of_guid(&self, guid: &str) -> Result<Option<u32>> {
        let path = ["schemas", "guids", guid, "ids"];
        let ids: Answer<Vec<ContextId>> = self.client.get(&path, None).await?;
        let ids = ids.unwrap_or_default().into_iter();
        Ok(ids
            .filter(|found| found.context == DEFAULT_CONTEXT)
            .map(|found| found.id)
            .next())
    }
}

impl Held {
    fn parse(&self, name: &str) -> Parsed {
        match self.schema_type.as_deref() {
            None | Some("AVRO") => {}
            Some(other) => {
                return Err(format!(
                    "schema {name} is not an Avro schema but of type {}",
                    words(other)
                ));
            }
        }
        if self.references.as_ref().is_some_and(|all| !all.is_empty()) {
            return Err(format!(
                "schema {name} refers to other schemas, which heartbeat does not follow"
            ));
        }
        Schema::parse(&self.schema)
            .map_err(|error| format!("schema {name} cannot be read: {}", words(&error.report())))
    }
}
