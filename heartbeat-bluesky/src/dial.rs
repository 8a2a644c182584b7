//! The way to a server: TCP, and TLS over it.

use std::fmt::Debug;
use std::io;
use std::sync::Arc;

use async_trait::async_trait;
use heartbeat_core::{Error, Result};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use crate::settings::{Host, Settings};

/// What bytes come and go by.
pub(crate) trait Pipe: AsyncRead + AsyncWrite + Send + Unpin + Debug {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin + Debug> Pipe for T {}

/// Opens a pipe to a server. Tests have one that needs no network.
#[async_trait]
pub(crate) trait Dial: Debug + Send + Sync {
    async fn dial(&self, host: &Host) -> io::Result<Box<dyn Pipe>>;
}

/// Opens pipes over a network.
pub(crate) struct Network {
    /// None where no host needs it.
    tls: Option<TlsConnector>,
}

impl Debug for Network {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Network")
            .field("tls", &self.tls.is_some())
            .finish()
    }
}

impl Network {
    /// Reads the system's certificates, where a host needs them.
    pub(crate) async fn open(settings: &Settings) -> Result<Self> {
        if !settings.hosts.iter().any(Host::is_tls) {
            return Ok(Self { tls: None });
        }
        // Files are read: not on a thread of the async runtime.
        let roots = tokio::task::spawn_blocking(system_roots).await;
        let roots = roots.map_err(|panic| {
            Error::internal("reading the system's certificates panicked").caused_by(panic)
        })??;
        Self::trusting(roots)
    }

    /// Trusts the servers that `roots` vouch for.
    pub(crate) fn trusting(roots: RootCertStore) -> Result<Self> {
        // Named, as what else is in the program may bring another one.
        let provider = Arc::new(ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| Error::internal("there is no TLS").caused_by(error))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self {
            tls: Some(TlsConnector::from(Arc::new(config))),
        })
    }
}

fn system_roots() -> Result<RootCertStore> {
    let mut found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    let (trusted, _) = roots.add_parsable_certificates(found.certs);
    if trusted > 0 {
        return Ok(roots);
    }
    let error = Error::misconfigured("the system has no certificates, so no server can be trusted")
        .hint("Install them (Debian: `ca-certificates`), or name a file by SSL_CERT_FILE.");
    Err(match found.errors.pop() {
        Some(cause) => error.caused_by(cause),
        None => error,
    })
}

#[async_trait]
impl Dial for Network {
    async fn dial(&self, host: &Host) -> io::Result<Box<dyn Pipe>> {
        let (Some(name), Some(port)) = (host.url.host_str(), host.url.port_or_known_default())
        else {
            return Err(io::Error::other("the address names no host"));
        };
        // Nobody but a URL has brackets around an address.
        let name = name.trim_start_matches('[').trim_end_matches(']');
        let tcp = TcpStream::connect((name, port)).await?;
        match &self.tls {
            Some(tls) if host.is_tls() => {
                let name = ServerName::try_from(name.to_owned()).map_err(io::Error::other)?;
                Ok(Box::new(tls.connect(name, tcp).await?))
            }
            _ if host.is_tls() => Err(io::Error::other("TLS was not set up")),
            _ => Ok(Box::new(tcp)),
        }
    }
}
