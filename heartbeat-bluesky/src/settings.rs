//! The settings of [`BlueskyConfig`], checked. Its words and languages are [`PostFilter`](crate::PostFilter)'s.

use heartbeat_core::{Error, Result, remote};
use jiff::Timestamp;
use tracing::warn;
use url::Url;

use crate::config::BlueskyConfig;

/// What is asked of Jetstream: posts, and none of the few records that are longer than any post can be.
const QUERY: [(&str, &str); 2] = [
    ("wantedCollections", "app.bsky.feed.post"),
    ("maxMessageSizeBytes", "1048576"),
];

const DEFAULT_PATH: &str = "/subscribe";
const PUBLIC: &str = "Leave `hosts` out for Bluesky's own servers.";

/// Times that can be meant: from 2017 on, as newer servers take smaller numbers for the numbers of messages, and as long as a tweet
/// can tell its second.
const TIMES: std::ops::Range<i64> = 1_500_000_000_000_000..(1 << 31) * 1_000_000;

/// What [`BlueskyConfig`] comes to.
#[derive(Debug)]
pub(crate) struct Settings {
    /// At least one.
    pub(crate) hosts: Vec<Host>,
    pub(crate) since: Option<i64>,
    pub(crate) until: Option<i64>,
    pub(crate) keep_raw: bool,
}

impl Settings {
    pub(crate) fn new(config: &BlueskyConfig) -> Result<Self> {
        let hosts = config.hosts.iter().enumerate();
        let hosts = hosts
            .map(|(index, text)| Host::new(text).map_err(|error| error.with("host", index + 1)))
            .collect::<Result<Vec<_>>>()?;
        if hosts.is_empty() {
            return Err(
                Error::misconfigured("there is no server of Jetstream to ask").hint(PUBLIC),
            );
        }
        for host in hosts.iter().filter(|host| host.is_open()) {
            warn!(
                url = %host.url,
                "Others on the way can change what Jetstream sends: the address is plain ws."
            );
        }
        let since = checked(config.since, "since")?;
        let until = checked(config.until, "until")?;
        if let (Some(since), Some(until)) = (config.since, config.until)
            && since >= until
        {
            return Err(Error::misconfigured(
                "`until` is not behind `since`, so there is nothing to read",
            )
            .with("since", since)
            .with("until", until)
            .hint("Give a later `until`, or leave it out to go on for ever."));
        }
        Ok(Self {
            hosts,
            since,
            until,
            keep_raw: config.keep_raw,
        })
    }
}

/// The time in microseconds, as Jetstream has it.
fn checked(time: Option<Timestamp>, name: &'static str) -> Result<Option<i64>> {
    match time.map(Timestamp::as_microsecond) {
        Some(micros) if !TIMES.contains(&micros) => {
            Err(Error::misconfigured("Jetstream has nothing of that time")
                .with(name, time.unwrap_or_default())
                .hint("Write it as `2026-02-25T18:00:00Z`."))
        }
        micros => Ok(micros),
    }
}

/// A server of Jetstream.
#[derive(Debug)]
pub(crate) struct Host {
    /// Without a query.
    pub(crate) url: Url,
    /// What positions know it by: its name, with port and path where they are not as usual.
    pub(crate) name: String,
}

impl Host {
    fn new(text: &str) -> Result<Self> {
        let wrong = |why: &str| {
            Error::misconfigured(format!("an address of Jetstream {why}")).hint(format!(
                "One is like `wss://jetstream1.us-east.bsky.network`. {PUBLIC}"
            ))
        };
        let mut url =
            Url::parse(text).map_err(|error| wrong("is not an address").caused_by(error))?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(wrong("holds a user or a password"));
        }
        if !matches!(url.scheme(), "wss" | "ws") {
            return Err(wrong("is neither wss nor ws"));
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(wrong("has more than a path after the host"));
        }
        if url.path() == "/" {
            url.set_path(DEFAULT_PATH);
        }
        let mut name = url.host_str().unwrap_or_default().to_owned();
        if let Some(port) = url.port() {
            name += &format!(":{port}");
        }
        if url.path() != DEFAULT_PATH {
            name += url.path();
        }
        Ok(Self { url, name })
    }

    pub(crate) fn is_tls(&self) -> bool {
        self.url.scheme() == "wss"
    }

    /// Whether others on the way can read and change what is sent.
    fn is_open(&self) -> bool {
        !self.is_tls() && !remote::is_this_machine(self.url.host_str().unwrap_or_default())
    }

    /// Its stream of posts, from a moment on or from now.
    pub(crate) fn stream(&self, cursor: Option<i64>) -> Url {
        let mut url = self.url.clone();
        let mut query = url.query_pairs_mut();
        query.extend_pairs(QUERY);
        if let Some(cursor) = cursor {
            query.append_pair("cursor", &cursor.to_string());
        }
        drop(query);
        url
    }
}

#[cfg(test)]
mod tests {
    use heartbeat_core::ErrorKind;

    use super::*;

    fn host(text: &str) -> Host {
        Host::new(text).unwrap()
    }

    fn moment(time_us: i64) -> Option<Timestamp> {
        Timestamp::from_microsecond(time_us).ok()
    }

    #[test]
    fn the_stream_of_a_host_is_asked_for_as_jetstream_has_it() {
        let usual = host("wss://a.test");
        assert_eq!(usual.name, "a.test");
        assert_eq!(
            usual.stream(Some(7)).as_str(),
            "wss://a.test/subscribe?wantedCollections=app.bsky.feed.post&maxMessageSizeBytes=1048576&cursor=7"
        );
        let other = host("ws://[::1]:80/path/x");
        assert_eq!(other.name, "[::1]/path/x");
        assert_eq!(
            other.stream(None).as_str(),
            "ws://[::1]/path/x?wantedCollections=app.bsky.feed.post&maxMessageSizeBytes=1048576"
        );
        assert_eq!(host("ws://a.test:8080/").name, "a.test:8080");
        for (url, is_open) in [
            ("ws://a.test", true),
            ("wss://a.test", false),
            ("ws://127.0.0.1:1", false),
            ("ws://localhost", false),
        ] {
            assert_eq!(host(url).is_open(), is_open, "{url}");
        }
    }

    #[test]
    fn what_cannot_work_is_said_with_what_to_do() {
        type Wrong = fn(&mut BlueskyConfig);
        let cases: [(Wrong, &str); 10] = [
            (|it| it.hosts.clear(), "no server"),
            (
                |it| it.hosts[1] = "a.test".into(),
                "not an address (host 2)",
            ),
            (|it| it.hosts[0] = "wss://".into(), "not an address"),
            (
                |it| it.hosts[0] = "https://a.test".into(),
                "neither wss nor ws",
            ),
            (
                |it| it.hosts[0] = "wss://u:s3cret@a.test".into(),
                "a password",
            ),
            (
                |it| it.hosts[0] = "wss://a.test?t=s3cret".into(),
                "more than a path",
            ),
            (
                |it| it.since = moment(1_725_911),
                "since 1970-01-01T00:00:01.725911Z",
            ),
            (
                |it| it.until = moment(-1_000_000),
                "until 1969-12-31T23:59:59Z",
            ),
            (|it| it.until = moment(TIMES.end), "nothing of that time"),
            (
                |it| (it.since, it.until) = (moment(TIMES.start), moment(TIMES.start)),
                "not behind",
            ),
        ];
        for (wrong, says) in cases {
            let mut config = BlueskyConfig::default();
            wrong(&mut config);
            let error = Settings::new(&config).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Misconfigured);
            assert!(error.to_string().contains(says), "{error}");
            assert!(error.advice().is_some(), "{error:?}");
            assert!(!format!("{error:?}").contains("s3cret"), "{error:?}");
        }
    }
}
