//! Buckets on the InfluxDB that all tests of a run share.

use std::hash::{BuildHasher, RandomState};
use std::path::PathBuf;
use std::sync::LazyLock;
use std::time::Duration;

use heartbeat_influx::{InfluxAdmin, InfluxConfig, InfluxStore};
use testbed::{INFLUX_ORG, INFLUX_TOKEN, shared_influx};

/// Settings for a bucket at `url` that no other test uses, and the file with the token.
pub(crate) fn config(url: String) -> InfluxConfig {
    // Once: another test may be reading it.
    static TOKEN_FILE: LazyLock<PathBuf> = LazyLock::new(|| {
        let name = format!("heartbeat-influx-token-{}", std::process::id());
        let file = std::env::temp_dir().join(name);
        std::fs::write(&file, INFLUX_TOKEN).unwrap();
        file
    });
    InfluxConfig {
        url,
        org: INFLUX_ORG.to_owned(),
        bucket: format!("test-{:016x}", RandomState::new().hash_one(0)),
        token_file: Some(TOKEN_FILE.clone()),
        ..InfluxConfig::default()
    }
}

/// Settings for a new bucket of the shared server, which keeps points so long or for ever.
pub(crate) async fn bucket(retention: Option<Duration>) -> InfluxConfig {
    let config = config(shared_influx().unwrap());
    create(&config, retention).await;
    config
}

pub(crate) async fn create(config: &InfluxConfig, retention: Option<Duration>) {
    let admin = InfluxAdmin::connect(config.clone()).await.unwrap();
    admin.create_bucket(retention).await.unwrap();
}

/// A store in a new bucket of the shared server.
pub(crate) async fn store() -> InfluxStore {
    InfluxStore::open(bucket(None).await).await.unwrap()
}
