//! Under which subject a topic's schemas stand.

use heartbeat_core::Topic;

/// What the name of a topic of dead letters ends with.
const DEAD: &str = ".dead";

/// The subject of a topic's values, by the registry's usual strategy (TopicNameStrategy):
/// `<topic>-value`. Dead letters are what was written to their topic, so they share its subject.
pub(super) fn subject(topic: &Topic) -> String {
    let mut name = topic.as_str();
    while let Some(living) = living(name) {
        name = living;
    }
    format!("{name}-value")
}

/// Whether these are dead letters of another topic.
pub(super) fn is_dead(topic: &Topic) -> bool {
    living(topic.as_str()).is_some()
}

fn living(name: &str) -> Option<&str> {
    name.strip_suffix(DEAD).filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dead_letters_share_the_subject_of_their_topic() {
        let ingest = Topic::new("ingest").unwrap();
        let dead = ingest.dead_letters();
        assert!(!is_dead(&ingest));
        assert!(is_dead(&dead));
        for (topic, name) in [
            (ingest, "ingest-value"),
            (dead.dead_letters(), "ingest-value"),
            (dead, "ingest-value"),
            (Topic::new(".dead").unwrap(), ".dead-value"),
            (Topic::new("dead").unwrap(), "dead-value"),
        ] {
            assert_eq!(subject(&topic), name);
        }
    }
}
