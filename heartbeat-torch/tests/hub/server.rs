//! A small server that behaves as the Hub does, and misbehaves when told to.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{
    AUTHORIZATION, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, LOCATION, RANGE,
};
use axum::http::{HeaderMap, Response, StatusCode};
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use serde_json::json;
use sha2::{Digest, Sha256};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

pub(crate) const ID: &str = "owner/model";
pub(crate) const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";
/// What is asked for when it is the list of files.
pub(crate) const LIST: &str = "list";

/// How one request is answered.
#[derive(Debug, Clone)]
pub(crate) enum Answer {
    /// The connection breaks after so many bytes.
    Break(usize),
    /// As `Break`, by a server that always sends from the first byte.
    BreakFromStart(usize),
    /// The whole file, whatever part was asked for.
    Whole,
    /// The file without its last bytes, as if that were all.
    Short,
    /// The file and more.
    Long,
    /// As many bytes as there should be, but others.
    Wrong,
    /// One byte, and never another.
    Stuck,
    /// Two thousand bytes at a time, with pauses.
    Slow,
    /// A page for people.
    Page,
    /// This status, with these headers.
    Status(u16, &'static [(&'static str, &'static str)]),
    /// This text.
    Text(&'static str),
}

/// One request, as the server saw it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Seen {
    /// Whether it came to the host that redirects lead to.
    pub(crate) elsewhere: bool,
    /// [`LIST`] or the file's name.
    pub(crate) what: String,
    pub(crate) range: Option<String>,
    pub(crate) token: Option<String>,
}

#[derive(Debug, Default)]
struct World {
    files: BTreeMap<String, Bytes>,
    /// Sizes that the list tells instead of the true ones.
    told: Mutex<HashMap<String, u64>>,
    answers: Mutex<HashMap<String, VecDeque<Answer>>>,
    seen: Mutex<Vec<Seen>>,
    elsewhere: Mutex<String>,
}

/// The server, which ends with this.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) url: String,
    world: Arc<World>,
    tasks: Vec<JoinHandle<()>>,
}

impl Drop for Server {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

impl Server {
    /// A server of the repository [`ID`] with these files; the larger ones come from another host.
    pub(crate) async fn start(files: &[(&str, Vec<u8>)]) -> Self {
        let files = files
            .iter()
            .map(|(name, bytes)| ((*name).to_owned(), Bytes::from(bytes.clone())));
        let world = Arc::new(World {
            files: files.collect(),
            ..World::default()
        });
        let mut tasks = Vec::new();
        let mut urls = Vec::new();
        for elsewhere in [false, true] {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            urls.push(format!("http://{}", listener.local_addr().unwrap()));
            let router = Router::new()
                .fallback(answer)
                .with_state((world.clone(), elsewhere));
            tasks.push(tokio::spawn(async move {
                axum::serve(listener, router).await.unwrap();
            }));
        }
        *world.elsewhere.lock().unwrap() = urls.pop().unwrap();
        Self {
            url: urls.pop().unwrap(),
            world,
            tasks,
        }
    }

    /// Answers the next requests for `what` so, and those after them as the Hub would.
    pub(crate) fn answer(&self, what: &str, answers: impl IntoIterator<Item = Answer>) {
        let mut all = self.world.answers.lock().unwrap();
        all.entry(what.to_owned()).or_default().extend(answers);
    }

    /// Lists `file` with `size`.
    pub(crate) fn tell(&self, file: &str, size: u64) {
        self.world
            .told
            .lock()
            .unwrap()
            .insert(file.to_owned(), size);
    }

    /// The requests since this was last called.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        std::mem::take(&mut *self.world.seen.lock().unwrap())
    }
}

fn is_large(bytes: &Bytes) -> bool {
    bytes.len() > 2000
}

fn hash(bytes: &Bytes) -> String {
    format!("{:x}", Sha256::digest(bytes))
}

/// As the Hub names contents: small ones by git's hash, of which only the length matters here.
fn etag(bytes: &Bytes) -> String {
    let hash = hash(bytes);
    let hash = if is_large(bytes) { &hash } else { &hash[..40] };
    format!("\"{hash}\"")
}

async fn answer(
    State((world, elsewhere)): State<(Arc<World>, bool)>,
    request: Request,
) -> Response<Body> {
    let (request, _) = request.into_parts();
    let path = request.uri.path().to_owned();
    let list = format!("/api/models/{ID}/revision/");
    let resolve = format!("/{ID}/resolve/");
    let is_revision = |revision| ["main", COMMIT].contains(&revision);
    let listed = path
        .strip_prefix(&list)
        .filter(|revision| is_revision(revision));
    let resolved = path
        .strip_prefix(&resolve)
        .and_then(|path| path.split_once('/'));
    let resolved = resolved.filter(|(revision, _)| is_revision(revision));
    let what = if listed.is_some() {
        LIST
    } else if let Some((_, file)) = resolved {
        file
    } else if let Some(file) = path.strip_prefix("/content/").filter(|_| elsewhere) {
        file
    } else {
        return status(404, &[("x-error-code", "RevisionNotFound")]);
    };
    let text = |name| {
        let value = request.headers.get(name)?;
        Some(value.to_str().unwrap().to_owned())
    };
    world.seen.lock().unwrap().push(Seen {
        elsewhere,
        what: what.to_owned(),
        range: text(RANGE),
        token: text(AUTHORIZATION),
    });

    let large = world.files.get(what).is_some_and(is_large);
    if large && !elsewhere {
        let place = world.elsewhere.lock().unwrap().clone();
        return Response::builder()
            .status(StatusCode::FOUND)
            .header(
                LOCATION,
                format!("{place}/content/{what}?signature=signed-secret"),
            )
            .header("x-repo-commit", COMMIT)
            .header("x-linked-size", world.files[what].len())
            .header("x-linked-etag", etag(&world.files[what]))
            .body(Body::empty())
            .unwrap();
    }
    let answer = {
        let mut answers = world.answers.lock().unwrap();
        answers.get_mut(what).and_then(VecDeque::pop_front)
    };
    match answer {
        Some(Answer::Status(code, headers)) => status(code, headers),
        Some(Answer::Page) => page(),
        Some(Answer::Text(text)) => json_text(text.to_owned()),
        answer if what == LIST => {
            if matches!(answer, Some(Answer::Stuck)) {
                tokio::time::sleep(Duration::from_secs(60)).await;
            }
            json_text(listing(&world, request.uri.query()))
        }
        answer => match world.files.get(what) {
            Some(bytes) => content(bytes, &request.headers, answer),
            None => status(404, &[("x-error-code", "EntryNotFound")]),
        },
    }
}

fn listing(world: &World, query: Option<&str>) -> String {
    let told = world.told.lock().unwrap();
    let siblings: Vec<_> = world
        .files
        .iter()
        .map(|(name, bytes)| {
            if query != Some("blobs=true") {
                return json!({ "rfilename": name });
            }
            let hash = hash(bytes);
            let size = told.get(name).copied().unwrap_or(bytes.len() as u64);
            let lfs = is_large(bytes)
                .then(|| json!({ "sha256": hash, "size": size, "pointerSize": 134 }));
            json!({ "rfilename": name, "size": size, "blobId": hash[..40], "lfs": lfs })
        })
        .collect();
    json!({ "id": ID, "sha": COMMIT, "siblings": siblings }).to_string()
}

/// The part of `bytes` that is asked for, or what `answer` makes of it.
fn content(bytes: &Bytes, headers: &HeaderMap, answer: Option<Answer>) -> Response<Body> {
    let mut bytes = bytes.clone();
    let all = bytes.len();
    let start = match &answer {
        Some(Answer::Whole | Answer::BreakFromStart(_)) => None,
        _ => headers.get(RANGE),
    };
    let start = start.map(|range| {
        let range = range.to_str().unwrap().strip_prefix("bytes=").unwrap();
        range.strip_suffix('-').unwrap().parse::<usize>().unwrap()
    });
    let response = Response::builder()
        .header(CONTENT_TYPE, "application/octet-stream")
        .header(ETAG, etag(&bytes))
        .header("x-repo-commit", COMMIT);
    let response = match start {
        Some(start) if start >= all => return status(416, &[]),
        Some(start) => {
            bytes = bytes.slice(start..);
            response
                .status(StatusCode::PARTIAL_CONTENT)
                .header(CONTENT_RANGE, format!("bytes {start}-{}/{all}", all - 1))
        }
        None => response,
    };
    match answer {
        None | Some(Answer::Whole) => {}
        Some(Answer::Short) => bytes.truncate(bytes.len() - 7),
        Some(Answer::Long) => bytes = [&bytes[..], b"more"].concat().into(),
        Some(Answer::Wrong) => bytes = bytes.iter().map(|byte| !byte).collect(),
        Some(Answer::Break(after) | Answer::BreakFromStart(after)) => {
            let length = bytes.len();
            let first = bytes.slice(..after);
            return response
                .header(CONTENT_LENGTH, length)
                .body(pieces(vec![first], Duration::from_millis(50), End::Break))
                .unwrap();
        }
        Some(Answer::Stuck) => {
            let length = bytes.len();
            let first = bytes.slice(..1);
            return response
                .header(CONTENT_LENGTH, length)
                .body(pieces(vec![first], Duration::from_secs(60), End::Break))
                .unwrap();
        }
        Some(Answer::Slow) => {
            let slices = bytes.chunks(2000).map(Bytes::copy_from_slice).collect();
            return response
                .header(CONTENT_LENGTH, bytes.len())
                .body(pieces(slices, Duration::from_millis(20), End::Well))
                .unwrap();
        }
        Some(answer) => unreachable!("{answer:?} is not about a file's content"),
    }
    response.body(Body::from(bytes)).unwrap()
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Well,
    Break,
}

/// A body that comes in `pieces`, with a pause between them.
fn pieces(pieces: Vec<Bytes>, pause: Duration, end: End) -> Body {
    let mut items: Vec<io::Result<Bytes>> = pieces.into_iter().map(Ok).collect();
    if end == End::Break {
        items.push(Err(io::Error::other("broken")));
    }
    let paced = stream::iter(items.into_iter().enumerate()).then(move |(index, item)| async move {
        if index > 0 {
            tokio::time::sleep(pause).await;
        }
        item
    });
    Body::from_stream(paced)
}

fn status(code: u16, headers: &[(&str, &str)]) -> Response<Body> {
    let mut response = Response::builder().status(code);
    for (name, value) in headers {
        response = response.header(*name, *value);
    }
    response.body(Body::from("{\"error\":\"no\"}")).unwrap()
}

fn page() -> Response<Body> {
    Response::builder()
        .header(CONTENT_TYPE, "text/html; charset=utf-8")
        .body(Body::from("<html>Please log in</html>"))
        .unwrap()
}

fn json_text(text: String) -> Response<Body> {
    Response::builder()
        .header(CONTENT_TYPE, "application/json")
        .body(Body::from(text))
        .unwrap()
}
