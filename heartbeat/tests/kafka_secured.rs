//! The program on a broker that asks who it is: what a user reads when it does not get in.
#![expect(clippy::unwrap_used, reason = "a test may stop where it stands")]

mod common;

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::Path;
use std::process::Stdio;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use common::{Ran, command, heartbeat};
use tempfile::TempDir;
use testbed::{GUEST, Kafka, KafkaOptions, Listener, Security, USER, User};

/// The longest that anybody waits to be told.
const LONGEST: Duration = Duration::from_secs(15);

/// It dies with this process.
static KAFKA: LazyLock<Kafka> = LazyLock::new(|| {
    Kafka::start(&KafkaOptions {
        security: Security::Secured,
        ..KafkaOptions::default()
    })
    .unwrap()
});

const WRONG: User = User {
    name: USER.name,
    password: "hunter2",
};

/// A folder with a config and a file with a password.
struct Place(TempDir);

impl Place {
    /// By SCRAM over TLS, with topics that nobody else has.
    fn new(brokers: &str, ca_file: &Path, user: User) -> Self {
        let dir = tempfile::Builder::new()
            .prefix("heartbeat-test-")
            .tempdir()
            .unwrap();
        let name = dir.path().file_name().unwrap().to_str().unwrap();
        let config = format!(
            r#"
            [bus]
            kind = "kafka"
            brokers = "{brokers}"
            registry = "{registry}"
            tls = true
            ca_file = "{ca_file}"
            username = "{user}"
            password_file = "password"

            [bus.topics]
            partitions = 1

            [stages]
            ingest_topic = "{name}.ingest"
            sentiment_topic = "{name}.sentiment"
            group = "{name}"
            "#,
            registry = testbed::shared_registry().unwrap(),
            ca_file = ca_file.display(),
            user = user.name,
        );
        fs::write(dir.path().join("heartbeat.toml"), config).unwrap();
        fs::write(dir.path().join("password"), user.password).unwrap();
        Self(dir)
    }

    /// At the broker of these tests.
    fn of(user: User) -> Self {
        let brokers = KAFKA.bootstrap_of(Listener::SaslSsl).unwrap();
        Self::new(&brokers, &KAFKA.certificates().unwrap().ca, user)
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    /// Runs it, and sees that it ends in time and tells no password.
    fn run(&self, args: &[&str]) -> Ran {
        let began = Instant::now();
        let ran = heartbeat(self.path(), args, b"");
        let took = began.elapsed();
        assert!(took < LONGEST, "{args:?}: {took:?}");
        for user in [USER, GUEST, WRONG] {
            assert!(!format!("{ran:?}").contains(user.password), "{ran:?}");
        }
        ran
    }

    /// What `heartbeat check` says of a part that is wrong.
    fn check(&self, part: &str) -> String {
        let ran = self.run(&["check"]);
        assert_eq!(ran.code, 1, "{ran:?}");
        let mut lines = ran.out.lines();
        let line = lines.find(|line| line.starts_with(&format!("✗ {part}")));
        line.unwrap_or_else(|| panic!("{ran:?}")).to_owned()
    }

    /// What ends `heartbeat analyze`.
    fn analyze(&self) -> String {
        let ran = self.run(&["analyze"]);
        assert_eq!(ran.code, 2, "{ran:?}");
        let mut lines = ran.err.lines();
        let line = lines.find(|line| line.starts_with("heartbeat: error: "));
        line.unwrap_or_else(|| panic!("{ran:?}")).to_owned()
    }
}

#[track_caller]
fn says(told: &str, words: &[&str]) {
    for words in words {
        assert!(told.contains(words), "{words}: {told}");
    }
}

#[test]
fn who_signs_in_gets_posts_through() {
    let place = Place::of(USER);
    place.run(&["topics", "create"]).good();
    place.run(&["check"]).good();
    let post = r#"{"id":"1","text":"I love it","created_at":1652073462,"task":"a"}"#;
    fs::write(place.path().join("posts.jsonl"), post).unwrap();
    let out = place
        .run(&["run", "--source", "jsonl:posts.jsonl", "--until-idle"])
        .good();
    assert!(out.contains("stored 1"), "{out}");
}

#[test]
fn the_password_in_the_environment_goes_before_the_files() {
    let place = Place::of(WRONG);
    let listing = ["topics", "list"];
    assert_eq!(place.run(&listing).code, 2);
    let listed = command(place.path(), &listing)
        .env("HEARTBEAT_KAFKA_PASSWORD", USER.password)
        .output()
        .unwrap();
    assert!(listed.status.success(), "{listed:?}");
}

#[test]
fn a_wrong_password() {
    let place = Place::of(WRONG);
    let words = [
        "the broker refuses the credentials (broker sasl_ssl://",
        "invalid credentials with SASL mechanism SCRAM-SHA-512",
        "HEARTBEAT_KAFKA_PASSWORD or `password_file`",
    ];
    says(&place.check("bus"), &words);
    says(&place.check("topics"), &words);
    says(&place.analyze(), &words);
}

#[test]
fn the_certificates_of_another_authority() {
    let brokers = KAFKA.bootstrap_of(Listener::SaslSsl).unwrap();
    let place = Place::new(&brokers, &KAFKA.certificates().unwrap().wrong_ca, USER);
    let words = [
        "the broker's certificate is not trusted (broker sasl_ssl://",
        "certificate verify failed",
        "Set `ca_file`",
    ];
    says(&place.check("bus"), &words);
    says(&place.analyze(), &words);
    let err = place.run(&["check"]).err;
    assert!(!err.contains("ssl.ca.location"), "{err}");
}

#[test]
fn a_topic_that_is_missing() {
    let place = Place::of(USER);
    let words = [
        "the topic is missing (topic heartbeat-test-",
        "`heartbeat topics create`",
    ];
    says(&place.check("topics"), &words);
    says(&place.analyze(), &words);
}

#[test]
fn a_topic_that_the_user_may_not_use() {
    let place = Place::of(GUEST);
    let words = [
        "this user may not use the topic (topic heartbeat-test-",
        "Topic authorization failed",
        "Let who runs the brokers allow it",
    ];
    says(&place.check("bus"), &words);
    says(&place.check("topics"), &words);
    says(&place.analyze(), &words);
}

/// The broker may come, so a stage may wait for it; but it says so in time.
#[test]
fn a_broker_that_is_away() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let closed = TcpListener::bind("127.0.0.1:0").unwrap();
    let [silent_at, closed_at] = [&silent, &closed].map(|it| it.local_addr().unwrap().to_string());
    drop(closed);
    let ca = &KAFKA.certificates().unwrap().ca;
    for (brokers, why) in [(silent_at, "timed out"), (closed_at, "Connection refused")] {
        let words = [
            "no broker can be reached (broker sasl_ssl://",
            why,
            "Check the address",
        ];
        let place = Place::new(&brokers, ca, USER);
        says(&place.check("bus"), &words);

        let began = Instant::now();
        let mut stage = command(place.path(), &["analyze"]);
        let mut stage = stage.stderr(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(stage.stderr.take().unwrap()).lines();
        let mut lines = lines.map(Result::unwrap);
        let line = lines.find(|line| line.contains("no broker can be reached"));
        let took = began.elapsed();
        stage.kill().unwrap();
        stage.wait().unwrap();
        assert!(took < LONGEST, "{took:?}");
        says(&line.unwrap(), &words);
    }
}
