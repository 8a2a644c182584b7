//! [`Narrator`].

use std::fmt::{self, Display};
use std::io::Write;
use std::sync::{Arc, Mutex};

use anstyle::{AnsiColor, Style};
use heartbeat_core::{Envelope, Keyed, Payload, Record, Result, Sentiment, Topic, Tweet, TweetId};

use crate::lock::lock;
use crate::python;

/// Tells in one line each what goes into the bus, what comes out of it, and what is stored.
///
/// ```text
/// KAFKA ingest ADD 7868 = {'time': 1652073462, 'content': 'happy tree', 'task': 'RU-UKR'}
/// KAFKA ingest GET 7868 = {'time': 1652073462, 'content': 'happy tree', 'task': 'RU-UKR'}
/// KAFKA ingest GET EMPTY
/// DB ADD [7868, 'RU-UKR', 1652073462, 0.57, 0.43, 0.0]
/// ```
///
/// Clones are handles to the same sink. The lines are in the order in which it happened; a line
/// that the sink does not take is lost.
#[derive(Clone)]
pub struct Narrator {
    sink: Arc<Mutex<dyn Write + Send>>,
    colours: bool,
}

const BUS: Style = AnsiColor::Yellow.on_default();
const STORE: Style = AnsiColor::Magenta.on_default();
const ADD: Style = AnsiColor::Green.on_default();
const GET: Style = AnsiColor::Cyan.on_default();
const EMPTY: Style = Style::new().dimmed();

impl Narrator {
    /// Narrates to `sink`, with ANSI colours if `colours` says so: the caller knows whether it is a
    /// terminal, and whether its user wants them.
    pub fn new(sink: impl Write + Send + 'static, colours: bool) -> Self {
        Self {
            sink: Arc::new(Mutex::new(sink)),
            colours,
        }
    }

    pub(crate) fn added(&self, topic: &Topic, envelope: &Envelope) {
        self.tell(
            BUS,
            format_args!("KAFKA {topic}"),
            ADD,
            "ADD",
            &Entry(envelope),
        );
    }

    pub(crate) fn got(&self, topic: &Topic, envelope: &Envelope) {
        self.tell(
            BUS,
            format_args!("KAFKA {topic}"),
            GET,
            "GET",
            &Entry(envelope),
        );
    }

    pub(crate) fn got_nothing(&self, topic: &Topic) {
        self.tell(BUS, format_args!("KAFKA {topic}"), EMPTY, "GET", &"EMPTY");
    }

    pub(crate) fn stored(&self, point: &Keyed<Sentiment>) {
        self.tell(STORE, "DB", ADD, "ADD", &python::format_point(point));
    }

    fn tell(
        &self,
        style: Style,
        place: impl Display,
        verbs: Style,
        verb: &str,
        what: &dyn Display,
    ) {
        let mut sink = lock(&self.sink);
        // It is only for looking at: the work goes on without it.
        let _ = if self.colours {
            writeln!(
                sink,
                "{style}{place}{style:#} {verbs}{verb}{verbs:#} {what}"
            )
        } else {
            writeln!(sink, "{place} {verb} {what}")
        }
        .and_then(|()| sink.flush());
    }
}

impl fmt::Debug for Narrator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Narrator")
            .field("colours", &self.colours)
            .finish_non_exhaustive()
    }
}

/// A message as `key = value`.
struct Entry<'a>(&'a Envelope);

impl Display for Entry<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Envelope { key, payload, .. } = self.0;
        match TweetId::from_key(key) {
            Ok(id) => write!(f, "{id} = ")?,
            Err(_) => write!(f, "b'{}' = ", key.escape_ascii())?,
        }
        match record(payload) {
            Some(record) => f.write_str(&record),
            None if matches!(payload, Payload::Tombstone) => f.write_str("None"),
            None => write!(f, "<{} bytes>", payload.len()),
        }
    }
}

/// The record, when it is one of heartbeat's.
fn record(payload: &Payload) -> Option<String> {
    fn decode<T: Record>(payload: &Payload) -> Result<T> {
        match payload {
            Payload::Avro { schema, datum } => T::codec().decode(schema, datum),
            _ => Err(heartbeat_core::Error::invalid("not a datum")),
        }
    }
    let tweet = decode::<Tweet>(payload).map(|tweet| python::tweet(&tweet));
    tweet
        .or_else(|_| decode::<Sentiment>(payload).map(|it| python::sentiment(&it)))
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    /// A sink to look into.
    #[derive(Clone, Default)]
    struct Sink(Arc<Mutex<Vec<u8>>>);

    impl Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            lock(&self.0).write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    impl Sink {
        fn text(&self) -> String {
            String::from_utf8(lock(&self.0).clone()).expect("UTF-8")
        }
    }

    fn topic() -> Topic {
        Topic::new("ingest").expect("a name")
    }

    #[test]
    fn records_are_dicts_and_the_rest_is_told_apart() {
        let sink = Sink::default();
        let narrator = Narrator::new(sink.clone(), false);
        let id = TweetId(7868);
        let tweet = Keyed {
            id,
            value: Tweet {
                time: 1_652_073_462,
                content: "it's\nme".to_owned(),
                task: "RU-UKR".to_owned(),
            },
        };
        let sentiment = Keyed {
            id,
            value: Sentiment {
                time: 1_652_073_462,
                task: "RU-UKR".to_owned(),
                pos: 0.02,
                neu: 0.83,
                neg: 0.15,
            },
        };
        narrator.added(&topic(), &tweet.to_envelope().expect("a record"));
        narrator.got(&topic(), &sentiment.to_envelope().expect("a record"));
        narrator.got_nothing(&topic());
        narrator.stored(&sentiment);
        let raw = Payload::Raw {
            bytes: Bytes::from_static(b"\x1b!"),
            reason: String::new(),
        };
        narrator.got(&topic(), &Envelope::new(Bytes::from_static(b"\x1b'"), raw));
        let key = Bytes::copy_from_slice(&id.to_key());
        narrator.added(&topic(), &Envelope::new(key, Payload::Tombstone));
        assert_eq!(
            sink.text(),
            "\
KAFKA ingest ADD 7868 = {'time': 1652073462, 'content': \"it's\\nme\", 'task': 'RU-UKR'}
KAFKA ingest GET 7868 = {'time': 1652073462, 'task': 'RU-UKR', 'pos': 0.02, 'neu': 0.83, 'neg': 0.15}
KAFKA ingest GET EMPTY
DB ADD [7868, 'RU-UKR', 1652073462, 0.02, 0.83, 0.15]
KAFKA ingest GET b'\\x1b\\'' = <2 bytes>
KAFKA ingest ADD 7868 = None
"
        );
    }

    #[test]
    fn colours_come_only_when_asked_for() {
        for colours in [false, true] {
            let sink = Sink::default();
            Narrator::new(sink.clone(), colours).got_nothing(&topic());
            assert_eq!(sink.text().contains('\u{1b}'), colours);
        }
    }
}
