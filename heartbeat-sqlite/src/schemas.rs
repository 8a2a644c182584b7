//! Schemas: their texts are stored once, and parsed once a process.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use heartbeat_core::Schema;
use rusqlite::{Connection, OptionalExtension};

use crate::error::Failure;

/// The schemas read so far by id; why not, for one that cannot be parsed.
#[derive(Debug, Default)]
pub(crate) struct Schemas(Mutex<HashMap<i64, Parsed>>);

pub(crate) type Parsed = Result<Arc<Schema>, String>;

impl Schemas {
    /// The schema stored under `id`.
    pub(crate) fn get(&self, connection: &Connection, id: i64) -> Result<Parsed, Failure> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(parsed) = known.get(&id) {
            return Ok(parsed.clone());
        }
        let text: Option<String> = connection
            .prepare_cached("SELECT text FROM schemas WHERE id = ?1")?
            .query_row([id], |row| row.get(0))
            .optional()?;
        let parsed = match text {
            Some(text) => Schema::parse(&text).map_err(|error| error.report()),
            None => Err(format!("the database has no schema {id}")),
        };
        known.insert(id, parsed.clone());
        Ok(parsed)
    }
}

/// The id under which a schema is stored; a new one for a text not seen before.
pub(crate) fn store(connection: &Connection, schema: &Schema) -> Result<i64, Failure> {
    let known = connection
        .prepare_cached("SELECT id FROM schemas WHERE text = ?1")?
        .query_row([schema.text()], |row| row.get(0))
        .optional()?;
    if let Some(id) = known {
        return Ok(id);
    }
    connection.execute("INSERT INTO schemas (text) VALUES (?1)", [schema.text()])?;
    Ok(connection.last_insert_rowid())
}
