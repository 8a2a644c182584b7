//! The notebook heartbeat grew out of, in three services wired by hand on the broker in memory: fake tweets are
//! ingested, analyzed and transferred, each step narrated, and the database is printed at the end.
//!
//! ```sh
//! cargo run --example notebook
//! cargo run --features torch --example notebook -- --model small
//! ```
//!
//! Without `--model` VADER scores them; with it a RoBERTa model: `small`, the one that ships, a folder, or an id on the
//! Hub. The notebook's own is `cardiffnlp/twitter-roberta-base-sentiment-latest`.
#![allow(clippy::print_stdout, reason = "it shows what it does")]

use std::io::IsTerminal;
use std::sync::Arc;
use std::time::Duration;

use heartbeat::config::Config;
use heartbeat::mock::{
    FakeConfig, FakeSource, Ids, MemoryBus, MemoryStore, Narrator, format_point,
};
use heartbeat::{
    Analyzer, Error, Idle, Keyed, Page, Query, Result, Sentiment, Stage, StageOptions, Store,
    backend,
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let colours = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let analyzer = analyzer(std::env::args().skip(1)).await?;
    let points = notebook(analyzer, Narrator::new(std::io::stdout(), colours)).await?;
    for (index, point) in points.iter().enumerate() {
        println!("{index}) {}", format_point(point));
    }
    Ok(())
}

/// Opens the analyzer that the command line asks for.
async fn analyzer(mut args: impl Iterator<Item = String>) -> Result<Arc<dyn Analyzer>> {
    let mut config = Config::default();
    match (args.next().as_deref(), args.next()) {
        (None, _) => {}
        (Some("--model"), Some(model)) => config.set_analyzer(&format!("roberta:{model}"))?,
        _ => {
            return Err(Error::misconfigured("no such option")
                .hint("Usage: notebook [--model small|FOLDER|OWNER/NAME]"));
        }
    }
    backend::open_analyzer(config.analyzer()?).await
}

/// Runs the three services side by side until they are idle, and reads the database.
async fn notebook(
    analyzer: Arc<dyn Analyzer>,
    narrator: Narrator,
) -> Result<Vec<Keyed<Sentiment>>> {
    let bus = MemoryBus::default().narrated(narrator.clone());
    let store = MemoryStore::new().narrated(narrator);
    let mut twitter = FakeSource::new(FakeConfig {
        seed: Some(7868),
        count: Some(5),
        rate: 20.0,
        ids: Ids::Short,
        ..FakeConfig::default()
    })?;

    let ingest = StageOptions::new(Stage::Ingest);
    let mut analyze = StageOptions::new(Stage::Analyze);
    analyze.wait = Duration::from_millis(100);
    analyze.idle = Idle::AfterEmptyPolls(3);
    let mut transfer = StageOptions::new(Stage::Transfer);
    transfer.wait = Duration::from_millis(50);
    transfer.idle = Idle::AfterEmptyPolls(10);

    tokio::try_join!(
        heartbeat::ingest(&mut twitter, &bus, &ingest),
        heartbeat::analyze(&bus, analyzer, &analyze),
        heartbeat::transfer(&bus, Arc::new(store.clone()), &transfer),
    )?;
    store.read(&Query::default(), &Page::first(100)).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::sync::Mutex;

    #[derive(Clone, Default)]
    struct Heard(Arc<Mutex<Vec<u8>>>);

    impl Write for Heard {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[tokio::test]
    async fn five_tweets_go_all_the_way() {
        assert_five_tweets_go_all_the_way(&[]).await;
    }

    #[cfg(feature = "torch")]
    #[tokio::test]
    async fn five_tweets_go_all_the_way_through_a_transformer() {
        assert_five_tweets_go_all_the_way(&["--model", "small"]).await;
    }

    #[cfg(not(feature = "torch"))]
    #[tokio::test]
    async fn a_build_without_transformers_says_how_to_get_them() {
        let refused = opened(&["--model", "small"]).await.unwrap_err();
        assert!(refused.report().contains("--features torch"), "{refused:?}");
    }

    async fn opened(args: &[&str]) -> Result<Arc<dyn Analyzer>> {
        analyzer(args.iter().map(|&arg| arg.to_owned())).await
    }

    async fn assert_five_tweets_go_all_the_way(args: &[&str]) {
        let heard = Heard::default();
        let analyzer = opened(args).await.unwrap();
        let narrator = Narrator::new(heard.clone(), false);
        let points = notebook(analyzer, narrator).await.unwrap();
        assert_eq!(points.len(), 5);
        let heard = String::from_utf8(heard.0.lock().unwrap().clone()).unwrap();
        for point in &points {
            for told in [
                format!("KAFKA ingest ADD {} = {{'time'", point.id),
                format!("KAFKA ingest GET {} = {{'time'", point.id),
                format!("KAFKA sentiment ADD {} = {{'time'", point.id),
                format!("KAFKA sentiment GET {} = {{'time'", point.id),
                format!("DB ADD {}", format_point(point)),
            ] {
                assert!(heard.contains(&told), "{told:?} is not in\n{heard}");
            }
        }
        assert!(heard.contains("KAFKA sentiment GET EMPTY"));
    }
}
