//! The schema registry: which schema a message was written with, and under which id it is known.
//!
//! [`frame`](fn@frame) puts the id before a datum and takes it off again; [`Registry`] turns schemas into ids
//! and ids into schemas, over the REST interface that Confluent's registry and its likes
//! (Karapace, Redpanda, Apicurio) share. What it learns it keeps: ids and schemas never change. What
//! may pass is tried again for some seconds here, and for as long as it takes by the caller.

mod answer;
mod client;
mod config;
mod frame;
mod ids;
mod login;
mod schemas;
mod settings;
mod subject;
mod tries;
mod writer;

#[cfg(test)]
mod tests;

use std::ffi::OsString;
use std::{env, fmt};

use heartbeat_core::{Error, Result};

pub use config::RegistryConfig;
pub(crate) use frame::{VALUE_SCHEMA_ID, frame, unframe};
pub(crate) use schemas::Parsed;
pub(crate) use writer::WriterSchema;

use client::Client;
use ids::{Ids, ids};
use schemas::{Schemas, schemas};
use settings::Settings;
use tries::Waits;

/// The client of one schema registry, shared by all who write and read.
pub(crate) struct Registry {
    client: Client,
    /// Whether schemas may be registered, not only looked up.
    register: bool,
    ids: Ids,
    schemas: Schemas,
}

impl Registry {
    /// Reads secrets and certificates, and sends nothing yet. Reads files: not for a thread of the
    /// async runtime.
    ///
    /// # Errors
    /// [`ErrorKind::Misconfigured`](heartbeat_core::ErrorKind::Misconfigured) when a setting is wrong
    /// or a file cannot be read.
    pub(crate) fn open(config: &RegistryConfig) -> Result<Self> {
        Self::with(config, |name| env::var_os(name), Waits::default())
    }

    fn with(
        config: &RegistryConfig,
        variable: impl Fn(&str) -> Option<OsString>,
        waits: Waits,
    ) -> Result<Self> {
        Ok(Self {
            client: Client::new(Settings::new(config, variable)?, waits)?,
            register: config.register,
            ids: ids(),
            schemas: schemas(),
        })
    }

    /// Whether address, credentials and certificates are right, by one cheap request.
    ///
    /// # Errors
    /// As of every request: what may pass is
    /// [`ErrorKind::Unavailable`](heartbeat_core::ErrorKind::Unavailable), anything else
    /// [`ErrorKind::Misconfigured`](heartbeat_core::ErrorKind::Misconfigured).
    pub(crate) async fn check(&self) -> Result<()> {
        let types = self.client.get::<Vec<String>>(&["schemas", "types"], None);
        match types.await? {
            Ok(types) if types.iter().any(|name| name == "AVRO") => Ok(()),
            Ok(types) => Err(Error::misconfigured("the registry knows no Avro schemas")
                .with("registry", self.client.base())
                .with("schema types", types.join(", "))
                .hint("Use a registry that does.")),
            Err(refusal) => Err(refusal.unforeseen()),
        }
    }
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registry")
            .field("client", &self.client)
            .field("register", &self.register)
            .finish_non_exhaustive()
    }
}
