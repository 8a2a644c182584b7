//! [`TwitterSource`].

use std::sync::Arc;

use async_trait::async_trait;
use heartbeat_core::{Error, Inbox, Position, PostParser, Result, Source, SourceBatch};
use jiff::Timestamp;
use tracing::warn;

use crate::client::Client;
use crate::config::TwitterConfig;
use crate::intake::Intake;
use crate::meter::Meter;
use crate::rules;
use crate::settings::{Settings, token_of_environment};
use crate::stream::Reader;

/// So many messages may lie ready. When nobody takes them, X's connection fills up and is lost.
const READY: usize = 256;

/// The posts that X's filtered stream sends by the app's rules.
///
/// It stays connected by itself, and tells in the log when it is not and what may be missing. A post that comes twice, as
/// after a connection was lost, is given once. It cannot be resumed, and ends when a budget is spent.
#[derive(Debug)]
pub struct TwitterSource {
    config: TwitterConfig,
    client: Arc<Client>,
    parser: PostParser,
    /// None before it is resumed.
    inbox: Option<Inbox>,
}

impl TwitterSource {
    /// Looks whether the token is one and the app's rules are those of the config, unless X is away. The stream begins with
    /// [`resume`](Source::resume), and waits for X as X wants it.
    ///
    /// # Errors
    /// [`ErrorKind::Misconfigured`](heartbeat_core::ErrorKind::Misconfigured) when a setting cannot work or X does not let the
    /// app.
    pub async fn open(config: TwitterConfig) -> Result<Self> {
        let parser = PostParser::new(config.task.clone())?;
        let settings = Settings::new(&config, token_of_environment())?;
        Meter::open(&config.budget, Timestamp::now())?;
        let client = Client::connect(settings).await?;
        Self::over(client, config, parser).await
    }

    pub(crate) async fn over(
        client: Client,
        config: TwitterConfig,
        parser: PostParser,
    ) -> Result<Self> {
        match rules::compare(&client, &config).await {
            Ok(change) if !config.rules.is_empty() && !change.is_empty() => warn!(
                missing = change.add.len(),
                more = change.remove.len(),
                "X's rules are not those of the config: `heartbeat rules set` makes them equal."
            ),
            Ok(_) => {}
            Err(error) if error.is_retryable() => {
                warn!(
                    error = error.report(),
                    "X does not tell which rules it has."
                );
            }
            Err(error) => return Err(error),
        }
        Ok(Self {
            config,
            client: Arc::new(client),
            parser,
            inbox: None,
        })
    }
}

#[async_trait]
impl Source for TwitterSource {
    fn name(&self) -> &str {
        "twitter"
    }

    async fn resume(&mut self, _: Option<Position>) -> Result<()> {
        if self.inbox.is_some() {
            return Ok(());
        }
        let meter = Meter::open(&self.config.budget, Timestamp::now())?;
        let intake = Intake::new(self.parser.clone(), meter, self.config.keep_raw);
        let (client, minutes) = (self.client.clone(), self.config.backfill_minutes);
        self.inbox = Some(Inbox::start(READY, |messages| {
            Reader::new(client, intake, minutes, messages).run()
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
