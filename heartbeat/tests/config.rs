//! What a config file and addresses say, and what is said of wrong ones.

use std::path::Path;
use std::time::Duration;

use heartbeat::config::{AnalyzerConfig, BusConfig, Config, SourceConfig, StoreConfig};
use heartbeat::{ErrorKind, Stage};

#[test]
fn every_table_and_field_may_be_left_out() {
    for text in [
        "",
        "[source]\n[bus]\n[analyzer]\n[store]\n[stages]",
        "[source]\nkind = 'jsonl'",
        "[bus]\nkind = 'memory'\n[store]\nkind = 'memory'",
    ] {
        let config = Config::parse(text).unwrap();
        config.source().unwrap();
        config.bus().unwrap();
        config.analyzer().unwrap();
        config.store().unwrap();
        for stage in Stage::ALL {
            config.stages.options(stage).unwrap();
        }
    }
}

#[test]
fn tables_hold_the_backends_own_fields() {
    let config = Config::parse(
        r#"
        [source]
        kind = "jsonl"
        path = "posts.jsonl.gz"
        task = "RU-UKR"

        [bus]
        path = "bus.db"
        lease = "2 seconds"

        [analyzer]
        kind = "vader"

        [store]
        kind = "sqlite"
        path = "moods.db"

        [stages]
        group = "night"
        batch = 50
        linger = "20ms"
        "#,
    )
    .unwrap();
    assert!(
        matches!(config.source().unwrap(), SourceConfig::Jsonl(jsonl) if jsonl.task.as_deref() == Some("RU-UKR"))
    );
    assert!(
        matches!(config.bus().unwrap(), BusConfig::Sqlite(bus) if bus.lease == Duration::from_secs(2))
    );
    assert_eq!(config.analyzer().unwrap(), AnalyzerConfig::Vader);
    assert!(
        matches!(config.store().unwrap(), StoreConfig::Sqlite(store) if store.path == Path::new("moods.db"))
    );
    let analyze = config.stages.options(Stage::Analyze).unwrap();
    assert_eq!(analyze.group, "night-analyze");
    assert_eq!(analyze.max.messages, 50);
    assert_eq!(analyze.linger, Duration::from_millis(20));
}

#[test]
fn what_is_wrong_is_told_with_its_line_and_what_was_meant() {
    for (text, line, told) in [
        ("\n[sorce]\nkind = 'fake'", 2, "Did you mean `source`?"),
        ("sources = 3", 1, "Did you mean `source`?"),
        ("[bus]\nkind = 'sqlit'", 2, "Did you mean `sqlite`?"),
        ("[bus]\nkind = 'memroy'", 2, "Did you mean `memory`?"),
        ("[bus]\nkind = 'nats'", 2, "There are `sqlite`, `memory`"),
        ("[bus]\nkind = 7", 2, "a `kind` is a text in quotes"),
        ("[bus]\npth = 'x'", 2, "unknown field `pth`"),
        ("[bus]\n\n\npth = 'x'", 4, "Did you mean `path`?"),
        (
            "[bus]\nkind = 'memory'\npath = 'x'",
            3,
            "There are `partitions`",
        ),
        (
            "[analyzer]\nkind = 'vader'\nmodel = 'x'",
            3,
            "unknown field `model`",
        ),
        (
            "[source]\nkind = 'fake'\nrat = 3.0",
            3,
            "Did you mean `rate`?",
        ),
        ("[stages]\nbatches = 3", 2, "Did you mean `batch`?"),
        (
            "[stages]\nbatch = 'many'",
            2,
            "invalid type: string \"many\"",
        ),
        (
            "[stages]\ndrain = 'soon'",
            2,
            "field drain, line 2). Write a duration as in",
        ),
        ("bus = 'memory'", 1, "Write `[bus]`"),
        ("[bus]\nkind = 'memory\n", 2, "string"),
        ("[bus]\n[bus]", 2, "duplicate"),
    ] {
        let error = Config::parse(text).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Misconfigured, "{text:?}");
        let report = error.report();
        assert!(report.contains(told), "{text:?}: {report}");
        assert!(
            report.contains(&format!("line {line})")),
            "{text:?}: {report}"
        );
    }
}

#[test]
fn a_file_that_is_wrong_or_missing_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("my.toml");
    let missing = Config::read(&path).unwrap_err();
    assert!(missing.to_string().contains("my.toml"), "{missing}");
    std::fs::write(&path, "[bus]\npth = 'x'").unwrap();
    let wrong = Config::read(&path).unwrap_err();
    assert!(wrong.to_string().contains("(line 2, file "), "{wrong}");
}

#[test]
fn an_address_sets_only_what_it_names() {
    let mut config = Config::parse("[bus]\npath = 'a.db'\npartitions = 9").unwrap();
    config.set_bus("sqlite:b.db").unwrap();
    let BusConfig::Sqlite(bus) = config.bus().unwrap() else {
        panic!("another kind");
    };
    assert_eq!(bus.path, Path::new("b.db"));
    assert_eq!(bus.partitions.get(), 9);

    config.set_bus("memory").unwrap();
    config.set_bus("sqlite").unwrap();
    assert_eq!(config.bus().unwrap().to_string(), "sqlite:heartbeat.db");
}

#[test]
fn an_address_reads_as_it_is_written() {
    let mut config = Config::default();
    for address in ["fake", "jsonl:a:b.jsonl", "jsonl:-"] {
        config.set_source(address).unwrap();
        assert_eq!(config.source().unwrap().to_string(), address);
    }
    for address in ["memory", "sqlite:/a b/c.db"] {
        config.set_bus(address).unwrap();
        assert_eq!(config.bus().unwrap().to_string(), address);
        config.set_store(address).unwrap();
        assert_eq!(config.store().unwrap().to_string(), address);
    }
    config.set_analyzer("vader").unwrap();
    assert_eq!(config.analyzer().unwrap().to_string(), "vader");
}

#[test]
fn what_is_no_address_changes_nothing() {
    let mut config = Config::default();
    config.set_bus("memory").unwrap();
    for (address, told) in [
        ("sqlit:x", "Did you mean `sqlite`?"),
        ("nats:localhost:4222", "no bus of the kind `nats`"),
        ("sqlite:", "does not end at its colon"),
        ("memory:x", "`memory` takes nothing behind a colon"),
        ("", "no bus of the kind ``"),
    ] {
        let report = config.set_bus(address).unwrap_err().report();
        assert!(report.contains(told), "{address}: {report}");
        assert_eq!(config.bus().unwrap().to_string(), "memory", "{address}");
    }
}

#[cfg(feature = "kafka")]
#[test]
fn brokers_are_named_by_their_address_or_in_the_file() {
    use heartbeat::kafka::Sasl;

    let file = "[bus]\nkind = 'kafka'\nbrokers = 'a:1'\nregistry = 'http://r:8081'\nsasl = 'plain'\n\
                [bus.topics]\npartitions = 3\nretention = '30 days'\n[bus.properties]\n'linger.ms' = '5'";
    let mut config = Config::parse(file).unwrap();
    assert_eq!(config.bus().unwrap().to_string(), "kafka:a:1");
    for address in ["kafka:b:1,c:2", "kafka:[::1]:9092"] {
        config.set_bus(address).unwrap();
        assert_eq!(config.bus().unwrap().to_string(), address);
    }
    let BusConfig::Kafka(kafka) = config.bus().unwrap() else {
        panic!("another kind");
    };
    // What an address does not name stays.
    assert_eq!(
        (&*kafka.registry.url, kafka.sasl),
        ("http://r:8081", Sasl::Plain)
    );
    assert_eq!(kafka.topics.partitions.get(), 3);
    assert_eq!(kafka.topics.retention, Duration::from_hours(30 * 24));
    assert_eq!(kafka.properties["linger.ms"], "5");

    config.set_bus("memory").unwrap();
    config.set_bus("kafka").unwrap();
    assert_eq!(config.bus().unwrap().to_string(), "kafka:localhost:9092");

    for (field, told) in [
        ("broker = 'a:1'", "Did you mean `brokers`?"),
        ("password = 'x'", "unknown field `password`"),
        (
            "sasl = 'kerberos'",
            "`plain`, `scram-sha-256`, `scram-sha-512`",
        ),
        ("session_timeout = 'soon'", "field session_timeout"),
        ("topics.partitions = 0", "field topics.partitions"),
        ("topics.partition = 3", "Did you mean `partitions`?"),
        ("topics.retention = '1 month'", "field topics.retention"),
        ("registry.uri = 'x'", "Did you mean `url`?"),
        ("registry = 8081", "a URL in quotes, or a table"),
    ] {
        let text = format!("[bus]\nkind = 'kafka'\n{field}");
        let report = Config::parse(&text).unwrap_err().report();
        assert!(report.contains(told), "{report}");
        assert!(report.contains("line 3)"), "{report}");
    }
}

#[cfg(all(feature = "kafka", feature = "influx"))]
#[test]
fn the_config_that_is_deployed_is_right() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/heartbeat.toml");
    let config = Config::read(&file).unwrap();
    config.source().unwrap();
    assert_eq!(config.bus().unwrap().to_string(), "kafka:kafka:19092");
    assert!(matches!(config.bus().unwrap(), BusConfig::Kafka(kafka) if kafka.tls == Some(false)));
    assert_eq!(
        config.store().unwrap().to_string(),
        "influx:http://influxdb:8086"
    );
    config.options(Stage::Transfer).unwrap();
}

#[cfg(feature = "influx")]
#[test]
fn influxdb_is_chosen_by_file_and_by_address() {
    use heartbeat::config::StoreConfig;

    let mut config =
        Config::parse("[store]\nkind = 'influx'\nbucket = 'moods'\nbatch = 1000").unwrap();
    config
        .set_store("influx:https://influx.example.org")
        .unwrap();
    let Some(StoreConfig::Influx(influx)) = &config.store else {
        panic!("{config:?}");
    };
    assert_eq!(influx.url, "https://influx.example.org");
    assert_eq!(influx.bucket, "moods");
    // The stage that writes to it hands over as much as fills its requests; no other does.
    assert_eq!(config.options(Stage::Transfer).unwrap().max.messages, 4000);
    assert_eq!(config.options(Stage::Analyze).unwrap().max.messages, 1000);

    let error = Config::parse("[store]\nkind = 'influx'\ntoken = 's3cret'").unwrap_err();
    assert!(
        error.report().contains("unknown field `token`"),
        "{error:?}"
    );
}

#[cfg(not(feature = "influx"))]
#[test]
fn a_build_without_influxdb_says_how_to_get_one_that_has_it() {
    let error = Config::default()
        .set_store("influx:http://localhost:8086")
        .unwrap_err();
    assert!(error.report().contains("`--features influx`"), "{error:?}");
}

#[cfg(not(feature = "kafka"))]
#[test]
fn a_build_without_kafka_says_how_to_get_one_that_has_it() {
    let mut config = Config::default();
    for error in [
        config.set_bus("kafka:localhost:9092").unwrap_err(),
        Config::parse("[bus]\nkind = 'kafka'").unwrap_err(),
    ] {
        let report = error.report();
        assert!(report.contains("`--features kafka`"), "{report}");
        assert!(report.contains("`cargo xtask build`"), "{report}");
    }
}

#[cfg(feature = "torch")]
#[test]
fn a_model_is_named_by_its_address_or_in_the_file() {
    use heartbeat::torch::{Device, Precision};

    let file = "[analyzer]\nkind = 'roberta'\nmodel = 'a/b'\ndevice = 'cuda:1'\nhub.offline = true";
    let mut config = Config::parse(file).unwrap();
    assert_eq!(config.analyzer().unwrap().to_string(), "roberta:a/b");
    for address in ["roberta:small", "roberta:./a b", "roberta:c/d"] {
        config.set_analyzer(address).unwrap();
        assert_eq!(config.analyzer().unwrap().to_string(), address);
    }
    let AnalyzerConfig::Roberta(roberta) = config.analyzer().unwrap() else {
        panic!("another kind");
    };
    assert_eq!(roberta.device, Device::Cuda(1));
    assert_eq!(roberta.precision, Precision::Fp32);
    assert_eq!(roberta.hub.offline, Some(true));

    for (field, told) in [
        ("modle = 'small'", "Did you mean `model`?"),
        ("device = 'gpu'", "no such device (device gpu)"),
        ("precision = 'fp8'", "`fp32`, `bf16`, `int8`"),
        ("hub.endpont = 'x'", "Did you mean `endpoint`?"),
    ] {
        let text = format!("[analyzer]\nkind = 'roberta'\n{field}");
        let report = Config::parse(&text).unwrap_err().report();
        assert!(report.contains(told), "{report}");
        assert!(report.contains("line 3)"), "{report}");
    }
}

#[cfg(not(feature = "torch"))]
#[test]
fn a_build_without_models_says_how_to_get_one_that_has_them() {
    let mut config = Config::default();
    let file = "[analyzer]\nkind = 'roberta'";
    for error in [
        config.set_analyzer("roberta:small").unwrap_err(),
        Config::parse(file).unwrap_err(),
    ] {
        let report = error.report();
        assert!(report.contains("`--features torch`"), "{report}");
        assert!(report.contains("`cargo xtask build`"), "{report}");
    }
}

#[test]
fn stages_that_cannot_work_are_refused() {
    for text in [
        "[stages]\nbatch = 0",
        "[stages]\nbatch_bytes = 0",
        "[stages]\ningest_topic = 'a b'",
        "[stages]\ningest_topic = 'sentiment'",
    ] {
        let stages = Config::parse(text).unwrap().stages;
        let error = stages.options(Stage::Ingest).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Misconfigured, "{text}");
    }
}
