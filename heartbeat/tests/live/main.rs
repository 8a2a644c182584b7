//! The program on live sources, which local servers play.
#![expect(clippy::unwrap_used, reason = "a test may stop where it stands")]

mod bluesky;
#[path = "../common/mod.rs"]
mod common;
#[allow(dead_code, reason = "the tests of the source use more of it")]
#[path = "../../../heartbeat-bluesky/tests/it/server.rs"]
mod jetstream;
mod record;
mod rules;
mod run;
#[allow(dead_code, reason = "the tests of the source use more of it")]
#[path = "../../../heartbeat-twitter/tests/it/server.rs"]
mod server;

use std::ops::Deref;
use std::path::Path;
use std::process::Command;

use tokio::net::TcpListener;
use tokio::runtime::Runtime;

use common::Ran;
use server::{Answer, Double, TOKEN};

/// A folder to run the program in, and a server that plays X.
struct World {
    double: Double,
    url: String,
    /// It serves for as long as this is there.
    _runtime: Runtime,
}

impl Deref for World {
    type Target = Double;

    fn deref(&self) -> &Double {
        &self.double
    }
}

impl World {
    fn new(answers: impl IntoIterator<Item = Answer>) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let double = Double::new(answers);
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let router = double.router.clone();
        runtime.spawn(async move { axum::serve(listener, router).await });
        let world = Self {
            double,
            url,
            _runtime: runtime,
        };
        world.configure("");
        world
    }

    fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Writes the config, with more of `[source]` in it.
    fn configure(&self, more: &str) {
        let text = format!(
            "[source]\nkind = 'twitter'\nbase_url = '{}'\n{more}",
            self.url
        );
        std::fs::write(self.path().join("heartbeat.toml"), text).unwrap();
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = common::command(self.path(), args);
        command.env("HEARTBEAT_TWITTER_TOKEN", TOKEN);
        command
    }

    /// Runs it to its end. Whatever it says, it never says the token.
    #[track_caller]
    fn run(&self, args: &[&str]) -> Ran {
        let ran = common::ended(&mut self.command(args));
        assert!(
            !ran.out.contains(TOKEN) && !ran.err.contains(TOKEN),
            "{ran:?}"
        );
        ran
    }
}
