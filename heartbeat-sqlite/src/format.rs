//! The file's format: what marks it as heartbeat's, and its tables.

use heartbeat_core::Error;
use rusqlite::{Connection, TransactionBehavior};

use crate::error::Failure;

/// Marks a database as heartbeat's: "hbt1".
const APPLICATION_ID: i32 = 0x6862_7431;

/// The format this crate reads and writes; a change that older programs cannot read raises it.
const VERSION: i32 = 1;

/// A payload is told by its columns: an Avro datum has a schema, a raw value has none, a tombstone
/// has no value. `first` and `next` bound a partition's offsets: what lies before `first` is
/// deleted, `next` is the offset of the next message. A consumer group is a group as far as one
/// topic goes; `renewed` and `lease` are milliseconds.
const TABLES: &str = "
CREATE TABLE topics (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE
) STRICT;
CREATE TABLE partitions (
    topic INTEGER NOT NULL,
    partition INTEGER NOT NULL,
    first INTEGER NOT NULL,
    next INTEGER NOT NULL,
    PRIMARY KEY (topic, partition)
) STRICT, WITHOUT ROWID;
CREATE TABLE schemas (
    id INTEGER PRIMARY KEY,
    text TEXT NOT NULL UNIQUE
) STRICT;
CREATE TABLE messages (
    topic INTEGER NOT NULL,
    partition INTEGER NOT NULL,
    offset INTEGER NOT NULL,
    timestamp INTEGER NOT NULL,
    key BLOB NOT NULL,
    schema INTEGER,
    value BLOB,
    headers TEXT,
    PRIMARY KEY (topic, partition, offset)
) STRICT, WITHOUT ROWID;
CREATE TABLE sources (
    name TEXT PRIMARY KEY,
    position TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE consumer_groups (
    id INTEGER PRIMARY KEY,
    topic INTEGER NOT NULL,
    name TEXT NOT NULL,
    UNIQUE (topic, name)
) STRICT;
CREATE TABLE members (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    consumer_group INTEGER NOT NULL,
    renewed INTEGER NOT NULL,
    lease INTEGER NOT NULL
) STRICT;
CREATE TABLE assignments (
    consumer_group INTEGER NOT NULL,
    partition INTEGER NOT NULL,
    committed INTEGER NOT NULL,
    owner INTEGER,
    PRIMARY KEY (consumer_group, partition)
) STRICT, WITHOUT ROWID;
CREATE TABLE points (
    time INTEGER NOT NULL,
    id INTEGER NOT NULL,
    task TEXT NOT NULL,
    pos REAL NOT NULL,
    neu REAL NOT NULL,
    neg REAL NOT NULL,
    PRIMARY KEY (time, id, task)
) STRICT, WITHOUT ROWID;
";

/// Whether the database is heartbeat's in this format; `false` when it is a new, empty one.
///
/// Nothing is written, so that the file of another program stays as it is.
pub(crate) fn is_ready(connection: &mut Connection) -> Result<bool, Failure> {
    // One look at all of it: another process may be creating the tables.
    look(&*connection.transaction()?)
}

fn look(connection: &Connection) -> Result<bool, Failure> {
    let number = |pragma| connection.pragma_query_value(None, pragma, |row| row.get::<_, i32>(0));
    let application = number("application_id")?;
    let version = number("user_version")?;
    let is_empty = connection.query_row("SELECT count(*) = 0 FROM sqlite_schema", [], |row| {
        row.get(0)
    })?;
    match (application, version) {
        (APPLICATION_ID, VERSION) => Ok(true),
        (APPLICATION_ID, newer) if newer > VERSION => {
            Err(Error::misconfigured("the database is of a newer format")
                .with("format", newer)
                .with("newest known", VERSION)
                .with("path", connection.path().unwrap_or_default())
                .hint("Use the version of heartbeat that wrote it, or a newer one.")
                .into())
        }
        (0, 0) if is_empty => Ok(false),
        _ => Err(Error::misconfigured("the database is another program's")
            .with("path", connection.path().unwrap_or_default())
            .hint("Choose another path.")
            .into()),
    }
}

/// Creates the tables, unless another process has just done so.
pub(crate) fn create(connection: &mut Connection) -> Result<(), Failure> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    if !look(&transaction)? {
        transaction.execute_batch(TABLES)?;
        transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
        transaction.pragma_update(None, "user_version", VERSION)?;
    }
    Ok(transaction.commit()?)
}
