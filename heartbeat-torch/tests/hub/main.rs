//! Models from a server that behaves as the Hub does.
#![expect(clippy::unwrap_used, reason = "a test may stop where it stands")]

mod server;

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use heartbeat_core::{Error, ErrorKind};
use heartbeat_torch::{HubConfig, Progress, fetch};
use server::{Answer, COMMIT, ID, LIST, Seen, Server};
use tempfile::TempDir;
use tokio::sync::Notify;

const WEIGHTS: &str = "model.safetensors";
const CONFIG: &str = "config.json";

/// What makes a model here; weights so long that they come in many pieces.
fn files() -> Vec<(&'static str, Vec<u8>)> {
    let weights = (0..50_000u32).flat_map(u32::to_le_bytes).collect();
    vec![
        (CONFIG, b"{}".to_vec()),
        (WEIGHTS, weights),
        ("tokenizer.json", b"{\"version\":\"1.0\"}".to_vec()),
        ("special_tokens_map.json", Vec::new()),
    ]
}

/// A user with a cache of its own and nothing from the environment.
struct User {
    dir: TempDir,
    config: HubConfig,
}

impl User {
    fn of(endpoint: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let token = dir.path().join("token");
        fs::write(&token, "").unwrap();
        let config = HubConfig {
            endpoint: Some(endpoint.to_owned()),
            cache: Some(dir.path().join("hub")),
            offline: Some(false),
            token_file: Some(token),
            timeout: Duration::from_secs(10),
            progress: None,
        };
        Self { dir, config }
    }

    fn with_token(self, token: &str) -> Self {
        fs::write(self.dir.path().join("token"), token).unwrap();
        self
    }

    fn offline(&self) -> HubConfig {
        HubConfig {
            offline: Some(true),
            ..self.config.clone()
        }
    }

    async fn fetch(&self) -> heartbeat_core::Result<PathBuf> {
        fetch(ID, None, &self.config).await
    }

    async fn refused(&self) -> Error {
        let error = self.fetch().await.unwrap_err();
        assert!(error.report().contains(ID), "{error:?}");
        assert!(
            error.advice().is_some() || error.kind() == ErrorKind::Unavailable,
            "{error:?}"
        );
        error
    }

    /// Where the repository is in the cache.
    fn repository(&self) -> PathBuf {
        self.dir.path().join("hub/models--owner--model")
    }

    /// The one file that is not whole.
    fn part(&self) -> PathBuf {
        let blobs = fs::read_dir(self.repository().join("blobs")).unwrap();
        let mut paths = blobs.map(|entry| entry.unwrap().path());
        let is_part = |path: &PathBuf| path.extension().is_some_and(|end| end == "incomplete");
        paths.find(is_part).unwrap()
    }

    /// Whether the weights' name leads anywhere, whole or not.
    fn has_weights(&self) -> bool {
        self.repository()
            .join("snapshots")
            .join(COMMIT)
            .join(WEIGHTS)
            .exists()
    }
}

async fn world() -> (Server, User) {
    let server = Server::start(&files()).await;
    let user = User::of(&server.url);
    (server, user)
}

fn assert_whole(folder: &Path) {
    for (name, bytes) in files() {
        let found = fs::read(folder.join(name)).unwrap();
        assert!(
            found == bytes,
            "{name} has {} of {} bytes",
            found.len(),
            bytes.len()
        );
    }
}

/// What parts of the weights were asked for, at the host that has them.
fn ranges(seen: &[Seen]) -> Vec<Option<&str>> {
    let weights = seen
        .iter()
        .filter(|request| request.what == WEIGHTS && request.elsewhere);
    weights.map(|request| request.range.as_deref()).collect()
}

#[tokio::test]
async fn a_model_comes_whole_and_once_and_lies_as_python_lays_it() {
    let (server, user) = world().await;
    let folder = user.fetch().await.unwrap();
    assert_whole(&folder);

    let repository = user.repository();
    assert_eq!(folder, repository.join("snapshots").join(COMMIT));
    assert_eq!(
        fs::read_to_string(repository.join("refs/main")).unwrap(),
        COMMIT
    );
    for entry in fs::read_dir(repository.join("blobs")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(
            matches!(name.len(), 40 | 64),
            "only whole contents are kept: {name}"
        );
    }
    #[cfg(unix)]
    assert!(
        fs::read_link(folder.join(CONFIG))
            .unwrap()
            .starts_with("../../blobs")
    );

    server.seen();
    assert_eq!(user.fetch().await.unwrap(), folder);
    let again: Vec<_> = server
        .seen()
        .into_iter()
        .map(|request| request.what)
        .collect();
    assert_eq!(again, [LIST]);
}

#[tokio::test]
async fn only_what_a_model_is_read_from_is_brought() {
    let many = [
        "README.md",
        "added_tokens.json",
        "config.json",
        "flax_model.msgpack",
        "merges.txt",
        "pytorch_model.bin",
        "sentencepiece.bpe.model",
        "special_tokens_map.json",
        "tf_model.h5",
        "tokenizer_config.json",
        "vocab.json",
    ];
    let content: Vec<_> = many
        .iter()
        .map(|name| (*name, name.as_bytes().to_vec()))
        .collect();
    let server = Server::start(&content).await;
    let user = User::of(&server.url);
    let folder = user.fetch().await.unwrap();
    let mut found: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    found.sort_unstable();
    let wanted = [
        "added_tokens.json",
        "config.json",
        "merges.txt",
        "pytorch_model.bin",
        "special_tokens_map.json",
        "tokenizer_config.json",
        "vocab.json",
    ];
    assert_eq!(found, wanted);
}

#[tokio::test]
async fn progress_is_told_from_the_first_byte_to_the_last() {
    let (server, mut user) = world().await;
    server.answer(WEIGHTS, [Answer::Break(1000)]);
    let told = Arc::new(Mutex::new(Vec::new()));
    let to = told.clone();
    user.config.progress = Some(Progress::new(move |file, done, all| {
        to.lock().unwrap().push((file.to_owned(), done, all));
    }));
    user.fetch().await.unwrap();
    let told = told.lock().unwrap();
    for (name, bytes) in files().into_iter().filter(|(_, bytes)| !bytes.is_empty()) {
        let of_file: Vec<_> = told.iter().filter(|(file, ..)| file == name).collect();
        assert!(of_file.iter().all(|(.., all)| *all == bytes.len() as u64));
        assert!(of_file.is_sorted_by_key(|(_, done, _)| *done));
        assert_eq!(of_file.first().unwrap().1, 0);
        assert_eq!(of_file.last().unwrap().1, bytes.len() as u64);
    }
}

#[tokio::test]
async fn a_broken_transfer_goes_on_where_it_broke() {
    let (server, user) = world().await;
    // More often than a try is made again without any gain.
    server.answer(WEIGHTS, vec![Answer::Break(1000); 6]);
    assert_whole(&user.fetch().await.unwrap());
    let seen = server.seen();
    let starts: Vec<_> = (1..=6)
        .map(|broken| format!("bytes={}-", broken * 1000))
        .collect();
    let mut wanted = vec![None];
    wanted.extend(starts.iter().map(|start| Some(start.as_str())));
    assert_eq!(ranges(&seen), wanted);
}

#[tokio::test]
async fn a_transfer_that_stays_broken_is_given_up_and_taken_up_by_the_next() {
    let (server, user) = world().await;
    server.answer(WEIGHTS, [Answer::Break(1000)]);
    server.answer(WEIGHTS, vec![Answer::Break(0); 4]);
    let error = user.refused().await;
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");
    assert!(error.to_string().contains(WEIGHTS), "{error:?}");
    let told = error.report();
    assert!(
        !told.contains("signed-secret"),
        "a signed address is a secret: {told}"
    );
    assert!(!user.has_weights());
    assert!(!user.repository().join("refs/main").exists());

    server.seen();
    assert_whole(&user.fetch().await.unwrap());
    assert_eq!(ranges(&server.seen()), [Some("bytes=1000-")]);
}

#[tokio::test]
async fn a_server_without_ranges_sends_all_again() {
    let (server, user) = world().await;
    server.answer(
        WEIGHTS,
        [
            Answer::BreakFromStart(5000),
            Answer::BreakFromStart(1000),
            Answer::Whole,
        ],
    );
    assert_whole(&user.fetch().await.unwrap());
    assert_eq!(
        ranges(&server.seen()),
        [None, Some("bytes=5000-"), Some("bytes=1000-")]
    );
}

#[tokio::test]
async fn who_gives_up_ends_the_transfer_and_who_comes_back_goes_on() {
    let (server, mut user) = world().await;
    server.answer(WEIGHTS, [Answer::Slow]);
    let enough = Arc::new(Notify::new());
    let tell = enough.clone();
    user.config.progress = Some(Progress::new(move |file, done, _| {
        if file == WEIGHTS && done > 10_000 {
            tell.notify_one();
        }
    }));
    tokio::select! {
        result = user.fetch() => panic!("this should take longer: {result:?}"),
        () = enough.notified() => {}
    }
    let part = user.part();
    let length = |path: &Path| fs::metadata(path).unwrap().len();
    // What was on its way to the disk may still arrive there.
    tokio::time::sleep(Duration::from_millis(200)).await;
    let left = length(&part);
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(
        length(&part),
        left,
        "the transfer goes on without its caller"
    );
    assert!(!user.has_weights());

    server.seen();
    assert_whole(&user.fetch().await.unwrap());
    assert_eq!(
        ranges(&server.seen()),
        [Some(format!("bytes={left}-").as_str())]
    );
}

#[tokio::test]
async fn other_bytes_than_announced_are_never_kept() {
    let (server, user) = world().await;
    server.answer(WEIGHTS, [Answer::Wrong]);
    assert_whole(&user.fetch().await.unwrap());

    let (server, user) = world().await;
    server.answer(WEIGHTS, vec![Answer::Wrong; 9]);
    let error = user.refused().await;
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");
    assert!(!user.has_weights());
}

#[tokio::test]
async fn another_size_than_announced_is_an_error_and_never_kept() {
    for answer in [Answer::Short, Answer::Long] {
        let (server, user) = world().await;
        server.answer(WEIGHTS, [answer.clone()]);
        let error = user.refused().await;
        assert_eq!(
            error.kind(),
            ErrorKind::Misconfigured,
            "{answer:?}: {error:?}"
        );
        assert!(
            error.to_string().contains("another size"),
            "{answer:?}: {error:?}"
        );
        assert!(!user.has_weights());
    }
    for told in [199_999, 200_001] {
        let (server, user) = world().await;
        server.tell(WEIGHTS, told);
        let error = user.refused().await;
        assert!(
            error.to_string().contains(&format!("announced {told}")),
            "{error:?}"
        );
        assert!(!user.has_weights());
    }
}

#[tokio::test]
async fn a_damaged_cache_is_mended() {
    let (_server, user) = world().await;
    let folder = user.fetch().await.unwrap();
    fs::write(folder.join(WEIGHTS), "half").unwrap();
    fs::remove_file(folder.join(CONFIG).canonicalize().unwrap()).unwrap();
    assert_whole(&user.fetch().await.unwrap());
}

#[tokio::test]
async fn what_is_too_large_is_refused_before_it_comes() {
    for (file, size) in [(WEIGHTS, 1 << 40), (CONFIG, 1 << 30)] {
        let (server, user) = world().await;
        server.tell(file, size);
        let error = user.refused().await;
        assert_eq!(error.kind(), ErrorKind::Misconfigured);
        assert!(
            error.to_string().contains(file) && error.to_string().contains("larger"),
            "{error:?}"
        );
        assert_eq!(server.seen().len(), 1);
    }
}

#[tokio::test]
async fn each_refusal_says_what_to_do() {
    let gated = &[("x-error-code", "GatedRepo")][..];
    for (what, token, status, headers, told, advice) in [
        (
            LIST,
            false,
            401,
            &[][..],
            "no such repository for everyone",
            "if a folder was meant",
        ),
        (
            LIST,
            true,
            401,
            &[],
            "does not accept the access token",
            "access token",
        ),
        (LIST, true, 403, &[], "refuses access", "access token"),
        (
            CONFIG,
            false,
            401,
            gated,
            "gated",
            "ask for access on its page",
        ),
        (
            CONFIG,
            true,
            403,
            gated,
            "gated",
            "ask for access on its page",
        ),
        (
            LIST,
            false,
            404,
            &[("x-error-code", "RepoNotFound")],
            "no such repository",
            "model's name",
        ),
        (
            LIST,
            false,
            404,
            &[("x-error-code", "RevisionNotFound")],
            "no such revision",
            "branches",
        ),
        (
            LIST,
            false,
            404,
            &[],
            "or the repository no such revision",
            "model's name",
        ),
        (
            CONFIG,
            false,
            404,
            &[("x-error-code", "EntryNotFound")],
            "file config.json",
            "revision",
        ),
        (
            LIST,
            false,
            418,
            &[],
            "does not answer as the Hub does",
            "HF_ENDPOINT",
        ),
        (
            LIST,
            false,
            302,
            &[],
            "does not answer as the Hub does",
            "HF_ENDPOINT",
        ),
    ] {
        let (server, mut user) = world().await;
        if token {
            user = user.with_token("hf_secret");
        }
        server.answer(what, [Answer::Status(status, headers)]);
        let error = user.refused().await;
        assert_eq!(
            error.kind(),
            ErrorKind::Misconfigured,
            "{status}: {error:?}"
        );
        assert!(error.to_string().contains(told), "{status}: {error:?}");
        assert!(
            error.advice().unwrap().contains(advice),
            "{status}: {error:?}"
        );
        assert!(!error.report().contains("hf_secret"), "{error:?}");
    }
    let (_server, user) = world().await;
    let error = fetch(ID, Some("no/such"), &user.config).await.unwrap_err();
    assert!(error.to_string().contains("revision no/such"), "{error:?}");
}

#[tokio::test]
async fn what_is_no_hub_is_told() {
    for (what, answer) in [
        (LIST, Answer::Page),
        (CONFIG, Answer::Page),
        (LIST, Answer::Text("no JSON")),
        (LIST, Answer::Text("{}")),
        (LIST, Answer::Text(r#"{"sha":"../../x","siblings":[]}"#)),
        (
            LIST,
            Answer::Text(
                r#"{"sha":"0123456789abcdef0123456789abcdef01234567","siblings":[
                {"rfilename":"config.json","size":2,"blobId":"../../../x"},
                {"rfilename":"tokenizer.json","size":2,"blobId":"x"},
                {"rfilename":"model.safetensors","size":2,"blobId":"x"}]}"#,
            ),
        ),
    ] {
        let (server, user) = world().await;
        server.answer(what, [answer.clone()]);
        let error = user.refused().await;
        assert_eq!(
            error.kind(),
            ErrorKind::Misconfigured,
            "{answer:?}: {error:?}"
        );
        assert!(
            error.advice().unwrap().contains("HF_ENDPOINT"),
            "{answer:?}: {error:?}"
        );
    }
}

#[tokio::test]
async fn a_repository_without_a_model_is_told() {
    let server = Server::start(&[("config.json", b"{}".to_vec()), ("tf_model.h5", vec![1])]).await;
    let user = User::of(&server.url);
    let error = user.refused().await;
    let told = error.report();
    assert!(told.contains("no model that can be read here"), "{told}");
    assert!(
        told.contains("model.safetensors or pytorch_model.bin"),
        "{told}"
    );
    assert!(told.contains("tf_model.h5"), "{told}");
}

#[tokio::test]
async fn a_busy_hub_is_asked_again_when_it_wants() {
    let (server, user) = world().await;
    server.answer(LIST, [Answer::Status(429, &[("retry-after", "2")])]);
    server.answer(CONFIG, [Answer::Status(500, &[]), Answer::Status(503, &[])]);
    let began = Instant::now();
    assert_whole(&user.fetch().await.unwrap());
    assert!(began.elapsed() >= Duration::from_secs(2));

    let (server, user) = world().await;
    server.answer(LIST, [Answer::Status(429, &[("retry-after", "3600")])]);
    let error = user.refused().await;
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert_eq!(error.wait_before_retry(), Some(Duration::from_hours(1)));
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn a_hub_that_stays_away_is_unavailable_unless_the_cache_has_the_model() {
    let (server, user) = world().await;
    let away = || vec![Answer::Status(502, &[]); 5];
    server.answer(LIST, away());
    let error = user.refused().await;
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");
    assert_eq!(server.seen().len(), 5);

    let folder = user.fetch().await.unwrap();
    server.answer(LIST, away());
    assert_eq!(user.fetch().await.unwrap(), folder);
}

#[tokio::test]
async fn no_network_is_unavailable_and_leads_to_offline() {
    let closed = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        format!("http://{}", listener.local_addr().unwrap())
    };
    let error = User::of(&closed).refused().await;
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");
    assert!(
        error.advice().unwrap().contains("HF_HUB_OFFLINE"),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_silent_server_is_not_waited_for_for_ever() {
    let (server, mut user) = world().await;
    user.config.timeout = Duration::from_millis(500);
    server.answer(LIST, [Answer::Stuck]);
    server.answer(WEIGHTS, [Answer::Stuck, Answer::Slow]);
    server.answer("tokenizer.json", [Answer::Stuck]);
    assert_whole(&user.fetch().await.unwrap());
    server.answer(LIST, vec![Answer::Stuck; 5]);
    fs::remove_dir_all(user.repository()).unwrap();
    let error = user.refused().await;
    assert!(error.to_string().contains("silent"), "{error:?}");
}

#[tokio::test]
async fn offline_nothing_is_asked_and_what_is_missing_is_named() {
    let (server, user) = world().await;
    let error = fetch(ID, None, &user.offline()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Misconfigured);
    for part in [ID, "main", "not in the Hub's cache", "HF_HUB_OFFLINE"] {
        assert!(error.report().contains(part), "{error:?}");
    }
    assert_eq!(server.seen(), []);

    let folder = user.fetch().await.unwrap();
    server.seen();
    assert_eq!(fetch(ID, None, &user.offline()).await.unwrap(), folder);
    assert_eq!(
        fetch(ID, Some(COMMIT), &user.offline()).await.unwrap(),
        folder
    );
    fs::remove_file(folder.join(WEIGHTS)).unwrap();
    let error = fetch(ID, None, &user.offline()).await.unwrap_err();
    assert!(
        error.report().contains("missing model.safetensors"),
        "{error:?}"
    );
    assert_eq!(server.seen(), []);
}

#[tokio::test]
async fn a_commit_that_is_there_is_not_asked_for() {
    let (server, user) = world().await;
    let folder = fetch(ID, Some(COMMIT), &user.config).await.unwrap();
    assert_whole(&folder);
    assert!(!user.repository().join("refs").exists());
    server.seen();
    assert_eq!(fetch(ID, Some(COMMIT), &user.config).await.unwrap(), folder);
    assert_eq!(server.seen(), []);
}

#[tokio::test]
async fn the_token_goes_to_the_hub_and_to_nobody_else() {
    let (server, user) = world().await;
    let user = user.with_token("hf_secret\n");
    server.answer(WEIGHTS, [Answer::Break(10)]);
    user.fetch().await.unwrap();
    let seen = server.seen();
    let tokens = |elsewhere| -> HashSet<_> {
        let there = seen.iter().filter(|request| request.elsewhere == elsewhere);
        there.map(|request| request.token.as_deref()).collect()
    };
    assert_eq!(tokens(false), HashSet::from([Some("Bearer hf_secret")]));
    assert_eq!(tokens(true), HashSet::from([None]));
}

#[tokio::test]
async fn two_at_once_bring_a_file_once() {
    let (server, user) = world().await;
    server.answer(WEIGHTS, [Answer::Break(150_000)]);
    let (one, two) = tokio::join!(user.fetch(), user.fetch());
    assert_whole(&one.unwrap());
    assert_whole(&two.unwrap());
    assert_eq!(ranges(&server.seen()), [None, Some("bytes=150000-")]);
}

#[tokio::test]
async fn what_is_no_id_is_refused_before_anything_is_asked() {
    let (server, user) = world().await;
    for id in ["a/b/c", "..", "a b", "/models/mine", "./mine", ""] {
        let error = fetch(id, None, &user.config).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Misconfigured);
        assert!(
            error.to_string().contains("neither a folder nor the id"),
            "{error:?}"
        );
    }
    assert_eq!(server.seen(), []);
}

#[tokio::test]
async fn a_cache_that_cannot_be_written_is_named() {
    let (_server, mut user) = world().await;
    let file = user.dir.path().join("file");
    fs::write(&file, "").unwrap();
    user.config.cache = Some(file.clone());
    let error = user.fetch().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Misconfigured);
    assert!(
        error.to_string().contains(file.to_str().unwrap()),
        "{error:?}"
    );
    assert!(
        error.advice().unwrap().contains("HF_HUB_CACHE"),
        "{error:?}"
    );
}

#[test]
fn the_future_can_be_sent_to_another_thread() {
    fn is_send(_: impl Send) {}
    is_send(fetch(ID, None, &HubConfig::default()));
}
