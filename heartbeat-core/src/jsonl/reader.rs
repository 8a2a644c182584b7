//! The thread that reads, so that a slow disk or a silent pipe never holds up the runtime.

use std::io;
use std::mem;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use tokio::sync::mpsc;

use crate::error::{Error, Result};
use crate::jsonl::input::{is_broken_gzip, unreadable};
use crate::jsonl::lines::{Line, Lines};
use crate::jsonl::place::Place;
use crate::post::{MAX_LINE, Post, PostParser};
use crate::record::{Keyed, Tweet};
use crate::source::Rejected;

/// What a line held.
#[derive(Debug)]
pub(super) struct Item {
    pub(super) found: Result<Vec<Keyed<Tweet>>, Rejected>,
    /// The place to go on from.
    pub(super) behind: Place,
    /// When it came in, as it was recorded, or else when it was posted.
    pub(super) at: Option<SystemTime>,
}

impl Item {
    /// What it counts for in a batch.
    pub(super) fn size(&self) -> usize {
        self.found.as_ref().map_or(1, Vec::len)
    }
}

/// What the thread sends: lines that were at hand together, and at the last `None`, or why it cannot
/// go on.
pub(super) type Chunk = Result<Option<Vec<Item>>>;

/// How many chunks may lie ready. Each comes from one read of the input, or is one long line.
const CHUNKS: usize = 2;

/// Starts a thread that reads to the end, or until nobody listens any more.
pub(super) fn start(
    path: PathBuf,
    open: impl FnOnce() -> Result<Lines> + Send + 'static,
    parser: PostParser,
) -> Result<mpsc::Receiver<Chunk>> {
    let (chunks, received) = mpsc::channel(CHUNKS);
    let work = move || {
        let end = open().and_then(|lines| {
            read(lines, &parser, &chunks).map_err(|error| unreadable(&path, error))
        });
        // An error means that nobody listens: then nobody misses it.
        let _ = chunks.blocking_send(end.map(|()| None));
    };
    thread::Builder::new()
        .name("heartbeat-jsonl".into())
        .spawn(work)
        .map_err(|error| {
            Error::unavailable("cannot start a thread to read posts").caused_by(error)
        })?;
    Ok(received)
}

fn read(mut lines: Lines, parser: &PostParser, chunks: &mpsc::Sender<Chunk>) -> io::Result<()> {
    let mut chunk = Vec::new();
    let end = loop {
        let before = lines.place();
        let post = match lines.next() {
            Ok(Some(line)) => parse(parser, &line, before.line + 1).transpose(),
            Ok(None) => break Ok(()),
            Err(error) if is_broken_gzip(&error) => {
                let found = Err(broken(lines.fragment(), &before, error));
                // The place stays before what is missing: a file that is whole by then is read on.
                chunk.push(Item {
                    found,
                    behind: before,
                    at: None,
                });
                break Ok(());
            }
            Err(error) => break Err(error),
        };
        if let Some(post) = post {
            let at = post
                .as_ref()
                .ok()
                .and_then(|post| post.arrived_at.or_else(|| posted(post)));
            chunk.push(Item {
                found: post.map(Post::into_tweets),
                behind: lines.place(),
                at,
            });
        }
        // Nothing that was read waits for what may be long in coming.
        if !chunk.is_empty()
            && !lines.has_next_at_hand()
            && chunks
                .blocking_send(Ok(Some(mem::take(&mut chunk))))
                .is_err()
        {
            return Ok(());
        }
    };
    if !chunk.is_empty() {
        let _ = chunks.blocking_send(Ok(Some(chunk)));
    }
    end
}

fn posted(post: &Post) -> Option<SystemTime> {
    let time = post.time;
    let distance = Duration::from_secs(time.unsigned_abs().into());
    match time {
        0.. => SystemTime::UNIX_EPOCH.checked_add(distance),
        _ => SystemTime::UNIX_EPOCH.checked_sub(distance),
    }
}

fn parse(parser: &PostParser, line: &Line<'_>, number: u64) -> Result<Option<Post>, Rejected> {
    let parsed = if line.length > MAX_LINE {
        Err(Error::invalid("the line is too long")
            .with("bytes", line.length)
            .with("most", MAX_LINE))
    } else {
        parser.post(line.bytes)
    };
    parsed.map_err(|error| Rejected {
        raw: Bytes::copy_from_slice(line.bytes),
        line: number,
        error: if line.ended || error.advice().is_some() {
            error
        } else {
            error.hint("It is the last line and has no line end: perhaps it was cut short.")
        },
    })
}

fn broken(fragment: &[u8], before: &Place, error: io::Error) -> Rejected {
    Rejected {
        raw: Bytes::copy_from_slice(fragment),
        line: before.line + 1,
        error: Error::invalid("the compressed data is damaged or cut short within this line")
            .with("offset", before.offset)
            .caused_by(error)
            .hint("Mend the file and run again: it is read on from this line."),
    }
}
