//! A server that does what Jetstream does, and what a script wants.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use futures_util::StreamExt;
use heartbeat_bluesky::BlueskyConfig;
use heartbeat_core::{Error, Position, Rejected, Source, SourceBatch};
use jiff::Timestamp;
use serde_json::json;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::{Instant, sleep, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::Role;

/// When the posts begin, in microseconds.
pub(crate) const START: i64 = 1_725_911_162_000_000;

/// When there is nothing more to read.
pub(crate) const END: i64 = START + 1_000_000_000_000;

/// What one connection gets.
#[derive(Debug, Clone)]
pub(crate) enum Answer {
    Stream(Vec<Step>),
    /// No stream, but a status, and how many seconds to wait.
    Refusal(u16, Option<u64>),
    /// Nothing at all.
    Silence,
}

/// What happens on a stream. Behind the last one it breaks.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    /// Bytes as they are.
    Send(Vec<u8>),
    /// So many messages of the log, from the cursor that was asked for.
    Log(usize),
    /// Only answers pings.
    Wait(Duration),
    /// Not even that.
    Sleep(Duration),
    /// It ends in good order.
    Close,
}

pub(crate) fn wait(seconds: f64) -> Step {
    Step::Wait(Duration::from_secs_f64(seconds))
}

pub(crate) fn sleeps(seconds: f64) -> Step {
    Step::Sleep(Duration::from_secs_f64(seconds))
}

pub(crate) fn send(text: &str) -> Step {
    Step::Send(frame(text))
}

/// The `n`th posts, each a second after the other.
pub(crate) fn posts(numbers: impl IntoIterator<Item = i64>) -> Step {
    let frames = numbers.into_iter().map(|n| frame(&post(n, time(n))));
    Step::Send(frames.collect::<Vec<_>>().concat())
}

pub(crate) fn time(n: i64) -> i64 {
    START + n * 1_000_000
}

/// A time as people write it.
pub(crate) fn moment(time_us: i64) -> Timestamp {
    Timestamp::from_microsecond(time_us).unwrap()
}

pub(crate) fn post(n: i64, time_us: i64) -> String {
    post_of(n, time_us, &format!("ukraine {n}"))
}

pub(crate) fn post_of(n: i64, time_us: i64, text: &str) -> String {
    let record = json!({"$type": "app.bsky.feed.post", "text": text, "langs": ["en"], "createdAt": "2024-09-09T19:46:02Z"});
    let commit = json!({
        "rev": "3l3", "operation": "create", "collection": "app.bsky.feed.post", "rkey": format!("3l{n}"),
        "cid": "bafy", "record": record,
    });
    json!({"did": "did:plc:a", "time_us": time_us, "kind": "commit", "commit": commit}).to_string()
}

/// A message as a server frames it.
pub(crate) fn frame(text: &str) -> Vec<u8> {
    let mut frame = vec![0x81];
    match text.len() {
        short @ 0..126 => frame.push(short as u8),
        long @ 126..0x1_0000 => {
            frame.push(126);
            frame.extend((long as u16).to_be_bytes());
        }
        long => {
            frame.push(127);
            frame.extend((long as u64).to_be_bytes());
        }
    }
    frame.extend(text.as_bytes());
    frame
}

/// A connection that was asked for.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) at: Instant,
    /// Which host was asked, from 0.
    pub(crate) host: usize,
    pub(crate) query: String,
}

impl Asked {
    pub(crate) fn cursor(&self) -> Option<i64> {
        let pairs = url::form_urlencoded::parse(self.query.as_bytes());
        let mut cursors = pairs.filter(|(name, _)| name == "cursor");
        cursors.next().map(|(_, cursor)| cursor.parse().unwrap())
    }
}

/// What the server has seen and will do.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    answers: VecDeque<Answer>,
    pub(crate) connections: Vec<Asked>,
    /// How often it was asked for a sign of life.
    pub(crate) pings: usize,
    /// How often it got one that it asked for.
    pub(crate) pongs: usize,
}

/// Messages that each host has, by its own clock.
#[derive(Debug, Default)]
pub(crate) struct Log {
    /// When, and what; `TIME` in it stands for that.
    pub(crate) messages: Vec<(i64, String)>,
    /// How far each host's clock is ahead, in microseconds.
    pub(crate) ahead: Vec<i64>,
}

/// Some hosts.
#[derive(Debug, Clone)]
pub(crate) struct Double {
    seen: Arc<Mutex<Seen>>,
    log: Arc<Log>,
}

impl Double {
    /// Answers one connection after the other, whichever host is asked. When there are no answers left, the time has come to end.
    pub(crate) fn new(answers: impl IntoIterator<Item = Answer>) -> Self {
        Self::with_log(Log::default(), answers)
    }

    pub(crate) fn with_log(log: Log, answers: impl IntoIterator<Item = Answer>) -> Self {
        let seen = Seen {
            answers: answers.into_iter().collect(),
            ..Seen::default()
        };
        Self {
            seen: Arc::new(Mutex::new(seen)),
            log: Arc::new(log),
        }
    }

    pub(crate) fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap()
    }

    /// Speaks with one client.
    pub(crate) async fn serve<S: AsyncRead + AsyncWrite + Unpin>(&self, host: usize, mut pipe: S) {
        let rest = Answer::Stream(vec![
            Step::Log(usize::MAX),
            send(&json!({"kind": "account", "time_us": END}).to_string()),
            wait(1000.0),
        ]);
        let answer = self.seen().answers.pop_front().unwrap_or(rest);
        let head = head_of(&mut pipe).await;
        let query = head.split([' ', '?']).nth(2).unwrap_or_default();
        assert!(head.starts_with("GET /subscribe?"), "{head}");
        let asked = Asked {
            at: Instant::now(),
            host,
            query: query.to_owned(),
        };
        let cursor = asked.cursor();
        self.seen().connections.push(asked);
        let steps = match answer {
            Answer::Silence => return sleep(Duration::from_secs(1000)).await,
            Answer::Refusal(status, wait) => {
                let wait = wait.map_or_else(String::new, |wait| format!("retry-after: {wait}\r\n"));
                let answer = format!("HTTP/1.1 {status} No\r\n{wait}content-length: 0\r\n\r\n");
                return pipe.write_all(answer.as_bytes()).await.unwrap();
            }
            Answer::Stream(steps) => steps,
        };
        let key = head.lines().find_map(|line| {
            let (name, value) = line.split_once(": ")?;
            name.eq_ignore_ascii_case("sec-websocket-key")
                .then_some(value)
        });
        let accept = derive_accept_key(key.unwrap().as_bytes());
        let answer = format!(
            "HTTP/1.1 101 Yes\r\nconnection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-accept: {accept}\r\n\r\n"
        );
        pipe.write_all(answer.as_bytes()).await.unwrap();
        let socket = WebSocketStream::from_raw_socket(pipe, Role::Server, None).await;
        self.play(socket, steps, host, cursor).await;
    }

    async fn play<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        mut socket: WebSocketStream<S>,
        steps: Vec<Step>,
        host: usize,
        cursor: Option<i64>,
    ) {
        for step in steps {
            let bytes = match step {
                Step::Send(bytes) => bytes,
                Step::Log(most) => self.log_of(host, cursor, most),
                Step::Wait(time) => {
                    let _ = timeout(time, self.listen(&mut socket)).await;
                    continue;
                }
                Step::Sleep(time) => {
                    sleep(time).await;
                    // What has come meanwhile.
                    let _ = timeout(Duration::ZERO, self.listen(&mut socket)).await;
                    continue;
                }
                Step::Close => {
                    let _ = socket.close(None).await;
                    continue;
                }
            };
            if socket.get_mut().write_all(&bytes).await.is_err() {
                return;
            }
        }
        let _ = socket.get_mut().flush().await;
        let _ = socket.get_mut().shutdown().await;
    }

    async fn listen<S: AsyncRead + AsyncWrite + Unpin>(&self, socket: &mut WebSocketStream<S>) {
        while let Some(Ok(message)) = socket.next().await {
            let mut seen = self.seen();
            seen.pings += usize::from(message.is_ping());
            seen.pongs += usize::from(message.is_pong());
        }
    }

    fn log_of(&self, host: usize, cursor: Option<i64>, most: usize) -> Vec<u8> {
        let ahead = self.log.ahead.get(host).copied().unwrap_or_default();
        let messages = self.log.messages.iter();
        let messages = messages.map(|(time, message)| (time + ahead, message));
        let later = messages.filter(|(time, _)| cursor.is_none_or(|cursor| *time >= cursor));
        let frames = later
            .take(most)
            .map(|(time, message)| frame(&message.replace("TIME", &time.to_string())));
        frames.collect::<Vec<_>>().concat()
    }
}

/// A request, up to its empty line.
async fn head_of(pipe: &mut (impl AsyncRead + Unpin)) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(pipe.read_u8().await.unwrap());
    }
    String::from_utf8(head).unwrap()
}

/// A config whose hosts are so named, with words that the posts have.
pub(crate) fn config(hosts: &[String]) -> BlueskyConfig {
    let end = moment(END);
    let text =
        format!("hosts = {hosts:?}\nuntil = '{end}'\n[words]\nT = ['ukraine']\nA = ['both']");
    toml::from_str(&text).unwrap()
}

/// What a source gave until it ended.
#[derive(Debug, Default)]
pub(crate) struct Given {
    pub(crate) batches: Vec<SourceBatch>,
    /// Why it ended, if not in good order.
    pub(crate) error: Option<Error>,
}

impl Given {
    pub(crate) async fn of(source: &mut dyn Source, position: Option<Position>) -> Self {
        source.resume(position).await.unwrap();
        let mut given = Self::default();
        loop {
            match source.next_batch(1000).await {
                Ok(Some(batch)) => given.batches.push(batch),
                Ok(None) => return given,
                Err(error) => {
                    given.error = Some(error);
                    return given;
                }
            }
        }
    }

    /// The numbers of the posts, by their texts.
    pub(crate) fn numbers(&self) -> Vec<i64> {
        let tweets = self.batches.iter().flat_map(|batch| &batch.tweets);
        let number = |text: &str| text.rsplit(' ').next().unwrap().parse().unwrap();
        tweets.map(|tweet| number(&tweet.value.content)).collect()
    }

    pub(crate) fn rejected(&self) -> Vec<&Rejected> {
        let batches = self.batches.iter();
        batches.flat_map(|batch| &batch.rejected).collect()
    }
}
