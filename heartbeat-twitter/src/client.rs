//! Requests to X.

use std::time::{Duration, SystemTime};

use heartbeat_core::{Error, Result};
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::redirect::Policy;
use reqwest::{RequestBuilder, Response};
use secrecy::ExposeSecret;
use serde::de::DeserializeOwned;
use serde_json::Value;
use url::Url;

use crate::error::{Asked, Failure};
use crate::settings::Settings;

/// How long X may take to begin an answer, and to end one that is no stream.
const LIMIT: Duration = Duration::from_secs(20);

/// No answer but the stream is read further than this. A thousand rules have about a megabyte.
const LONGEST_ANSWER: usize = 8 << 20;

const STREAM: &str = "/2/tweets/search/stream";
const RULES: &str = "/2/tweets/search/stream/rules";
const CONNECTIONS: &str = "/2/connections/all";

/// Speaks to X.
#[derive(Debug)]
pub(crate) struct Client {
    http: reqwest::Client,
    base: Url,
    /// The server itself, for tests by a clock that no network would keep to.
    #[cfg(test)]
    pub(crate) server: Option<axum::Router>,
}

impl Client {
    /// Reads the system's certificates: not for a thread of the async runtime.
    pub(crate) fn new(settings: &Settings) -> Result<Self> {
        let token = format!("Bearer {}", settings.token.expose_secret());
        let mut token = HeaderValue::try_from(token).map_err(|error| {
            Error::misconfigured("what should be X's access token is none").caused_by(error)
        })?;
        token.set_sensitive(true);
        let http = reqwest::Client::builder()
            .user_agent(concat!("heartbeat/", env!("CARGO_PKG_VERSION")))
            .default_headers(HeaderMap::from_iter([(AUTHORIZATION, token)]))
            // Not followed: the token is for this address alone.
            .redirect(Policy::none())
            .connect_timeout(LIMIT)
            .build()
            .map_err(|error| {
                Error::misconfigured("cannot speak TLS")
                    .caused_by(error)
                    .hint("Check the system's certificates, SSL_CERT_FILE and SSL_CERT_DIR.")
            })?;
        Ok(Self {
            http,
            base: settings.base.clone(),
            #[cfg(test)]
            server: None,
        })
    }

    /// Makes a client on a thread that may block.
    pub(crate) async fn connect(settings: Settings) -> Result<Self> {
        let client = tokio::task::spawn_blocking(move || Self::new(&settings)).await;
        client.map_err(|panic| Error::internal("the client panicked").caused_by(panic))?
    }

    /// Connects to the stream, which goes on for ever.
    pub(crate) async fn stream(&self, backfill_minutes: u8) -> Result<Stream, Failure> {
        let asked = self.asked_for_stream();
        let mut request = self.http.get(self.url(STREAM)).query(&[
            (
                "tweet.fields",
                "created_at,edit_history_tweet_ids,note_tweet,referenced_tweets",
            ),
            // The text of a retweet is whole only in what it refers to.
            ("expansions", "referenced_tweets.id"),
        ]);
        if backfill_minutes > 0 {
            request = request.query(&[("backfill_minutes", backfill_minutes)]);
        }
        let response = self.begin(asked, request).await?;
        let is_json = |kind: &HeaderValue| kind.as_bytes().starts_with(b"application/json");
        let headers = response.headers();
        if response.status().is_success() && headers.get(CONTENT_TYPE).is_none_or(is_json) {
            return Ok(Stream(response));
        }
        Err(read(asked, response)
            .await
            .err()
            .unwrap_or_else(|| asked.silent(LIMIT)))
    }

    /// All rules of the app.
    pub(crate) async fn rules<T: DeserializeOwned>(&self) -> Result<T, Failure> {
        let asked = self.asked("GET", RULES);
        let response = self.begin(asked, self.http.get(self.url(RULES))).await?;
        let (status, body) = (response.status(), read(asked, response).await?);
        serde_json::from_slice(&body).map_err(|_| asked.unlike(status, &body))
    }

    /// Changes rules, or only tells what would come of it. X answers so also when some are none.
    pub(crate) async fn change_rules<T: DeserializeOwned>(
        &self,
        change: &Value,
        dry_run: bool,
    ) -> Result<T, Failure> {
        let asked = self.asked("POST", RULES);
        let mut request = self.http.post(self.url(RULES));
        if dry_run {
            request = request.query(&[("dry_run", true)]);
        }
        let request = request
            .header(CONTENT_TYPE, "application/json")
            .body(change.to_string());
        let response = self.begin(asked, request).await?;
        let status = response.status();
        let (reset, body) = (reset(response.headers()), whole(asked, response).await?);
        match serde_json::from_slice(&body) {
            Ok(answer) => Ok(answer),
            Err(_) if status.is_success() => Err(asked.unlike(status, &body)),
            Err(_) => Err(asked.refused(status, reset, &body)),
        }
    }

    /// Ends all connections of the app.
    pub(crate) async fn end_connections(&self) -> Result<(), Failure> {
        let asked = self.asked("DELETE", CONNECTIONS);
        let response = self
            .begin(asked, self.http.delete(self.url(CONNECTIONS)))
            .await?;
        read(asked, response).await.map(drop)
    }

    /// Sends a request and waits for the answer's beginning.
    async fn begin(&self, asked: Asked<'_>, request: RequestBuilder) -> Result<Response, Failure> {
        #[cfg(test)]
        if let Some(server) = &self.server {
            return Ok(crate::tests::answer(server.clone(), request).await);
        }
        match tokio::time::timeout(LIMIT, request.send()).await {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(error)) => Err(asked.unreachable(error)),
            Err(_) => Err(asked.silent(LIMIT)),
        }
    }

    /// The stream's request, for errors that come on the stream.
    pub(crate) fn asked_for_stream(&self) -> Asked<'_> {
        self.asked("GET", STREAM)
    }

    fn asked(&self, method: &'static str, path: &'static str) -> Asked<'_> {
        Asked {
            method,
            base: &self.base,
            path,
        }
    }

    fn url(&self, path: &str) -> Url {
        let mut url = self.base.clone();
        url.set_path(path);
        url
    }
}

/// A stream that X answers with.
#[derive(Debug)]
pub(crate) struct Stream(Response);

impl Stream {
    /// The next bytes, without their compression; none when it has ended.
    pub(crate) async fn next(&mut self) -> reqwest::Result<Option<bytes::Bytes>> {
        self.0.chunk().await
    }
}

/// The body of an answer that is a success.
async fn read(asked: Asked<'_>, response: Response) -> Result<Vec<u8>, Failure> {
    let (status, reset) = (response.status(), reset(response.headers()));
    let body = whole(asked, response).await?;
    if status.is_success() && serde_json::from_slice::<&serde_json::value::RawValue>(&body).is_ok()
    {
        return Ok(body);
    }
    Err(match status.is_success() {
        true => asked.unlike(status, &body),
        false => asked.refused(status, reset, &body),
    })
}

async fn whole(asked: Asked<'_>, mut response: Response) -> Result<Vec<u8>, Failure> {
    let read = async {
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await? {
            if body.len() + chunk.len() > LONGEST_ANSWER {
                break;
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    };
    match tokio::time::timeout(LIMIT, read).await {
        Ok(body) => body.map_err(|error| asked.unreachable(error)),
        Err(_) => Err(asked.silent(LIMIT)),
    }
}

/// How long it is until X counts anew.
fn reset(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get("x-rate-limit-reset")?.to_str().ok()?;
    let at = SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(text.trim().parse().ok()?))?;
    // In the past, there is nothing to wait for. X's windows have 15 minutes; an hour is not to be believed.
    let wait = at.duration_since(SystemTime::now()).unwrap_or_default();
    Some(wait.min(Duration::from_secs(3600)))
}
