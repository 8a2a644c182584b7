//! The double.

use std::io::Read;
use std::time::Duration;

use flate2::read::GzDecoder;
use heartbeat_influx::{InfluxConfig, InfluxStore};
use tempfile::NamedTempFile;
use wiremock::matchers::{header, method, path, query_param};
use wiremock::{Mock, MockServer, Request, Respond, ResponseTemplate};

pub(crate) const TOKEN: &str = "s3cret-token";

/// A server that answers writes by a function of their lines; an empty one, which only looks whether all is there, is good.
pub(crate) struct Double {
    pub(crate) server: MockServer,
    pub(crate) token: NamedTempFile,
}

pub(crate) struct Answers<F>(F);

impl<F: Fn(&[String]) -> ResponseTemplate + Send + Sync> Respond for Answers<F> {
    fn respond(&self, request: &Request) -> ResponseTemplate {
        match lines(request).as_slice() {
            [] => ResponseTemplate::new(204),
            lines => self.0(lines),
        }
    }
}

pub(crate) fn lines(request: &Request) -> Vec<String> {
    let mut text = String::new();
    GzDecoder::new(request.body.as_slice())
        .read_to_string(&mut text)
        .unwrap();
    text.lines().map(str::to_owned).collect()
}

pub(crate) fn told(status: u16, message: &str) -> ResponseTemplate {
    ResponseTemplate::new(status)
        .set_body_json(serde_json::json!({"code": "any", "message": message}))
}

impl Double {
    pub(crate) async fn new() -> Self {
        let token = NamedTempFile::new().unwrap();
        std::fs::write(&token, TOKEN).unwrap();
        let server = MockServer::start().await;
        Self { server, token }
    }

    pub(crate) async fn writes(
        answer: impl Fn(&[String]) -> ResponseTemplate + Send + Sync + 'static,
    ) -> Self {
        let double = Self::new().await;
        Mock::given(method("POST"))
            .and(path("/api/v2/write"))
            .and(query_param("org", "o"))
            .and(query_param("bucket", "b & c"))
            .and(query_param("precision", "ns"))
            .and(header("authorization", format!("Token {TOKEN}").as_str()))
            .and(header("content-encoding", "gzip"))
            .respond_with(Answers(answer))
            .mount(&double.server)
            .await;
        double
    }

    pub(crate) async fn queries(answer: ResponseTemplate) -> Self {
        let double = Self::writes(|_| ResponseTemplate::new(204)).await;
        let query = Mock::given(method("POST"))
            .and(path("/api/v2/query"))
            .and(query_param("org", "o"));
        query.respond_with(answer).mount(&double.server).await;
        double
    }

    pub(crate) fn config(&self) -> InfluxConfig {
        InfluxConfig {
            url: self.server.uri(),
            org: "o".to_owned(),
            bucket: "b & c".to_owned(),
            token_file: Some(self.token.path().to_owned()),
            timeout: Duration::from_millis(500),
            query_timeout: Duration::from_millis(500),
            ..InfluxConfig::default()
        }
    }

    pub(crate) async fn store(&self) -> InfluxStore {
        InfluxStore::open(self.config()).await.unwrap()
    }

    /// The lines of each write so far, but the first one's, which has none.
    pub(crate) async fn written(&self) -> Vec<Vec<String>> {
        let requests = self.server.received_requests().await.unwrap();
        let writes = requests
            .iter()
            .filter(|request| request.url.path() == "/api/v2/write");
        writes.map(lines).skip(1).collect()
    }
}

/// Refuses the lines of such ids and tells as InfluxDB 2 does: by prose and a count.
pub(crate) fn refusing(
    bad: &'static [i64],
) -> impl Fn(&[String]) -> ResponseTemplate + Send + Sync {
    move |lines| {
        let is_bad = |line: &&String| bad.iter().any(|id| line.contains(&format!(" id={id}i,")));
        match lines.iter().filter(is_bad).count() {
            0 => ResponseTemplate::new(204),
            dropped => told(
                422,
                &format!("failure writing points to database: partial write: no dropped={dropped}"),
            ),
        }
    }
}
