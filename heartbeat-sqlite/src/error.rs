//! SQLite's errors in heartbeat's words.

use std::path::Path;

use heartbeat_core::{Error, ErrorKind};
use rusqlite::ErrorCode;

/// Why a job on the database failed.
#[derive(Debug)]
pub(crate) enum Failure {
    /// SQLite says so.
    Sqlite(rusqlite::Error),
    /// The job itself says so.
    Told(Error),
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Told(error)
    }
}

impl Failure {
    /// The error as callers see it, about the database in `path`.
    pub(crate) fn at(self, path: &Path) -> Error {
        match self {
            Self::Sqlite(error) => explain(error).with("path", path.display()),
            Self::Told(error) => error,
        }
    }

    /// Whether another connection is in the way, so that the same may succeed in a moment.
    pub(crate) fn is_busy(&self) -> bool {
        matches!(self, Self::Sqlite(error) if matches!(
            error.sqlite_error_code(),
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked
                | ErrorCode::FileLockingProtocolFailed)
        ))
    }
}

/// What happened and what to do about it, case by case.
fn explain(error: rusqlite::Error) -> Error {
    use ErrorKind::{Internal, Invalid, Misconfigured, Unavailable};
    let (kind, message, hint) = match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => (
            Unavailable,
            "the database is locked by another process",
            "If this goes on, look for a program that keeps a transaction open on it.",
        ),
        // Whoever frees space wants the work to go on by itself.
        Some(ErrorCode::DiskFull) => (
            Unavailable,
            "there is no space left for the database",
            "Free space on its disk; the work then goes on.",
        ),
        Some(ErrorCode::SystemIoFailure) => (
            Unavailable,
            "reading or writing the database failed",
            "If this goes on, check the disk and the system's log.",
        ),
        Some(ErrorCode::OutOfMemory) => (Unavailable, "SQLite ran out of memory", ""),
        Some(ErrorCode::FileLockingProtocolFailed | ErrorCode::SchemaChanged) => {
            (Unavailable, "the database changed under this call", "")
        }
        Some(ErrorCode::ReadOnly) => (
            Misconfigured,
            "the database can only be read",
            "Make the file and its folder writable for this user; SQLite keeps two files beside it.",
        ),
        Some(ErrorCode::CannotOpen) => (
            Misconfigured,
            "the database cannot be opened",
            "Its folder must exist, and both must be writable for this user.",
        ),
        Some(ErrorCode::PermissionDenied | ErrorCode::AuthorizationForStatementDenied) => (
            Misconfigured,
            "this user may not use the database",
            "Change the file's permissions or choose another path.",
        ),
        Some(ErrorCode::NotADatabase) => (
            Misconfigured,
            "the file is not an SQLite database",
            "Choose another path.",
        ),
        Some(ErrorCode::DatabaseCorrupt) => (
            Misconfigured,
            "the database is damaged",
            "Restore it from a backup, or move it away to begin anew.",
        ),
        Some(ErrorCode::NoLargeFileSupport) => (
            Misconfigured,
            "the file system does not take files of this size",
            "Choose a path on another disk.",
        ),
        Some(ErrorCode::TooBig) => (Invalid, "larger than SQLite can hold, 1 GB", ""),
        _ => (Internal, "SQLite refused a statement", ""),
    };
    let explained = Error::new(kind, message).caused_by(error);
    if hint.is_empty() {
        explained
    } else {
        explained.hint(hint)
    }
}

#[cfg(test)]
mod tests {
    use rusqlite::ffi;

    use super::*;

    #[test]
    fn each_code_has_its_kind() {
        use ErrorKind::{Internal, Invalid, Misconfigured, Unavailable};
        for (code, kind) in [
            (ffi::SQLITE_BUSY, Unavailable),
            (ffi::SQLITE_BUSY_SNAPSHOT, Unavailable),
            (ffi::SQLITE_LOCKED, Unavailable),
            (ffi::SQLITE_FULL, Unavailable),
            (ffi::SQLITE_IOERR, Unavailable),
            (ffi::SQLITE_IOERR_FSYNC, Unavailable),
            (ffi::SQLITE_NOMEM, Unavailable),
            (ffi::SQLITE_PROTOCOL, Unavailable),
            (ffi::SQLITE_SCHEMA, Unavailable),
            (ffi::SQLITE_READONLY, Misconfigured),
            (ffi::SQLITE_READONLY_DIRECTORY, Misconfigured),
            (ffi::SQLITE_CANTOPEN, Misconfigured),
            (ffi::SQLITE_CANTOPEN_ISDIR, Misconfigured),
            (ffi::SQLITE_PERM, Misconfigured),
            (ffi::SQLITE_AUTH, Misconfigured),
            (ffi::SQLITE_NOTADB, Misconfigured),
            (ffi::SQLITE_CORRUPT, Misconfigured),
            (ffi::SQLITE_NOLFS, Misconfigured),
            (ffi::SQLITE_TOOBIG, Invalid),
            (ffi::SQLITE_CONSTRAINT, Internal),
            (ffi::SQLITE_MISUSE, Internal),
            (ffi::SQLITE_ERROR, Internal),
        ] {
            let raw = rusqlite::Error::SqliteFailure(ffi::Error::new(code), None);
            let error = Failure::from(raw).at(Path::new("some.db"));
            assert_eq!(error.kind(), kind, "code {code}: {error:?}");
            assert!(error.to_string().contains("some.db"), "{error}");
            if kind == Misconfigured {
                assert!(error.advice().is_some(), "what can a person do? {error:?}");
            }
        }
        let unlike = Failure::from(rusqlite::Error::InvalidQuery).at(Path::new("some.db"));
        assert_eq!(unlike.kind(), Internal);
    }
}
