//! [`BlueskySource`].

use std::sync::Arc;

use async_trait::async_trait;
use heartbeat_core::{Error, Inbox, Position, Result, Source, SourceBatch};

use crate::config::BlueskyConfig;
use crate::connection::Connection;
use crate::dial::{Dial, Network};
use crate::filter::PostFilter;
use crate::intake::Intake;
use crate::place::Place;
use crate::settings::Settings;
use crate::stream::Reader;

/// So many messages may lie ready. When nobody takes them, the connection fills up; the cursor closes the gap if it is lost.
const READY: usize = 256;

/// Bluesky's new posts, as Jetstream sends them, with the words of a config.
///
/// It stays connected by itself, goes on with another server when one fails, and tells in the log when posts may be missing.
/// Its positions are good on every server: no post is lost and none comes twice.
#[derive(Debug)]
pub struct BlueskySource {
    settings: Arc<Settings>,
    filter: Arc<PostFilter>,
    dial: Arc<dyn Dial>,
    /// None before it is resumed.
    inbox: Option<Inbox>,
}

impl BlueskySource {
    /// Checks the config. Nothing is asked of a server: the stream begins with [`resume`](Source::resume).
    ///
    /// # Errors
    /// [`ErrorKind::Misconfigured`](heartbeat_core::ErrorKind::Misconfigured) when a setting cannot work, or the system has no
    /// certificates.
    pub async fn open(config: &BlueskyConfig) -> Result<Self> {
        let settings = Settings::new(config)?;
        let filter = PostFilter::new(config)?;
        let dial = Network::open(&settings).await?;
        Ok(Self::over(Arc::new(dial), settings, filter))
    }

    /// The name of the first server that begins a stream. Nothing of it is read.
    ///
    /// # Errors
    /// That of the last server, when none does.
    pub async fn reach(&self) -> Result<String> {
        let mut found = Err(Error::internal("there is no server to ask"));
        for host in &self.settings.hosts {
            found = match Connection::open(&*self.dial, host, None).await {
                Ok(_) => return Ok(host.name.clone()),
                Err(failure) => Err(failure.error),
            };
        }
        found
    }

    pub(crate) fn over(dial: Arc<dyn Dial>, settings: Settings, filter: PostFilter) -> Self {
        Self {
            settings: Arc::new(settings),
            filter: Arc::new(filter),
            dial,
            inbox: None,
        }
    }
}

#[async_trait]
impl Source for BlueskySource {
    fn name(&self) -> &str {
        "bluesky"
    }

    async fn resume(&mut self, from: Option<Position>) -> Result<()> {
        let place = match &from {
            Some(position) => Place::from_position(position)?,
            None => Place::start(self.settings.since),
        };
        self.inbox = Some(Inbox::start(READY, |messages| {
            let (settings, dial) = (self.settings.clone(), self.dial.clone());
            let intake = Intake::new(settings.clone(), self.filter.clone(), place);
            Reader::new(settings, dial, intake, messages).run()
        }));
        Ok(())
    }

    async fn next_batch(&mut self, max: usize) -> Result<Option<SourceBatch>> {
        match &mut self.inbox {
            Some(inbox) => inbox.next_batch(max).await,
            None => Err(Error::internal("a source is read before it is resumed")
                .with("source", self.name())),
        }
    }
}
