//! What a user sees when something is wrong.

use std::io::{Read, Write};
use std::net::TcpListener;

use crate::world::{World, ended};

/// A server that answers each request by the same page, for as long as the tests run.
fn page(status: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let _ = stream.read(&mut [0; 4096]);
            let body = "<html><h1>Welcome to the proxy</h1></html>";
            let length = body.len();
            let _ = write!(
                stream,
                "HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
            );
        }
    });
    url
}

#[test]
fn what_is_wrong_is_said_with_what_to_do_and_ends_the_stage() {
    let world = World::new().set_up();
    let elsewhere = |url: &str| format!("influx:{url}");
    let (ok, sorry) = (
        elsewhere(&page("200 OK")),
        elsewhere(&page("404 Not Found")),
    );
    for (variable, value, says) in [
        (
            "HEARTBEAT_INFLUX_TOKEN",
            "wrong",
            "does not accept the access token",
        ),
        ("HEARTBEAT_INFLUX_TOKEN", "", "there is no access token"),
        (
            "HEARTBEAT_INFLUX_TOKEN",
            "two words",
            "should be an access token",
        ),
        (
            "HEARTBEAT_INFLUX_BUCKET",
            "nobody",
            "no bucket of this name",
        ),
        (
            "HEARTBEAT_INFLUX_ORG",
            "nobody",
            "no organization of this name",
        ),
        ("HEARTBEAT_STORE", &ok, "does not answer as InfluxDB does"),
        (
            "HEARTBEAT_STORE",
            &sorry,
            "does not answer as InfluxDB does",
        ),
        (
            "HEARTBEAT_STORE",
            "influx:localhost:8086",
            "neither https nor http",
        ),
        (
            "HEARTBEAT_STORE",
            "influx:http://me:wrong@localhost:8086",
            "a user or a password",
        ),
    ] {
        for command in [&["dump"][..], &["transfer", "--until-idle"]] {
            let ran = ended(world.command(command).env(variable, value));
            assert_eq!(ran.code, 2, "{variable}={value}: {ran:?}");
            assert!(ran.err.contains(says), "{variable}={value}: {ran:?}");
            assert!(!ran.err.contains("me:wrong"), "{ran:?}");
        }
        let check = ended(world.command(&["check"]).env(variable, value));
        assert_eq!(check.code, 1, "{variable}={value}: {check:?}");
        assert!(
            check.out.contains(says) || check.err.contains(says),
            "{variable}={value}: {check:?}"
        );
    }
}

#[test]
fn a_server_that_is_away_is_told_of_and_waited_for() {
    let nobody = TcpListener::bind("127.0.0.1:0")
        .expect("a port")
        .local_addr()
        .expect("an address");
    let world = World::at(format!("http://{nobody}"));
    let dump = world.run(&["dump"]);
    assert_eq!(dump.code, 1);
    assert!(
        dump.err.contains("cannot be reached") && dump.err.contains("Check that InfluxDB runs"),
        "{dump:?}"
    );

    let log = world.path().join("log");
    let mut transfer = world
        .command(&["transfer"])
        .stderr(std::fs::File::create(&log).expect("a log"))
        .spawn()
        .expect("it starts");
    let logged = || std::fs::read_to_string(&log).expect("a log");
    let started = std::time::Instant::now();
    while logged().matches("Trying again").count() < 3 {
        assert!(started.elapsed().as_secs() < 20, "{}", logged());
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    assert!(
        transfer.try_wait().expect("a status").is_none(),
        "{}",
        logged()
    );
    let told = std::process::Command::new("kill")
        .args(["-TERM", &transfer.id().to_string()])
        .status();
    assert!(told.expect("kill runs").success());
    assert!(transfer.wait().expect("a status").success(), "{}", logged());
    assert!(logged().contains("open the store"), "{}", logged());
}
