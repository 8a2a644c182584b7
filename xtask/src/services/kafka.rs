//! Apache Kafka's jars.

use std::path::PathBuf;

use anyhow::Result;

use super::{maven, whole};
use crate::{cache::Cache, shell::step};

const VERSION: &str = "4.4.0";

/// The folder of the jars.
pub(crate) fn set_up(cache: &Cache) -> Result<PathBuf> {
    whole(cache, &format!("kafka-{VERSION}"), |made, scratch| {
        step(format_args!("fetching Kafka {VERSION} (once; 43 MB)"));
        maven::copy("maven/kafka.xml", VERSION, made, scratch)
    })
}
