//! `heartbeat topics`, and what is said when a topic is missing.

use std::num::NonZeroU16;

use heartbeat::Topic;
use heartbeat::kafka::{TopicAdmin, TopicPlan};
use serde_json::{Value, json};

use crate::{Place, json_lines, post};

#[test]
fn what_is_missing_is_made_and_nothing_is_made_twice() {
    let place = Place::new();
    let names = place.topics();
    let listed = |args: &[&str]| {
        let topics = json_lines(
            &place
                .run(&[&["topics", "list", "--json"], args].concat())
                .good(),
        );
        let there = topics.iter().filter(|topic| topic["exists"] == true);
        let name = |topic: &Value| topic["topic"].as_str().unwrap().to_owned();
        there.map(name).collect::<Vec<_>>()
    };
    assert!(listed(&[]).is_empty());
    let out = place.run(&["topics", "list"]).good();
    assert_eq!(out.matches(" missing\n").count(), 5, "{out}");

    let out = place.run(&["topics", "create", "--dry-run"]).good();
    assert_eq!(out.matches("would be made").count(), 5, "{out}");
    assert!(listed(&[]).is_empty());

    let out = place.run(&["topics", "create"]).good();
    assert!(out.ends_with("Made 5, 0 were there.\n"), "{out}");
    assert_eq!(listed(&[]), names);
    let again = place.run(&["topics", "create"]).good();
    assert_eq!(again.matches(": was there\n").count(), 5, "{again}");
    assert!(again.ends_with("Made 0, 5 were there.\n"), "{again}");

    let all = listed(&["--all"]);
    assert!(names.iter().all(|name| all.contains(name)), "{all:?}");
    assert!(all.is_sorted() && !all.iter().any(|name| name.starts_with("__")));

    let out = place.run(&["topics", "verify"]).good();
    assert_eq!(out.matches(": as planned\n").count(), 5, "{out}");
    let out = place.run(&["check"]).good();
    assert!(out.contains("are there and as planned"), "{out}");
}

#[test]
fn a_topic_is_as_the_flags_say_and_tells_how_it_differs_from_the_config() {
    let place = Place::new();
    let flags = ["--partitions", "1", "--retention", "12h"];
    let create = [&["topics", "create"], &flags[..]].concat();
    let out = place.run(&create).good();
    let ingest = place.topic("ingest");
    assert!(
        out.contains(&format!(
            "{ingest}: made, 1 partition, replication 1, keeps 12h"
        )),
        "{out}"
    );
    let out = place.run(&["topics", "list"]).good();
    let row: Vec<&str> = out.lines().nth(1).unwrap().split_whitespace().collect();
    assert_eq!(row, [&*ingest, "1", "1", "1", "delete", "12h"]);
    assert!(out.ends_with("compact  the last of each key\n"), "{out}");

    place
        .run(&[&["topics", "verify"], &flags[..]].concat())
        .good();
    let ran = place.run(&["topics", "verify"]);
    assert_eq!(ran.code, 1, "{ran:?}");
    for told in [
        "partitions is 1, not 2",
        "kafka-topics.sh --alter",
        "retention is 12h, not 7d",
        "--add-config retention.ms=604800000",
    ] {
        assert!(ran.out.contains(told), "{told}: {}", ran.out);
    }
    let ran = place.run(&["topics", "verify", "--json"]);
    assert_eq!(ran.code, 1, "{ran:?}");
    let verdicts = json_lines(&ran.out);
    assert_eq!(verdicts[0]["topic"], *ingest);
    assert_eq!(verdicts[0]["ok"], false);
    assert_eq!(
        verdicts[0]["differences"][0],
        json!({"what": "partitions", "is": "1", "wanted": "2"})
    );
    assert_eq!(verdicts[0]["found"]["retention_ms"], 43_200_000);
    assert_eq!(verdicts[4]["ok"], true);

    // It is not changed, and it can be worked with.
    let out = place.run(&["topics", "create"]).good();
    assert!(
        out.contains(&format!(
            "! {ingest}: was there, but not as planned: partitions is 1"
        )),
        "{out}"
    );
    let out = place.run(&["check"]).good();
    assert!(out.contains("are there, but not as planned: "), "{out}");
    assert!(out.contains("`heartbeat topics verify`"), "{out}");
}

#[test]
fn topics_that_could_not_be_used_are_not_made() {
    let place = Place::new();
    for (flags, told) in [
        (
            &["--min-insync-replicas", "2"][..],
            "min_insync_replicas 2, replication 1)",
        ),
        (&["--replication", "100"], "fewer brokers than replicas"),
        (
            &["--replication", "100", "--dry-run"],
            "fewer brokers than replicas",
        ),
        (&["--retention", "0s"], "for no time"),
        (&["--retention", "soon"], "not a duration"),
        (&["--partitions", "0"], "--partitions"),
    ] {
        let ran = place.run(&[&["topics", "create"], flags].concat());
        assert_eq!(ran.code, 2, "{flags:?}: {ran:?}");
        assert!(ran.err.contains(told), "{told}: {}", ran.err);
    }
    let out = place.run(&["topics", "list"]).good();
    assert_eq!(out.matches(" missing\n").count(), 5, "{out}");
}

#[test]
fn whoever_needs_a_topic_that_is_missing_says_how_to_make_it() {
    let place = Place::new();
    for args in [
        &["ingest"][..],
        &["run"],
        &["analyze", "--until-idle"],
        &["transfer", "--until-idle"],
        &["dead-letters", "list"],
        &["dead-letters", "replay", "--all"],
    ] {
        let ran = place.run(args);
        assert_eq!(ran.code, 2, "{args:?}: {ran:?}");
        assert!(ran.err.contains("the topic is missing"), "{}", ran.err);
        assert!(ran.err.contains(&place.name), "{}", ran.err);
        assert!(ran.err.contains("`heartbeat topics create`"), "{}", ran.err);
    }
    let ran = place.run(&["topics", "verify"]);
    assert_eq!(ran.code, 1, "{ran:?}");
    assert_eq!(ran.out.matches("Run `heartbeat topics create`.").count(), 5);
    let ran = place.run(&["check"]);
    assert_eq!(ran.code, 1, "{ran:?}");
    let line = ran.out.lines().find(|line| line.starts_with("✗ topics"));
    let line = line.unwrap_or_else(|| panic!("{}", ran.out));
    assert!(line.contains("`heartbeat topics create`"), "{line}");
}

#[test]
fn posts_are_not_published_where_their_source_has_no_place_for_its_position() {
    let place = Place::new();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let config = place.config();
    let ingest = Topic::new(&place.topic("ingest")).unwrap();
    let make = |plan: TopicPlan| {
        let config = config.clone();
        runtime.block_on(async {
            let admin = TopicAdmin::connect(config).await.unwrap();
            assert_eq!(admin.create(&[plan]).await.unwrap().len(), 1);
        });
    };
    make(TopicPlan::new(&config.topics, &ingest));
    std::fs::write(place.path().join("posts.jsonl"), post(1, Some("a"))).unwrap();
    let args = ["ingest", "--source", "jsonl:posts.jsonl"];
    let ran = place.run(&args);
    assert_eq!(ran.code, 2, "{ran:?}");
    assert!(ran.err.contains(&place.topic("positions")), "{}", ran.err);
    assert!(ran.err.contains("`heartbeat topics create`"), "{}", ran.err);

    // More partitions than one do no harm.
    let positions = TopicPlan::of_positions(&config.topics).unwrap();
    make(TopicPlan {
        partitions: NonZeroU16::new(7).unwrap(),
        ..positions
    });
    let out = place.run(&args).good();
    assert!(out.starts_with("read 1, published 1,"), "{out}");
    let again = place.run(&args).good();
    assert!(again.starts_with("read 0, published 0,"), "{again}");
}

#[test]
fn another_bus_has_no_topics_to_make_and_no_registry() {
    let place = Place::new();
    for bus in ["sqlite:heartbeat.db", "memory"] {
        for command in ["list", "create", "verify"] {
            let ran = place.run(&["topics", command, "--bus", bus]);
            assert_eq!(ran.code, 2, "{ran:?}");
            assert!(
                ran.err.contains("makes its topics by itself"),
                "{}",
                ran.err
            );
            assert!(ran.err.contains("--bus kafka:HOST:PORT"), "{}", ran.err);
        }
        let ran = place.run(&["run", "--bus", bus, "--registry", "http://localhost:1"]);
        assert_eq!(ran.code, 2, "{ran:?}");
        assert!(
            ran.err.contains("--registry is for a Kafka bus"),
            "{}",
            ran.err
        );
    }
    assert!(!place.path().join("heartbeat.db").exists());
}

#[test]
fn flags_go_before_the_config() {
    let place = Place::with_topics();
    let brokers = testbed::shared_brokers().unwrap();
    let file = place.path().join("heartbeat.toml");
    let config = std::fs::read_to_string(&file).unwrap();
    let registry = testbed::shared_registry().unwrap();
    let wrong = config
        .replace(&brokers, "localhost:1")
        .replace(&registry, "http://localhost:1");
    std::fs::write(&file, wrong).unwrap();
    let bus = format!("kafka:{brokers}");
    let out = place
        .run(&["check", "--json", "--bus", &bus, "--registry", &registry])
        .good();
    let found = json_lines(&out);
    assert_eq!(found[2]["what"], *bus);
    assert_eq!(
        (&found[3]["part"], &found[3]["ok"]),
        (&json!("topics"), &json!(true))
    );
}
