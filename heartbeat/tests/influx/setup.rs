//! `heartbeat influx` and `heartbeat check`.

use testbed::INFLUX_TOKEN;

use crate::common;
use crate::world::{World, ended};

#[test]
fn set_up_makes_what_is_missing_and_changes_nothing_after_that() {
    let world = World::new();
    let check = world.run(&["check"]);
    assert_eq!(check.code, 1);
    assert!(check.out.contains("`heartbeat influx setup`"), "{check:?}");

    let setup = ["influx", "setup", "--retention", "30d"];
    let tried = world.run(&[&setup[..], &["--dry-run"]].concat()).good();
    assert!(
        tried.contains("would be created: it keeps points for 30d"),
        "{tried}"
    );
    assert!(tried.contains("dashboard would be installed"), "{tried}");
    assert_eq!(world.run(&["check"]).code, 1);

    let made = world.run(&setup).good();
    assert!(
        made.contains("is created") && made.contains("dashboard is installed"),
        "{made}"
    );
    for _ in 0..2 {
        let again = world.run(&setup).good();
        assert!(
            again.contains("is there: it keeps points for 30d.\n"),
            "{again}"
        );
        assert!(again.contains("The dashboard is there."), "{again}");
    }
    let other = world.run(&["influx", "setup", "--retention", "7d"]).good();
    assert!(
        other.contains("for 30d, not for 7d: it is left as it is"),
        "{other}"
    );

    let check = world.run(&["check"]).good();
    assert!(
        check.contains("keeps points for 30d; has a dashboard"),
        "{check}"
    );
}

#[test]
fn a_template_needs_no_server_and_no_token() {
    let dir = tempfile::tempdir().expect("a folder");
    let args = [
        "influx",
        "template",
        "--store",
        "influx:http://nowhere.invalid",
        "--bucket",
        "mine",
    ];
    let template = common::heartbeat(dir.path(), &args, b"").good();
    let template: serde_json::Value = serde_json::from_str(&template).expect("JSON");
    assert_eq!(template[0]["kind"], "Dashboard");
    assert_eq!(template[0]["spec"]["name"], "heartbeat: mine");
}

#[test]
fn a_token_comes_from_a_file_and_the_rest_from_the_config() {
    let world = World::new().set_up();
    std::fs::write(world.path().join("token"), format!("{INFLUX_TOKEN}\n")).expect("written");
    let config = format!(
        "[store]\nkind = 'influx'\nurl = '{}'\nbucket = '{}'\nmeasurement = 'moods'\ntoken_file = 'token'\n\
         timeout = '5s'\nbatch = 1000\n",
        world.url, world.bucket
    );
    std::fs::write(world.path().join("heartbeat.toml"), config).expect("written");
    let plain = |args: &[&str]| ended(&mut common::command(world.path(), args)).good();
    plain(&[
        "run",
        "--seed",
        "1",
        "--count",
        "50",
        "--rate",
        "0",
        "--until-idle",
    ]);
    assert_eq!(plain(&["dump"]).lines().count(), 50);
    // Another measurement of the same bucket is another store.
    assert_eq!(world.run(&["dump", "--config", "/dev/null"]).good(), "");
}
