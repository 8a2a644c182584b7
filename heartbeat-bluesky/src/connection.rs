//! One connection to a server, watched.

use std::time::Duration;

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use heartbeat_core::{Error, remote};
use tokio::time::{Instant, sleep_until, timeout, timeout_at};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{self, Message};
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

use crate::dial::{Dial, Pipe};
use crate::error::Failure;
use crate::settings::Host;

/// How long it may take until a connection stands.
const LIMIT: Duration = Duration::from_secs(20);

/// How often the server is asked for a sign of life.
const PING: Duration = Duration::from_secs(15);

/// Without any sign of life for that long, the connection is dead.
const SILENCE: Duration = Duration::from_secs(30);

/// No message is longer, in bytes.
const LONGEST: usize = 4 << 20;

/// A connection that stands.
#[derive(Debug)]
pub(crate) struct Connection {
    socket: WebSocketStream<Box<dyn Pipe>>,
    next_ping: Instant,
}

/// Why a connection is no more.
#[derive(Debug)]
pub(crate) struct Lost {
    pub(crate) why: String,
    /// Whether the server did what it must not, so that another one is better.
    pub(crate) is_fault: bool,
}

impl Lost {
    fn ended(why: impl Into<String>) -> Self {
        Self {
            why: why.into(),
            is_fault: false,
        }
    }

    fn fault(why: impl Into<String>) -> Self {
        Self {
            why: why.into(),
            is_fault: true,
        }
    }
}

impl From<tungstenite::Error> for Lost {
    fn from(error: tungstenite::Error) -> Self {
        use tungstenite::error::ProtocolError::ResetWithoutClosingHandshake;
        match &error {
            tungstenite::Error::Io(_)
            | tungstenite::Error::Protocol(ResetWithoutClosingHandshake) => {
                Self::ended(Error::unavailable("it broke").caused_by(error).report())
            }
            tungstenite::Error::Capacity(_) => {
                Self::fault(format!("it sent a message of more than {LONGEST} bytes"))
            }
            _ => Self::fault(
                Error::unavailable("it does not speak as it must")
                    .caused_by(remote::words(&error.to_string()))
                    .report(),
            ),
        }
    }
}

impl Connection {
    /// Connects, for the stream from a moment on or from now.
    pub(crate) async fn open(
        dial: &dyn Dial,
        host: &Host,
        cursor: Option<i64>,
    ) -> Result<Self, Failure> {
        let open = async {
            let pipe = dial
                .dial(host)
                .await
                .map_err(|error| Failure::unreachable(host, error))?;
            let refused = |error| Failure::refused(host, error);
            let url = host.stream(cursor);
            let mut request = url.as_str().into_client_request().map_err(refused)?;
            let agent = concat!("heartbeat/", env!("CARGO_PKG_VERSION"));
            request
                .headers_mut()
                .insert("user-agent", HeaderValue::from_static(agent));
            let config = WebSocketConfig::default()
                .max_message_size(Some(LONGEST))
                .max_frame_size(Some(LONGEST));
            let socket = client_async_with_config(request, pipe, Some(config)).await;
            socket.map(|(socket, _)| socket).map_err(refused)
        };
        match timeout(LIMIT, open).await {
            Ok(socket) => Ok(Self {
                socket: socket?,
                next_ping: Instant::now() + PING,
            }),
            Err(_) => Err(Failure::silent(host, LIMIT)),
        }
    }

    /// The next message.
    pub(crate) async fn next(&mut self) -> Result<Bytes, Lost> {
        // Only time that was spent waiting here is silence: whoever calls may have had something else to do.
        let mut dead = Instant::now() + SILENCE;
        loop {
            tokio::select! {
                biased;
                message = self.socket.next() => match message {
                    Some(Ok(Message::Text(text))) => return Ok(text.into()),
                    Some(Ok(Message::Binary(bytes))) => return Ok(bytes),
                    Some(Ok(Message::Close(Some(frame)))) => {
                        let said = remote::words(&frame.reason);
                        return Err(Lost::ended(format!("the server closed it: {} {said}", frame.code)));
                    }
                    Some(Ok(Message::Close(None))) | None => {
                        return Err(Lost::ended("the server closed it"));
                    }
                    Some(Ok(_)) => dead = Instant::now() + SILENCE,
                    Some(Err(error)) => return Err(error.into()),
                },
                () = sleep_until(dead) => return Err(silent()),
                () = sleep_until(self.next_ping) => {
                    self.next_ping = Instant::now() + PING;
                    let ping = self.socket.send(Message::Ping(Bytes::new()));
                    // A pipe that takes nothing more is dead too.
                    timeout_at(dead, ping).await.map_err(|_| silent())??;
                }
            }
        }
    }
}

fn silent() -> Lost {
    Lost::fault(format!("it was silent for {} seconds", SILENCE.as_secs()))
}
