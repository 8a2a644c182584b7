//! Requests to InfluxDB.
//!
//! Organizations and buckets are asked for by the crate `influxdb2`. What it cannot do, version 0.5, is done here:
//!
//! - It sends a chunk for each point, and compressed ones at the slowest level; here it is one body a batch.
//! - It drops `Retry-After`.
//! - It panics when the connection breaks in an answer to a query, and at cells that are empty or no numbers.
//! - It leaves out what the server requires where a query's parameters are given apart from its text.
//! - It knows nothing of templates and stacks.

use std::time::Duration;

use heartbeat_core::{Error, Result, remote};
use reqwest_0_11 as reqwest;
use reqwest_0_11::header::{
    AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER,
};
use secrecy::ExposeSecret;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::error::{Answer, Asked};
use crate::settings::Settings;

/// As much is read of what is no answer to a query. The longest tell of each line of a batch.
const LONGEST_WORDS: usize = 4 << 20;

/// An answer to a query is not read further than this.
const LONGEST_ROWS: usize = 256 << 20;

/// Speaks to one server.
#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) settings: Settings,
    http: reqwest::Client,
    api: influxdb2::Client,
}

impl Client {
    /// Reads the system's certificates: not for a thread of the async runtime.
    pub(crate) fn new(settings: Settings) -> Result<Self> {
        let http = builder(&settings)?.build().map_err(unbuilt)?;
        // The builder knows the token already.
        let (base, org) = (settings.base.as_str(), settings.org.as_str());
        let api =
            influxdb2::ClientBuilder::with_builder(builder(&settings)?, base, org, "").build();
        let api = api.map_err(unbuilt)?;
        Ok(Self {
            settings,
            http,
            api,
        })
    }

    /// Writes lines that are compressed by gzip.
    pub(crate) async fn write(&self, lines: Vec<u8>) -> Result<(Asked<'_>, Answer)> {
        let asked = self.asked("POST", "/api/v2/write", self.settings.timeout);
        let request = self
            .request(asked)
            .query(&[
                ("org", self.settings.org.as_str()),
                ("bucket", self.settings.bucket.as_str()),
                ("precision", "ns"),
            ])
            .header(CONTENT_TYPE, "text/plain; charset=utf-8")
            .header(CONTENT_ENCODING, "gzip")
            .body(lines);
        let answer = ask(asked, request, LONGEST_WORDS).await?;
        Ok((asked, answer))
    }

    /// Asks a query, whose answer is CSV.
    pub(crate) async fn query(&self, body: &Value) -> Result<Vec<u8>> {
        let asked = self.asked("POST", "/api/v2/query", self.settings.query_timeout);
        let request = self
            .request(asked)
            .query(&[("org", self.settings.org.as_str())])
            .header(CONTENT_TYPE, "application/json")
            .body(body.to_string());
        let answer = ask(asked, request, LONGEST_ROWS).await?;
        match answer.status {
            200 => Ok(answer.body),
            _ => Err(asked.refused(&answer)),
        }
    }

    /// The crate's client, and what is asked by it.
    pub(crate) fn api(
        &self,
        method: &'static str,
        path: &'static str,
    ) -> (Asked<'_>, &influxdb2::Client) {
        (self.asked(method, path, self.settings.timeout), &self.api)
    }

    /// Asks for JSON; none where there is no such thing.
    pub(crate) async fn get<T: DeserializeOwned>(
        &self,
        path: &str,
        query: &[(&str, &str)],
    ) -> Result<Option<T>> {
        let asked = self.asked("GET", path, self.settings.timeout);
        let answer = ask(asked, self.request(asked).query(query), LONGEST_WORDS).await?;
        match (answer.status, answer.told()) {
            (200, _) => match serde_json::from_slice(&answer.body) {
                Ok(found) => Ok(Some(found)),
                Err(error) => Err(asked.unlike(&answer).caused_by(error)),
            },
            (404, Some(_)) => Ok(None),
            _ => Err(asked.refused(&answer)),
        }
    }

    /// Installs a template.
    pub(crate) async fn apply(&self, template: &Value) -> Result<()> {
        let asked = self.asked("POST", "/api/v2/templates/apply", self.settings.timeout);
        let request = self
            .request(asked)
            .header(CONTENT_TYPE, "application/json")
            .body(template.to_string());
        let mut answer = ask(asked, request, LONGEST_WORDS).await?;
        let told = answer.told().unwrap_or_default();
        if answer.status == 500 && told.contains("unauthorized") {
            // It tells so of any right that is missing on the way.
            answer.status = 403;
        }
        if answer.status != 201 {
            return Err(asked.refused(&answer));
        }
        // What is wrong with a template comes with a success.
        let applied: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        match applied["errors"]
            .as_array()
            .and_then(|errors| errors.first())
        {
            Some(error) => Err(Error::internal("InfluxDB does not take the dashboard")
                .with("answer", remote::words(&error.to_string()))),
            None => Ok(()),
        }
    }

    fn asked<'a>(&'a self, method: &'static str, path: &'a str, limit: Duration) -> Asked<'a> {
        Asked {
            method,
            base: &self.settings.base,
            path,
            org: &self.settings.org,
            bucket: &self.settings.bucket,
            limit,
        }
    }

    fn request(&self, asked: Asked<'_>) -> reqwest::RequestBuilder {
        let mut url = self.settings.base.clone();
        url.set_path(asked.path);
        let request = match asked.method {
            "GET" => self.http.get(url),
            _ => self.http.post(url),
        };
        request.timeout(asked.limit)
    }
}

/// Sends a request and reads the answer, at most `longest` bytes of it.
async fn ask(asked: Asked<'_>, request: reqwest::RequestBuilder, longest: usize) -> Result<Answer> {
    let mut answer = request
        .send()
        .await
        .map_err(|error| asked.unreachable(error))?;
    let mut body = Vec::new();
    let broken = |error| asked.unreachable(error);
    while let Some(chunk) = answer.chunk().await.map_err(broken)? {
        if body.len() + chunk.len() > longest {
            if answer.status().is_success() {
                return Err(asked.too_long(longest));
            }
            break;
        }
        body.extend_from_slice(&chunk);
    }
    let retry_after = answer.headers().get(RETRY_AFTER);
    Ok(Answer {
        status: answer.status().as_u16(),
        retry_after: retry_after.and_then(|header| remote::retry_after(header.as_bytes())),
        body,
    })
}

/// Makes clients that trust what they shall and show the token with each request.
fn builder(settings: &Settings) -> Result<reqwest::ClientBuilder> {
    let mut token = HeaderValue::try_from(format!("Token {}", settings.token.expose_secret()))
        .map_err(|error| {
            Error::misconfigured("what should be InfluxDB's access token is none").caused_by(error)
        })?;
    token.set_sensitive(true);
    let builder = reqwest::Client::builder()
        .user_agent(concat!("heartbeat/", env!("CARGO_PKG_VERSION")))
        .default_headers(HeaderMap::from_iter([(AUTHORIZATION, token)]))
        .timeout(settings.timeout)
        // Not followed: the token is for this address alone.
        .redirect(reqwest::redirect::Policy::none());
    match &settings.ca_file {
        Some(file) => trust(builder, file),
        None => Ok(builder),
    }
}

#[cfg(feature = "tls")]
fn trust(
    mut builder: reqwest::ClientBuilder,
    file: &std::path::Path,
) -> Result<reqwest::ClientBuilder> {
    let wrong = |what: &str| {
        Error::misconfigured(what)
            .with("path", file.display())
            .hint("Name a file of certificates in PEM form by `ca_file`.")
    };
    let pem = std::fs::read(file)
        .map_err(|error| wrong("cannot read InfluxDB's certificates").caused_by(error))?;
    let found = reqwest::Certificate::from_pem_bundle(&pem)
        .map_err(|error| wrong("the certificates are not in PEM form").caused_by(error))?;
    if found.is_empty() {
        return Err(wrong("the file has no certificate"));
    }
    for certificate in found {
        builder = builder.add_root_certificate(certificate);
    }
    Ok(builder)
}

#[cfg(not(feature = "tls"))]
fn trust(_: reqwest::ClientBuilder, file: &std::path::Path) -> Result<reqwest::ClientBuilder> {
    Err(Error::misconfigured("this build cannot speak TLS")
        .with("ca_file", file.display())
        .hint("Build heartbeat-influx with its feature `tls`."))
}

fn unbuilt(error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::misconfigured("cannot speak TLS")
        .caused_by(error)
        .hint("Check `ca_file`, the system's certificates, SSL_CERT_FILE and SSL_CERT_DIR.")
}
