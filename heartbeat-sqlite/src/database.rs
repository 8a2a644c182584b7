//! A database file, opened for one bus or store.

use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use heartbeat_core::{Error, Result};
use rusqlite::{Connection, OpenFlags, TransactionBehavior};

use crate::config::Synchronous;
use crate::error::Failure;
use crate::format;
use crate::worker::Worker;

/// How long to wait for another process that writes.
const BUSY: Duration = Duration::from_secs(5);

/// How long to wait between two tries to write.
const BUSY_STEP: Duration = Duration::from_millis(1);

/// Two connections, each on a thread of its own: reading goes on while a write waits for the disk.
#[derive(Debug, Clone)]
pub(crate) struct Database {
    pub(crate) writer: Worker,
    pub(crate) reader: Worker,
}

impl Database {
    /// Opens the file in `path`, or makes a new one if it may `create` it.
    pub(crate) async fn open(path: &Path, create: bool, synchronous: Synchronous) -> Result<Self> {
        // SQLite's names for a database that is no file, of which each connection has its own.
        if path.as_os_str().is_empty() || path.as_os_str() == ":memory:" {
            return Err(Error::misconfigured("the database needs a file")
                .with("path", format!("{:?}", path.as_os_str()))
                .hint("Name a file, or use the bus and store in memory."));
        }
        let writer = Worker::start(path, TransactionBehavior::Immediate, move |path| {
            if !create && !path.exists() {
                return Err(Error::misconfigured("there is no database")
                    .with("path", path.display())
                    .hint("Name the file that `heartbeat run` has made, or run it first.")
                    .into());
            }
            let begun = Instant::now();
            loop {
                match open_writer(path, synchronous) {
                    // Changing the journal's mode does not wait for other connections by itself.
                    Err(failure) if failure.is_busy() && begun.elapsed() < BUSY => {
                        thread::sleep(BUSY_STEP);
                    }
                    done => return done,
                }
            }
        })
        .await?;
        let reader = Worker::start(path, TransactionBehavior::Deferred, open_reader).await?;
        Ok(Self { writer, reader })
    }

    /// Closes both connections. The last one that closes a file puts what lies in the log beside it in
    /// its place, and takes the log away.
    pub(crate) async fn close(&self) {
        self.reader.close().await;
        self.writer.close().await;
    }
}

fn open_writer(path: &Path, synchronous: Synchronous) -> Result<Connection, Failure> {
    let mut connection = connect(path)?;
    if connection.is_readonly("main")? {
        return Err(rusqlite::Error::SqliteFailure(
            rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_READONLY),
            None,
        )
        .into());
    }
    let ready = format::is_ready(&mut connection)?;
    let mode: String =
        connection.pragma_update_and_check(None, "journal_mode", "wal", |row| row.get(0))?;
    if mode != "wal" {
        return Err(
            Error::misconfigured("the file system has no shared memory for the database")
                .with("path", path.display())
                .hint("Choose a path on a local disk.")
                .into(),
        );
    }
    let synchronous = match synchronous {
        Synchronous::Full => "full",
        Synchronous::Normal => "normal",
    };
    connection.pragma_update(None, "synchronous", synchronous)?;
    if !ready {
        format::create(&mut connection)?;
    }
    Ok(connection)
}

fn open_reader(path: &Path) -> Result<Connection, Failure> {
    let connection = connect(path)?;
    connection.pragma_update(None, "query_only", true)?;
    Ok(connection)
}

fn connect(path: &Path) -> Result<Connection, Failure> {
    // Each connection stays on its thread, so SQLite needs no lock of its own. No URIs: a path is
    // a path, whatever characters are in it.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_CREATE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(path, flags)?;
    // SQLite's own waiting grows to 100 ms between tries: too long beside another busy writer.
    connection.busy_handler(Some(|tries: i32| {
        thread::sleep(BUSY_STEP);
        BUSY_STEP * tries.unsigned_abs() < BUSY
    }))?;
    connection.set_prepared_statement_cache_capacity(64);
    // After a burst the log beside the database shrinks again.
    connection.pragma_update(None, "journal_size_limit", 64 << 20)?;
    connection.pragma_update(None, "cache_size", -16 << 10)?;
    Ok(connection)
}
