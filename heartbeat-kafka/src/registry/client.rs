//! Requests to the registry.

use std::fmt;
use std::time::Duration;

use heartbeat_core::{Error, Result};
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap};
use reqwest::redirect::Policy;
use reqwest::{Method, RequestBuilder, StatusCode, Url};
use secrecy::ExposeSecret;
use serde::de::DeserializeOwned;

use super::answer::{Answer, Asked};
use super::login::Login;
use super::settings::Settings;
use super::tries::{Tries, Waits};

const JSON: &str = "application/vnd.schemaregistry.v1+json";
const ACCEPTED: &str = "application/vnd.schemaregistry.v1+json, application/json";

/// No answer is read further than this. A schema has some hundred bytes.
const LONGEST_ANSWER: usize = 1 << 20;

/// Speaks to one registry.
pub(super) struct Client {
    http: reqwest::Client,
    base: Url,
    login: Login,
    timeout: Duration,
    waits: Waits,
}

impl Client {
    /// Reads the system's certificates: not for a thread of the async runtime.
    pub(super) fn new(settings: Settings, waits: Waits) -> Result<Self> {
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("heartbeat/", env!("CARGO_PKG_VERSION")))
            .redirect(Policy::none())
            .timeout(settings.timeout);
        for certificate in settings.certificates {
            builder = builder.add_root_certificate(certificate);
        }
        let http = builder.build().map_err(|error| {
            Error::misconfigured("cannot speak TLS")
                .caused_by(error)
                .hint("Check `ca_file`, the system's certificates, SSL_CERT_FILE and SSL_CERT_DIR.")
        })?;
        Ok(Self {
            http,
            base: settings.base,
            login: settings.login,
            timeout: settings.timeout,
            waits,
        })
    }

    /// The registry's address.
    pub(super) fn base(&self) -> &Url {
        &self.base
    }

    /// Asks for what is at `path`.
    pub(super) async fn get<T: DeserializeOwned>(
        &self,
        path: &[&str],
        query: Option<&str>,
    ) -> Result<Answer<T>> {
        let mut url = self.url(path);
        url.set_query(query);
        self.ask(&Method::GET, &url, None).await
    }

    /// Sends the text of a schema to `path`.
    pub(super) async fn post<T: DeserializeOwned>(
        &self,
        path: &[&str],
        query: Option<&str>,
        schema: &str,
    ) -> Result<Answer<T>> {
        let mut url = self.url(path);
        url.set_query(query);
        let body = serde_json::json!({ "schema": schema }).to_string();
        self.ask(&Method::POST, &url, Some(&body)).await
    }

    /// The address of `path`, each segment of it escaped.
    fn url(&self, path: &[&str]) -> Url {
        let mut url = self.base.clone();
        // Only an address without a host has no segments, and the settings refuse such.
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path);
        }
        url
    }

    /// Tries until there is an answer, the failure cannot pass or time is up.
    async fn ask<T: DeserializeOwned>(
        &self,
        method: &Method,
        url: &Url,
        body: Option<&str>,
    ) -> Result<Answer<T>> {
        let mut tries = Tries::new(self.waits);
        loop {
            match self.once(method, url, body).await {
                Ok(answer) => return Ok(answer),
                Err(error) => tries.again(error).await?,
            }
        }
    }

    async fn once<T: DeserializeOwned>(
        &self,
        method: &Method,
        url: &Url,
        body: Option<&str>,
    ) -> Result<Answer<T>> {
        let asked = Asked {
            method,
            url,
            login: &self.login,
        };
        let mut request = self
            .http
            .request(method.clone(), url.clone())
            .header(ACCEPT, ACCEPTED);
        request = match &self.login {
            Login::None => request,
            Login::User(user, password) => request.basic_auth(user, Some(password.expose_secret())),
            Login::Token(token) => request.bearer_auth(token.expose_secret()),
        };
        if let Some(body) = body {
            request = request.header(CONTENT_TYPE, JSON).body(body.to_owned());
        }
        let (status, headers, body) = receive(request)
            .await
            .map_err(|error| asked.unreachable(error, self.timeout))?;
        if status.is_success() && body.len() > LONGEST_ANSWER {
            return Ok(Err(asked.too_long(status)));
        }
        asked.read(status, &headers, &body)
    }
}

/// Sends a request and reads its answer, not much further than the longest that is taken.
async fn receive(
    request: RequestBuilder,
) -> Result<(StatusCode, HeaderMap, Vec<u8>), reqwest::Error> {
    let mut response = request.send().await?;
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        body.extend_from_slice(&chunk);
        if body.len() > LONGEST_ANSWER {
            break;
        }
    }
    let status = response.status();
    Ok((status, std::mem::take(response.headers_mut()), body))
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("base", &self.base.as_str())
            .field("login", &self.login)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}
