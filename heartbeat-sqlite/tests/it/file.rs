//! Files that are not what they should be.

use std::fs;
use std::path::Path;
use std::time::Instant;

use crate::support::*;
use heartbeat_core::{Bus, Error, ErrorKind};
use heartbeat_sqlite::{SqliteBus, SqliteStore, SqliteStoreConfig};

async fn refused(path: &Path) -> Error {
    let error = SqliteBus::open(config(path)).await.unwrap_err();
    let store = SqliteStoreConfig {
        path: path.to_owned(),
        ..SqliteStoreConfig::default()
    };
    let same = SqliteStore::open(store).await.unwrap_err();
    assert_eq!(error.report(), same.report());
    assert_eq!(error.kind(), ErrorKind::Misconfigured);
    assert!(error.advice().is_some(), "{error:?}");
    error
}

#[tokio::test]
async fn a_newer_format_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("bus.db");
    drop(open(&path).await);
    let version = |version: i32| {
        let connection = rusqlite::Connection::open(&path).unwrap();
        connection
            .pragma_update(None, "user_version", version)
            .unwrap();
    };
    version(2);
    let error = refused(&path).await;
    assert!(error.to_string().contains("newer format"), "{error}");
    assert!(error.to_string().contains("bus.db"), "{error}");
    version(1);
    open(&path)
        .await
        .publish(&outputs(&topic("t"), [1]), None)
        .await
        .unwrap();
}

#[tokio::test]
async fn another_files_bytes_are_not_touched() {
    let dir = tempfile::tempdir().unwrap();
    let text = dir.path().join("notes.txt");
    fs::write(&text, "Dear diary, ".repeat(1_000)).unwrap();
    let database = dir.path().join("photos.db");
    rusqlite::Connection::open(&database)
        .unwrap()
        .execute_batch("CREATE TABLE photos (name TEXT); INSERT INTO photos VALUES ('cat')")
        .unwrap();
    for (path, says) in [
        (&text, "not an SQLite database"),
        (&database, "another program"),
    ] {
        let before = fs::read(path).unwrap();
        let error = refused(path).await;
        assert!(error.to_string().contains(says), "{error}");
        assert_eq!(fs::read(path).unwrap(), before);
    }
    assert_eq!(
        fs::read_dir(dir.path()).unwrap().count(),
        2,
        "nothing was left beside them"
    );
}

#[tokio::test]
async fn an_empty_file_is_a_new_database() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("bus.db");
    fs::write(&path, "").unwrap();
    open(&path)
        .await
        .publish(&outputs(&topic("t"), [1]), None)
        .await
        .unwrap();
}

#[tokio::test]
async fn a_path_that_cannot_be_a_file_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let missing = dir.path().join("missing").join("bus.db");
    assert!(refused(&missing).await.to_string().contains("missing"));
    refused(dir.path()).await;
    for no_file in ["", ":memory:"] {
        refused(Path::new(no_file)).await;
    }
}

#[tokio::test]
async fn a_write_waits_for_another_programs_lock() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("bus.db");
    let bus = open(&path).await;
    let other = rusqlite::Connection::open(&path).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let begun = Instant::now();
    let news = outputs(&topic("t"), [1]);
    let (published, ()) = tokio::join!(bus.publish(&news, None), async {
        tokio::time::sleep(NONE).await;
        // Reading goes on meanwhile.
        assert_eq!(bus.position("file").await.unwrap(), None);
        other.execute_batch("COMMIT").unwrap();
    });
    published.unwrap();
    assert!(begun.elapsed() >= NONE);

    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let error = bus.publish(&news, None).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");
    assert!(error.to_string().contains("locked"), "{error}");
    other.execute_batch("COMMIT").unwrap();
    bus.publish(&news, None).await.unwrap();
    assert_eq!(read_topic(&bus, &topic("t")).await.len(), 2);
}

#[tokio::test]
async fn a_closed_bus_leaves_one_file_behind_and_says_that_it_is_closed() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("bus.db");
    let bus = open(&path).await;
    let other = open(&path).await;
    bus.publish(&outputs(&topic("t"), [1, 2, 3]), None)
        .await
        .unwrap();
    bus.close().await.unwrap();
    bus.close().await.unwrap();
    let error = bus.publish(&outputs(&topic("t"), [4]), None).await;
    assert!(error.unwrap_err().to_string().contains("closed"));
    // Other handles go on.
    other
        .publish(&outputs(&topic("t"), [5]), None)
        .await
        .unwrap();
    other.close().await.unwrap();

    let left: Vec<_> = fs::read_dir(dir.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(left, ["bus.db"]);
    let lag = open(&path).await.lag(&topic("t"), "g").await.unwrap();
    assert_eq!(lag.iter().map(|lag| lag.messages).sum::<u64>(), 4);
}

#[tokio::test]
async fn a_missing_file_is_not_made_when_that_is_not_wanted() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("none.db");
    let error = SqliteStore::open(SqliteStoreConfig {
        path: path.clone(),
        create: false,
        ..SqliteStoreConfig::default()
    })
    .await
    .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Misconfigured);
    assert!(error.report().contains("none.db"), "{error:?}");
    assert!(!path.exists());
}
