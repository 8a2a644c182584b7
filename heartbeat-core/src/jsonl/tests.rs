use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use proptest::prelude::*;
use tempfile::TempDir;
use tokio::time::timeout;

use super::*;
use crate::error::ErrorKind;
use crate::post::MAX_LINE;
use crate::source::Rejected;

/// What a run over a source gave.
#[derive(Debug, Default)]
struct Run {
    ids: Vec<i64>,
    rejected: Vec<Rejected>,
    position: Option<Position>,
}

impl Run {
    /// Where and how each rejected line was wrong.
    fn reports(&self) -> Vec<(u64, String)> {
        let report = |rejected: &Rejected| (rejected.line, rejected.error.report());
        self.rejected.iter().map(report).collect()
    }
}

struct Posts {
    dir: TempDir,
    path: PathBuf,
}

impl Posts {
    fn new(content: impl AsRef<[u8]>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("posts.jsonl");
        fs::write(&path, content).unwrap();
        Self { dir, path }
    }

    fn write(&self, content: impl AsRef<[u8]>) {
        fs::write(&self.path, content).unwrap();
    }

    fn append(&self, content: impl AsRef<[u8]>) {
        let mut file = OpenOptions::new().append(true).open(&self.path).unwrap();
        file.write_all(content.as_ref()).unwrap();
    }

    fn source(&self) -> JsonlSource {
        JsonlSource::open(JsonlConfig::new(&self.path)).unwrap()
    }

    fn read(&self, from: Option<Position>) -> Run {
        self.read_by(from, 1000).unwrap()
    }

    fn read_by(&self, from: Option<Position>, max: usize) -> Result<Run> {
        block_on(run(&mut self.source(), from, max))
    }

    fn refusal(&self, from: Position) -> Error {
        self.read_by(Some(from), 1000).unwrap_err()
    }
}

async fn run(source: &mut JsonlSource, from: Option<Position>, max: usize) -> Result<Run> {
    source.resume(from).await?;
    let mut run = Run::default();
    while let Some(batch) = source.next_batch(max).await? {
        assert!(batch.tweets.len() + batch.rejected.len() > 0);
        run.ids.extend(batch.tweets.iter().map(|tweet| tweet.id.0));
        run.rejected.extend(batch.rejected);
        run.position = batch.position;
    }
    assert!(source.next_batch(max).await?.is_none());
    Ok(run)
}

fn block_on<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(future)
}

fn post(id: i64) -> String {
    format!(r#"{{"id":"{id}","text":"post {id}","created_at":1652073462,"task":"T"}}"#)
}

fn posts(ids: impl IntoIterator<Item = i64>) -> String {
    ids.into_iter().map(|id| post(id) + "\n").collect()
}

fn gzip(content: impl AsRef<[u8]>) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(content.as_ref()).unwrap();
    encoder.finish().unwrap()
}

/// A post whose line, without its end, has `length` bytes.
fn long_post(id: i64, length: usize) -> String {
    let short = post(id);
    short.replace("post", &"x".repeat(length - short.len() + 4))
}

#[test]
fn good_lines_are_tweets_and_bad_ones_are_told_with_their_number() {
    let file = Posts::new(format!("{}\n\nnot json\n{}\n{{}}\n", post(1), post(2)));
    let run = file.read(None);
    assert_eq!(run.ids, [1, 2]);
    assert_eq!(run.rejected[0].raw, "not json");
    let reports = run.reports();
    assert_eq!((reports[0].0, reports[1].0), (3, 5));
    assert!(reports[0].1.contains("not JSON"), "{reports:?}");
}

#[test]
fn the_configured_task_is_for_lines_that_name_none() {
    let file = Posts::new(r#"{"id":"1","text":"a","created_at":7}"#);
    let mut config = JsonlConfig::new(&file.path);
    config.task = Some("RU-UKR".into());
    let mut source = JsonlSource::open(config.clone()).unwrap();
    let batch = block_on(async {
        source.resume(None).await.unwrap();
        source.next_batch(1).await.unwrap().unwrap()
    });
    assert_eq!(batch.tweets[0].value.task, "RU-UKR");

    config.task = Some(String::new());
    let error = JsonlSource::open(config).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Misconfigured);
}

#[test]
fn line_ends_of_any_platform_and_a_byte_order_mark_are_accepted() {
    let content = format!(
        "\u{feff}{}\r\n{}\r\n\r\nbad\r\n{}",
        post(1),
        post(2),
        post(3)
    );
    for content in [content.clone().into_bytes(), gzip(&content)] {
        let run = Posts::new(content).read(None);
        assert_eq!(run.ids, [1, 2, 3]);
        assert_eq!(run.rejected[0].raw, "bad");
    }
}

#[test]
fn an_empty_file_ends_at_once() {
    for content in [Vec::new(), b"\n \r\n\n".to_vec(), gzip("")] {
        let run = Posts::new(content).read(None);
        assert!(run.ids.is_empty() && run.rejected.is_empty());
    }
}

#[test]
fn a_last_line_without_an_end_is_a_line() {
    let file = Posts::new(posts([1]) + &post(2));
    assert_eq!(file.read(None).ids, [1, 2]);

    let file = Posts::new(posts([1]) + r#"{"id":"2","te"#);
    let run = file.read(None);
    assert_eq!(run.ids, [1]);
    let reports = run.reports();
    assert_eq!(reports[0].0, 2);
    assert!(reports[0].1.contains("cut short") && reports[0].1.contains("last line"));
}

#[test]
fn only_added_lines_are_read_again() {
    for end in ["\n", ""] {
        let file = Posts::new(posts(1..=3) + &post(4) + end);
        let first = file.read(None);
        assert_eq!(first.ids, [1, 2, 3, 4]);
        let nothing = file.read(first.position.clone());
        assert!(nothing.ids.is_empty() && nothing.position.is_none());

        if end.is_empty() {
            file.append("\n");
        }
        file.append("bad\n");
        file.append(posts([6]));
        let second = file.read(first.position);
        assert_eq!(second.ids, [6]);
        assert_eq!(second.rejected[0].line, 5);
        assert_eq!(file.read(second.position).ids, [0_i64; 0]);
    }
}

#[test]
fn a_position_is_readable() {
    let file = Posts::new(posts([1]));
    let position = file.read(None).position.unwrap();
    let place: serde_json::Value = serde_json::from_str(&position.0).unwrap();
    assert_eq!(place["offset"], posts([1]).len());
    assert_eq!(place["line"], 1);
}

#[test]
fn another_file_under_the_same_name_is_refused() {
    let file = Posts::new(posts(1..=100));
    let position = file.read(None).position.unwrap();
    let misfits = [
        posts(2..=200).into_bytes(),
        posts(1..=99).into_bytes(),
        posts(1..=2).into_bytes(),
        Vec::new(),
        gzip(posts(1..=99)),
        gzip(posts(1..=100))[..200].to_vec(),
    ];
    for content in misfits {
        file.write(content);
        let error = file.refusal(position.clone());
        assert_eq!(error.kind(), ErrorKind::Misconfigured);
        let report = error.report();
        assert!(
            report.contains("replaced or cut short")
                && report.contains("posts.jsonl")
                && report.contains("--from-start"),
            "{report}"
        );
    }
    // The same lines compressed are the same lines.
    file.write(gzip(posts(1..=101)));
    assert_eq!(file.read(Some(position)).ids, [101]);

    for foreign in [
        "",
        "17",
        r#"{"offset":-1,"line":0,"head":0}"#,
        r#"{"offset":0,"line":18446744073709551615,"head":0}"#,
    ] {
        let error = file.refusal(Position(foreign.into()));
        assert_eq!(error.kind(), ErrorKind::Misconfigured);
        assert!(error.report().contains("--from-start"), "{error:?}");
    }
}

#[test]
fn compressed_lines_are_read_whatever_the_name() {
    let members = [gzip(posts(1..=5)), gzip(""), gzip(posts(6..=9) + &post(10))].concat();
    let file = Posts::new(&members);
    let run = file.read_by(None, 3).unwrap();
    assert_eq!(run.ids, (1..=10).collect::<Vec<_>>());

    file.append(gzip("\n".to_owned() + &posts([11])));
    assert_eq!(file.read(run.position).ids, [11]);
}

#[test]
fn compressed_data_that_breaks_off_is_told_and_is_the_end() {
    let lines = posts((1..=5000).map(|id| id * 7_919_993));
    let whole = gzip(&lines);
    let all = Posts::new(&whole).read(None).ids;
    assert_eq!(all.len(), 5000);

    // No block of compressed data begins with these bits: wherever else the damage is, what follows may
    // be taken for data until the checksum at the end.
    let mut damaged = GzEncoder::new(Vec::new(), Compression::fast());
    damaged
        .write_all(&lines.as_bytes()[..lines.len() / 2])
        .unwrap();
    damaged.flush().unwrap();
    let damaged = [damaged.get_ref().as_slice(), &[0xff; 8]].concat();
    let cut = whole[..whole.len() / 2].to_vec();
    let with_tail = [&whole[..], b"tail"].concat();
    for content in [cut, damaged, with_tail] {
        let file = Posts::new(&content);
        let run = file.read_by(None, 10).unwrap();
        assert!(run.ids.len() > 1000 && all.starts_with(&run.ids));
        assert_eq!(run.rejected.len(), 1);
        let (line, report) = &run.reports()[0];
        assert_eq!(*line, run.ids.len() as u64 + 1);
        assert!(report.contains("damaged or cut short"), "{report}");

        file.write(&whole);
        let rest = file.read(run.position);
        assert_eq!(rest.ids, all[run.ids.len()..]);
        assert!(rest.rejected.is_empty());
    }
}

#[test]
fn a_line_that_is_too_long_is_passed_over() {
    let content = format!(
        "{}\n{}\n{}\n{}\r\n",
        post(1),
        long_post(2, 10 << 20),
        long_post(3, MAX_LINE + 1),
        post(4)
    );
    for content in [content.clone().into_bytes(), gzip(&content)] {
        let run = Posts::new(content).read(None);
        assert_eq!(run.ids, [1, 4]);
        assert_eq!(
            run.rejected[0].raw,
            long_post(2, 10 << 20).as_bytes()[..4096]
        );
        assert_eq!(run.rejected[1].raw.len(), 4096);
        let reports = run.reports();
        assert_eq!((reports[0].0, reports[1].0), (2, 3));
        assert!(reports[0].1.contains("bytes 10485760"), "{reports:?}");
        assert!(reports[1].1.contains("bytes 1048577"), "{reports:?}");
    }
}

#[test]
fn the_longest_line_is_read_whole() {
    for end in ["\n", "\r\n", ""] {
        let file = Posts::new(posts([1]) + &long_post(2, MAX_LINE) + end);
        assert_eq!(file.read(None).ids, [1, 2], "{end:?}");
    }
    for lead in ["", "\u{feff}"] {
        let run = Posts::new(lead.to_owned() + &long_post(1, 3 * MAX_LINE)).read(None);
        assert_eq!(run.reports()[0].0, 1);
        assert!(run.reports()[0].1.contains("last line"));
    }
}

#[test]
fn a_line_of_several_tasks_comes_whole() {
    let two = r#"{"data":{"id":"7","text":"a","created_at":7},"matching_rules":[{"tag":"A"},{"tag":"B"}]}"#;
    let file = Posts::new(format!("{}\n{two}\n{}\n", post(1), post(2)));
    let mut source = file.source();
    for (max, batches) in [(1, vec![1, 2, 1]), (2, vec![1, 2, 1]), (3, vec![3, 1])] {
        let mut sizes = Vec::new();
        block_on(async {
            source.resume(None).await.unwrap();
            while let Some(batch) = source.next_batch(max).await.unwrap() {
                sizes.push(batch.tweets.len());
            }
        });
        assert_eq!(sizes, batches, "by {max}");
    }
}

#[test]
fn a_file_that_is_not_there_is_told_with_its_path() {
    let file = Posts::new("");
    for (path, said) in [
        (file.dir.path().join("none.jsonl"), "No such file"),
        (file.dir.path().to_owned(), "a directory"),
        (file.path.join("x"), "cannot read"),
    ] {
        let error = JsonlSource::open(JsonlConfig::new(&path)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Misconfigured);
        let report = error.report();
        assert!(
            report.contains(said) && report.contains(path.to_str().unwrap()),
            "{report}"
        );
        assert!(error.advice().is_some());
    }

    // It may also go away later.
    let mut source = file.source();
    fs::remove_file(&file.path).unwrap();
    let error = block_on(source.resume(None)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Misconfigured);
}

#[test]
fn one_file_has_one_name() {
    let file = Posts::new("");
    let dir = file.dir.path();
    let name = |path: &Path| {
        let source = JsonlSource::open(JsonlConfig::new(path)).unwrap();
        source.name().to_owned()
    };
    let canonical = file.path.canonicalize().unwrap();
    let expected = format!("jsonl:{}", canonical.display());
    assert_eq!(name(&file.path), expected);
    fs::create_dir(dir.join("sub")).unwrap();
    assert_eq!(name(&dir.join("sub/.././posts.jsonl")), expected);
    assert_eq!(name(Path::new("-")), "jsonl:-");
}

#[test]
fn the_progress_is_in_bytes_of_the_file() {
    let lines = posts(1..=1000);
    for content in [lines.clone().into_bytes(), gzip(&lines)] {
        let file = Posts::new(&content);
        let mut source = file.source();
        let progress = source.progress();
        let size = content.len() as u64;
        assert_eq!((progress.read(), progress.total()), (0, Some(size)));
        let end = block_on(run(&mut source, None, 10)).unwrap().position;
        assert_eq!(progress.read(), size);
        block_on(source.resume(None)).unwrap();
        block_on(run(&mut source, end, 10)).unwrap();
        assert_eq!(progress.read(), size);
    }
}

#[test]
fn reading_before_resuming_is_an_error() {
    let error = block_on(Posts::new("").source().next_batch(1)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Internal);
}

/// A pipe gives what there is at once, holds up nobody while it is silent, and cannot be resumed.
#[cfg(unix)]
#[tokio::test]
async fn a_pipe_is_read_as_it_comes() {
    for compressed in [false, true] {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pipe");
        let made = std::process::Command::new("mkfifo").arg(&path).status();
        assert!(made.unwrap().success());
        let mut source = JsonlSource::open(JsonlConfig::new(&path)).unwrap();
        assert_eq!(source.progress().total(), None);
        source.resume(None).await.unwrap();
        let mut pipe = OpenOptions::new().write(true).open(&path).unwrap();
        let mut send = |text: &str| {
            let bytes = if compressed { gzip(text) } else { text.into() };
            pipe.write_all(&bytes).unwrap();
        };

        let silence = Duration::from_millis(20);
        assert!(timeout(silence, source.next_batch(9)).await.is_err());
        let (half, rest) = (&post(3)[..20], &post(3)[20..]);
        send(&(posts([1, 2]) + half));
        let batch = source.next_batch(9).await.unwrap().unwrap();
        assert_eq!(batch.tweets.len(), 2);
        assert_eq!(batch.position, None);

        assert!(timeout(silence, source.next_batch(9)).await.is_err());
        // Another process has moved it: it stays where it is.
        source.resume(None).await.unwrap();
        send(&format!("{rest}\n"));
        let batch = source.next_batch(9).await.unwrap().unwrap();
        assert_eq!(batch.tweets[0].id.0, 3);
        drop(pipe);
        assert!(source.next_batch(9).await.unwrap().is_none());
    }
}

#[tokio::test(start_paused = true)]
async fn a_recording_is_played_by_its_own_clock() {
    let line = |id: i64, arrived: &str| {
        let arrived = format!(r#"{{"arrived_at":"2026-11-28T{arrived}Z","#);
        post(id).replacen('{', &arrived, 1) + "\n"
    };
    let lines = [
        line(1, "01:00:00.25"),
        line(2, "01:00:00.25"),
        "no post\n".to_owned(),
        line(3, "01:00:10.25"),
        // The clock was set back meanwhile.
        line(4, "00:59:00"),
        line(5, "02:00:00.25"),
    ];
    let file = Posts::new(lines.concat());
    for (speed, seconds) in [
        (None, [0.0; 3]),
        (Some(1.0), [0.0, 10.0, 3600.0]),
        (Some(20.0), [0.0, 0.5, 180.0]),
    ] {
        let config = JsonlConfig {
            speed,
            ..JsonlConfig::new(&file.path)
        };
        let mut source = JsonlSource::open(config).unwrap();
        let started = Instant::now();
        let mut given = Vec::new();
        source.resume(None).await.unwrap();
        while let Some(batch) = source.next_batch(100).await.unwrap() {
            let at = started.elapsed().as_secs_f64();
            given.extend(batch.tweets.iter().map(|tweet| (tweet.id.0, at)));
        }
        let [first, second, third] = seconds;
        let expected = [(1, first), (2, first), (3, second), (4, second), (5, third)];
        for ((id, at), (expected_id, due)) in given.iter().zip(expected) {
            assert!(
                *id == expected_id && (at - due).abs() < 0.01,
                "{speed:?}: {given:?}"
            );
        }
        assert_eq!(given.len(), 5);
    }
    for speed in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        let config = JsonlConfig {
            speed: Some(speed),
            ..JsonlConfig::new(&file.path)
        };
        let error = JsonlSource::open(config).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Misconfigured);
    }
}

/// The places of good and bad lines, found the simple way.
fn expected(content: &[u8]) -> (Vec<i64>, Vec<u64>) {
    let parser = PostParser::default();
    let (mut ids, mut bad) = (Vec::new(), Vec::new());
    for (index, line) in content.split(|byte| *byte == b'\n').enumerate() {
        match parser.parse(line) {
            Ok(tweets) => ids.extend(tweets.iter().map(|tweet| tweet.id.0)),
            Err(_) => bad.push(index as u64 + 1),
        }
    }
    (ids, bad)
}

prop_compose! {
    fn any_content()(
        pieces in prop::collection::vec(
            prop_oneof![
                4 => (0_i64..1000).prop_map(|id| post(id).into_bytes()),
                4 => Just(b"\n".to_vec()),
                1 => Just(b"\r\n".to_vec()),
                1 => prop::collection::vec(any::<u8>(), 0..8),
            ],
            0..60,
        ),
        // A first line, so that the bytes after it are never taken for gzip or a byte order mark.
    ) -> Vec<u8> {
        [posts([7]).as_bytes(), &pieces.concat()].concat()
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_file_is_read_line_by_line_and_on_from_anywhere(
        content in any_content(),
        max in 1_usize..9,
        compressed: bool,
    ) {
        let file = Posts::new(if compressed { gzip(&content) } else { content.clone() });
        let (ids, bad) = expected(&content);
        let numbers = |run: &Run| run.rejected.iter().map(|rejected| rejected.line).collect::<Vec<_>>();
        let whole = file.read_by(None, max).unwrap();
        prop_assert_eq!(&whole.ids, &ids);
        prop_assert_eq!(&numbers(&whole), &bad);

        block_on(async {
            let (mut source, mut other) = (file.source(), file.source());
            source.resume(None).await.unwrap();
            let (mut tweets, mut rejected) = (0, 0);
            while let Some(batch) = source.next_batch(max).await.unwrap() {
                tweets += batch.tweets.len();
                rejected += batch.rejected.len();
                let rest = run(&mut other, batch.position, 1000).await.unwrap();
                prop_assert_eq!(&rest.ids, &ids[tweets..]);
                prop_assert_eq!(&numbers(&rest), &bad[rejected..]);
            }
            Ok(())
        })?;
    }

    #[test]
    fn any_bytes_are_read_to_the_end(content in any::<Vec<u8>>(), magic: bool) {
        let content = if magic { [&[0x1f, 0x8b, 8, 0][..], &content].concat() } else { content };
        Posts::new(content).read(None);
    }
}

#[cfg(feature = "conformance")]
mod conformance {
    use super::*;
    use crate::conformance::source::{SourceHarness, all};

    #[async_trait]
    impl SourceHarness for Posts {
        async fn open(&self) -> Box<dyn Source> {
            Box::new(self.source())
        }

        fn resumable(&self) -> bool {
            true
        }
    }

    #[tokio::test]
    async fn it_keeps_every_promise_of_a_source() {
        let lines = posts(1..=40) + "bad\n" + &posts(41..=60);
        all(&Posts::new(&lines)).await;
        all(&Posts::new(gzip(&lines))).await;
    }
}
