//! Requests to the Hub.

use std::time::Duration;

use heartbeat_core::{Error, Result};
use hf_hub::api::tokio::{Api, ApiBuilder};
use reqwest::header::{ACCEPT_ENCODING, CONTENT_TYPE, RANGE};
use reqwest::{RequestBuilder, Response};
use serde::Deserialize;
use tokio::time::timeout;

use super::error::Asked;
use super::repository::{Repository, is_commit, is_hex};
use super::settings::{Settings, Token};

/// A list of files has some 200 bytes a file.
const LONGEST_LIST: usize = 64 << 20;

/// Speaks to one Hub, with the user's token.
#[derive(Debug)]
pub(super) struct Client {
    api: Api,
    endpoint: Option<String>,
    token: Option<Token>,
    timeout: Duration,
}

/// What a repository holds at one commit.
#[derive(Debug, Deserialize)]
pub(super) struct Listing {
    #[serde(rename = "sha")]
    pub(super) commit: String,
    siblings: Vec<Sibling>,
}

#[derive(Debug, Deserialize)]
struct Sibling {
    rfilename: String,
    size: Option<u64>,
    #[serde(rename = "blobId")]
    blob_id: Option<String>,
    lfs: Option<LargeFile>,
}

#[derive(Debug, Deserialize)]
struct LargeFile {
    sha256: String,
}

/// A file of a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Remote {
    pub(super) name: String,
    pub(super) size: u64,
    /// What its content is called in the cache.
    pub(super) blob: String,
    /// The hash of its content, which the Hub tells of large files.
    pub(super) sha256: Option<String>,
}

impl Listing {
    /// The names of all files.
    pub(super) fn names(&self) -> Vec<String> {
        self.siblings
            .iter()
            .map(|sibling| sibling.rfilename.clone())
            .collect()
    }

    /// The file called `name`, when the list tells of it what it should.
    pub(super) fn file(&self, name: &str) -> Option<Remote> {
        let sibling = self
            .siblings
            .iter()
            .find(|sibling| sibling.rfilename == name)?;
        let sha256 = sibling.lfs.as_ref().map(|large| large.sha256.clone());
        let blob = sha256.clone().or_else(|| sibling.blob_id.clone())?;
        // It becomes a file's name.
        (matches!(blob.len(), 40 | 64) && is_hex(&blob)).then_some(Remote {
            name: name.to_owned(),
            size: sibling.size?,
            blob,
            sha256,
        })
    }
}

impl Client {
    /// Reads the system's certificates: not for a thread of the async runtime.
    pub(super) fn new(settings: Settings) -> Result<Self> {
        // The token is not given to `ApiBuilder`, which would show it in `Debug`.
        let mut builder = ApiBuilder::from_cache(hf_hub::Cache::new(settings.cache))
            .with_token(None)
            .with_user_agent("heartbeat", env!("CARGO_PKG_VERSION"));
        if let Some(endpoint) = &settings.endpoint {
            builder = builder.with_endpoint(endpoint.clone());
        }
        let api = builder.build().map_err(|error| {
            Error::misconfigured("cannot speak TLS")
                .caused_by(error)
                .hint("Check the system's certificates, SSL_CERT_FILE and SSL_CERT_DIR.")
        })?;
        Ok(Self {
            api,
            endpoint: settings.endpoint,
            token: settings.token,
            timeout: settings.timeout,
        })
    }

    /// What is asked, for errors about it.
    pub(super) fn asked<'a>(
        &'a self,
        repository: &'a Repository,
        file: Option<&'a str>,
    ) -> Asked<'a> {
        Asked {
            repository,
            file,
            endpoint: self.endpoint.as_deref(),
            token: self.token.is_some(),
        }
    }

    /// Which files the repository has, with their sizes and hashes.
    pub(super) async fn list(&self, repository: &Repository) -> Result<Listing> {
        let asked = self.asked(repository, None);
        let request = self
            .api
            .repo(repository.at(&repository.revision))
            .info_request();
        let mut response = self
            .send(asked, request.query(&[("blobs", "true")]))
            .await?;
        let mut body = Vec::new();
        while let Some(chunk) = self.chunk(asked, &mut response).await? {
            body.extend_from_slice(chunk.as_ref());
            if body.len() > LONGEST_LIST {
                return Err(asked.unlike("the Hub's list of files is far too long"));
            }
        }
        let listing: Listing = serde_json::from_slice(&body).map_err(|error| {
            asked
                .unlike("the Hub's list of files cannot be read")
                .caused_by(error)
        })?;
        if !is_commit(&listing.commit) {
            return Err(asked.unlike("the Hub's list of files names no commit"));
        }
        Ok(listing)
    }

    /// The content of `file` at `commit` from byte `start` on, or, from a server that does not do
    /// that, from the first.
    pub(super) async fn open(
        &self,
        asked: Asked<'_>,
        commit: &str,
        file: &Remote,
        start: u64,
    ) -> Result<Response> {
        let url = self.api.repo(asked.repository.at(commit)).url(&file.name);
        let mut request = self
            .api
            .client()
            .get(url)
            .header(ACCEPT_ENCODING, "identity");
        if start > 0 {
            request = request.header(RANGE, format!("bytes={start}-"));
        }
        self.send(asked, request).await
    }

    /// The next piece of the answer.
    pub(super) async fn chunk(
        &self,
        asked: Asked<'_>,
        response: &mut Response,
    ) -> Result<Option<impl AsRef<[u8]> + use<>>> {
        timeout(self.timeout, response.chunk())
            .await
            .map_err(|_| asked.silent(self.timeout))?
            .map_err(|error| asked.unreachable(error))
    }

    /// The head of the answer, a success. Redirects are followed, to other hosts without the token.
    async fn send(&self, asked: Asked<'_>, mut request: RequestBuilder) -> Result<Response> {
        if let Some(token) = &self.token {
            request = request.bearer_auth(token.secret());
        }
        let response = timeout(self.timeout, request.send())
            .await
            .map_err(|_| asked.silent(self.timeout))?
            .map_err(|error| asked.unreachable(error))?;
        if !response.status().is_success() {
            return Err(asked.refused(response.status(), response.headers()));
        }
        let kind = response.headers().get(CONTENT_TYPE);
        if kind.is_some_and(|kind| kind.as_bytes().starts_with(b"text/html")) {
            return Err(asked.unlike("the server answers with a page for people, not as the Hub"));
        }
        Ok(response)
    }
}
