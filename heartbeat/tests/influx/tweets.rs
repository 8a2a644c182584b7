//! The main job into InfluxDB.

use crate::lines;
use crate::world::World;

#[test]
fn the_tweets_are_stored_once_however_often_and_as_sqlite_has_them() {
    let world = World::new().set_up();
    let tweets = lines::lines();
    assert_eq!(tweets.lines().count(), 4200);
    std::fs::write(world.path().join("tweets.jsonl"), tweets).expect("written");
    let run = [
        "run",
        "--source",
        "jsonl:tweets.jsonl",
        "--from-start",
        "--until-idle",
        "--json",
    ];
    for _ in 0..3 {
        let done: serde_json::Value = serde_json::from_str(&world.run(&run).good()).expect("JSON");
        assert_eq!(
            (done["stored"].as_u64(), done["dead_letters"].as_u64()),
            (Some(4200), Some(0)),
            "{done}"
        );
    }
    let sqlite = ["--store", "sqlite:other.db", "--bus", "memory"];
    world.run(&[&run[..], &sqlite].concat()).good();

    let points = world.run(&["dump", "--json"]).good();
    assert_eq!(points.lines().count(), 4200);
    assert!(
        points
            == world
                .run(&["dump", "--json", "--store", "sqlite:other.db"])
                .good(),
        "they differ"
    );

    // Sums are made in another order, so that their last digits may differ.
    let windows = |args: &[&str]| -> Vec<(String, f64)> {
        let args = [&["dump", "--json", "--every", "10m"], args].concat();
        let dump = world.run(&args).good();
        let parse = |line: &str| -> (String, f64) {
            let mut window: serde_json::Value = serde_json::from_str(line).expect("JSON");
            let shares =
                ["pos", "neu", "neg"].map(|name| window[name].take().as_f64().expect("a number"));
            (
                window.to_string(),
                shares[0] + 10.0 * shares[1] + 100.0 * shares[2],
            )
        };
        dump.lines().map(parse).collect()
    };
    let (ours, theirs) = (windows(&[]), windows(&["--store", "sqlite:other.db"]));
    assert_eq!(ours.len(), theirs.len());
    for (ours, theirs) in ours.iter().zip(&theirs) {
        assert_eq!(ours.0, theirs.0);
        assert!((ours.1 - theirs.1).abs() < 1e-6, "{ours:?} {theirs:?}");
    }
}

#[test]
fn what_influxdb_refuses_is_a_dead_letter_with_its_own_words() {
    let world = World::new();
    world.run(&["influx", "setup", "--retention", "1d"]).good();
    // Half of them are of 2014, the others of today.
    let now = std::time::SystemTime::UNIX_EPOCH
        .elapsed()
        .expect("a time")
        .as_secs();
    let line = |id: u64| {
        let time = if id.is_multiple_of(2) {
            now - id
        } else {
            1_401_580_800 + id
        };
        format!("{{\"id\":\"{id}\",\"text\":\"good\",\"created_at\":{time},\"task\":\"t\"}}\n")
    };
    std::fs::write(
        world.path().join("tweets.jsonl"),
        (1..=40).map(line).collect::<String>(),
    )
    .expect("written");
    let run = [
        "run",
        "--source",
        "jsonl:tweets.jsonl",
        "--until-idle",
        "--json",
    ];
    let done: serde_json::Value = serde_json::from_str(&world.run(&run).good()).expect("JSON");
    assert_eq!(
        (done["stored"].as_u64(), done["dead_letters"].as_u64()),
        (Some(20), Some(20)),
        "{done}"
    );
    assert_eq!(world.run(&["dump"]).good().lines().count(), 20);
    let letters = world.run(&["dead-letters", "list", "--json"]).good();
    assert_eq!(letters.lines().count(), 20);
    assert!(
        letters
            .lines()
            .all(|letter| letter.contains("retention policy")),
        "{letters}"
    );
}
