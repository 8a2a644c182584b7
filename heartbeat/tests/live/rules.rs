//! `heartbeat rules`

use serde_json::json;

use crate::World;

#[test]
fn the_rules_of_x_become_those_of_the_config() {
    let world = World::new([]);
    world.configure("[source.rules]\nCATS = 'cat OR kitten'\nDOGS = 'dog'\n");
    let plan = "- T\tcat\n+ CATS\tcat OR kitten\n+ DOGS\tdog\n";
    let dry = world.run(&["rules", "set", "--dry-run"]).good();
    assert_eq!(
        dry,
        format!("{plan}Would add 2 and remove 1, and keep 0.\n")
    );
    assert_eq!(world.run(&["rules", "list"]).good(), "T\tcat\n");

    let done = world.run(&["rules", "set"]).good();
    assert_eq!(done, format!("{plan}Added 2, removed 1, kept 0.\n"));
    assert_eq!(
        world.run(&["rules", "list"]).good(),
        "CATS\tcat OR kitten\nDOGS\tdog\n"
    );
    let again = world.run(&["rules", "set"]).good();
    assert_eq!(again, "Nothing to change: X has all 2 rules.\n");

    world.run(&["rules", "add", "BIRDS", "bird"]).good();
    world.run(&["rules", "add", "BIRDS", "bird"]).good();
    world.run(&["rules", "remove", "DOGS"]).good();
    let list = world.run(&["rules", "list", "--json"]).good();
    assert!(
        list.contains(r#""value":"bird","tag":"BIRDS""#) && list.lines().count() == 2,
        "{list}"
    );
    let ran = world.run(&["rules", "remove", "DOGS"]);
    assert!(
        ran.code == 2 && ran.err.contains("no rule of this task"),
        "{ran:?}"
    );
}

#[test]
fn a_rule_that_is_none_is_told_before_anything_changes() {
    let world = World::new([]);
    std::fs::write(
        world.path().join("rules.toml"),
        "CATS = 'cat'\nDOGS = '(dog'\n",
    )
    .unwrap();
    let ran = world.run(&["rules", "test", "rules.toml"]);
    assert_eq!(ran.code, 1);
    assert!(
        ran.out.starts_with("✓ CATS\tcat\n✗ DOGS\t(dog: ")
            && ran.out.contains("no viable alternative"),
        "{ran:?}"
    );

    world.configure("[source.rules]\nDOGS = '(dog'\n");
    for args in [
        &["rules", "set"][..],
        &["rules", "set", "--dry-run"],
        &["rules", "add", "D", "(d"],
    ] {
        let ran = world.run(args);
        assert!(
            ran.code == 2 && ran.err.contains("X does not take a rule"),
            "{ran:?}"
        );
    }
    assert_eq!(
        world.seen().rules,
        [json!({"id": "1", "value": "cat", "tag": "T"})]
    );

    world.configure("");
    let ran = world.run(&["rules", "set"]);
    assert!(
        ran.code == 2 && ran.err.contains("[source.rules]"),
        "{ran:?}"
    );
    std::fs::write(world.path().join("rules.toml"), "CATS = 7").unwrap();
    let ran = world.run(&["rules", "test", "rules.toml"]);
    assert!(ran.code == 2 && ran.err.contains("rules.toml"), "{ran:?}");
}
