//! Posts come in.

use crate::server::{Answer, Step, TOKEN, posts, refusal, send, wait};
use crate::{World, common};

#[test]
fn posts_go_all_the_way_until_the_budget_is_spent() {
    let world = World::new([
        Answer::Stream(vec![posts(1..=30), send("<html>\r\n"), Step::Break]),
        Answer::Gzip(vec![posts(25..=60), wait(1000.0)]),
    ]);
    world.configure("[source.budget]\nday = 51\n");
    let ran = world.run(&["run", "--until-idle"]);
    assert!(
        ran.err.contains("95 % of the posts of the day are spent"),
        "{ran:?}"
    );
    assert!(
        ran.err.contains("posts of the time between may be missing"),
        "{ran:?}"
    );
    assert!(ran.good().contains("stored 50, 1 dead letter"));
    let dump = world.run(&["dump", "--json"]).good();
    assert_eq!(dump.lines().count(), 50);
    let letters = world.run(&["dead-letters", "list"]).good();
    assert!(
        letters.contains("line 31") && letters.contains("not JSON"),
        "{letters}"
    );

    // Nothing is asked of X until tomorrow.
    let again = world.run(&["run", "--until-idle", "--json"]).good();
    assert!(again.contains(r#""read":0"#), "{again}");
    assert_eq!(world.seen().connections.len(), 2);
}

#[test]
fn what_is_wrong_is_said_with_what_to_do() {
    let world = World::new([refusal(
        403,
        r#"{"title":"Client Forbidden","reason":"client-not-enrolled"}"#,
    )]);
    let ran = world.run(&["ingest"]);
    assert!(
        ran.code == 2 && ran.err.contains("--source bluesky"),
        "{ran:?}"
    );
    let ran = world.run(&["check"]);
    assert!(ran.out.contains("answers; it has 1 rules"), "{ran:?}");
    world.configure("[source.rules]\nT = 'dog'\n");
    let ran = world.run(&["check"]);
    assert!(ran.out.contains("not those of the config"), "{ran:?}");
    world.configure("");

    let ran = common::ended(&mut common::command(world.path(), &["run"]));
    assert!(
        ran.code == 2 && ran.err.contains("HEARTBEAT_TWITTER_TOKEN"),
        "{ran:?}"
    );
    let mut wrong = world.command(&["run"]);
    let ran = common::ended(wrong.env("HEARTBEAT_TWITTER_TOKEN", "s3cret-and-wrong"));
    assert!(
        ran.code == 2 && ran.err.contains("does not accept the access token"),
        "{ran:?}"
    );
    assert!(!ran.err.contains("s3cret"), "{ran:?}");

    let ran = world.run(&["run", "--source", "twitter:x"]);
    assert!(
        ran.code == 2 && ran.err.contains("takes nothing behind a colon"),
        "{ran:?}"
    );
    assert!(!TOKEN.is_empty());
}
