//! The set-up: the bucket and the dashboard.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use heartbeat_core::Store;
use heartbeat_influx::{BucketState, DashboardState, InfluxAdmin, InfluxConfig, InfluxStore};
use serde_json::{Value, json};
use testbed::INFLUX_TOKEN;

use crate::{point, real};

/// Asks the server directly, as no code of ours does.
struct Server {
    http: reqwest_0_11::Client,
    url: String,
}

impl Server {
    fn of(config: &InfluxConfig) -> Self {
        Self {
            http: reqwest_0_11::Client::new(),
            url: config.url.clone(),
        }
    }

    async fn get(&self, path: &str) -> Value {
        let request = self.http.get(format!("{}{path}", self.url));
        let answer = request
            .header("Authorization", format!("Token {INFLUX_TOKEN}"))
            .send()
            .await
            .unwrap();
        serde_json::from_str(&answer.text().await.unwrap()).unwrap()
    }

    async fn send(&self, method: reqwest_0_11::Method, path: &str, body: &Value) -> (u16, String) {
        let request = self.http.request(method, format!("{}{path}", self.url));
        let request = request
            .header("Authorization", format!("Token {INFLUX_TOKEN}"))
            .body(body.to_string());
        let answer = request
            .header("Content-Type", "application/json")
            .send()
            .await
            .unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    }

    /// The dashboard of a bucket, with what is in its cells.
    async fn dashboard(&self, bucket: &str) -> Value {
        let all = self.get("/api/v2/dashboards?limit=100").await;
        let mut ours = all["dashboards"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|one| one["name"] == format!("heartbeat: {bucket}"));
        let id = ours.next().expect("a dashboard")["id"].as_str().unwrap();
        assert!(ours.next().is_none(), "there are two");
        self.get(&format!("/api/v2/dashboards/{id}?include=properties"))
            .await
    }
}

/// What a dashboard's queries are given: the last three hours, by the minute.
fn variables() -> Value {
    let seconds =
        |n: i64| json!({"type": "DurationLiteral", "values": [{"magnitude": n, "unit": "s"}]});
    let property = |name: &str, value: Value| json!({"type": "Property", "key": {"type": "Identifier", "name": name}, "value": value});
    let object = json!({"type": "ObjectExpression", "properties": [
        property("timeRangeStart", json!({"type": "UnaryExpression", "operator": "-", "argument": seconds(3 * 3600)})),
        property("timeRangeStop", seconds(3600)),
        property("windowPeriod", seconds(60)),
    ]});
    let assignment = json!({"type": "VariableAssignment", "id": {"type": "Identifier", "name": "v"}, "init": object});
    let option = json!({"type": "OptionStatement", "assignment": assignment});
    json!({"type": "File", "package": null, "imports": [], "body": [option]})
}

fn rows(csv: &str) -> Vec<BTreeMap<String, String>> {
    let mut records = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .from_reader(csv.as_bytes());
    let mut header = Vec::new();
    let mut rows = Vec::new();
    for record in records.records() {
        let record: Vec<String> = record.unwrap().iter().map(str::to_owned).collect();
        if record.get(1).is_some_and(|cell| cell == "result") {
            header = record;
        } else {
            rows.push(header.iter().cloned().zip(record).collect());
        }
    }
    rows
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_is_made_as_asked_and_seen() {
    for retention in [None, Some(Duration::from_secs(7 * 86_400))] {
        let config = real::bucket(retention).await;
        let admin = InfluxAdmin::connect(config).await.unwrap();
        assert_eq!(
            admin.bucket().await.unwrap(),
            Some(BucketState { retention })
        );
    }
    let mut config = real::bucket(None).await;
    config.bucket.push_str("-not");
    let admin = InfluxAdmin::connect(config.clone()).await.unwrap();
    assert_eq!(admin.bucket().await.unwrap(), None);
    let error = admin
        .create_bucket(Some(Duration::from_secs(60)))
        .await
        .unwrap_err();
    assert!(error.to_string().contains("an hour at least"), "{error}");

    config.org = "nobody".to_owned();
    let error = InfluxAdmin::connect(config).await.unwrap_err();
    assert!(error.to_string().contains("org nobody"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_dashboard_shows_the_stored_points() {
    // A name that would end a text in Flux, were it not for its escapes.
    let mut config = real::config(testbed::shared_influx().unwrap());
    config.bucket += r" ${v.x} \n $\";
    config.measurement = r#"the "moods" $"#.to_owned();
    real::create(&config, None).await;
    let admin = InfluxAdmin::connect(config.clone()).await.unwrap();
    assert_eq!(admin.dashboard().await.unwrap(), DashboardState::Missing);
    assert_eq!(
        admin.install_dashboard().await.unwrap(),
        DashboardState::Missing
    );
    let server = Server::of(&config);
    let installed = server.dashboard(&config.bucket).await;

    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs() as i32;
    let points: Vec<_> = (0..3000)
        .map(|id| {
            point(
                id,
                now - id as i32 % 3600,
                ["RU-UKR", "climate"][id as usize % 2],
            )
        })
        .collect();
    let store = InfluxStore::open(config.clone()).await.unwrap();
    assert!(store.write(&points).await.unwrap().refused.is_empty());
    let mean = |task: &str, score: fn(&heartbeat_core::Sentiment) -> f32| {
        let scores: Vec<f64> = points
            .iter()
            .filter(|point| point.value.task == task)
            .map(|point| score(&point.value).into())
            .collect();
        scores.iter().sum::<f64>() / scores.len() as f64
    };

    let cells = installed["cells"].as_array().unwrap();
    assert_eq!(cells.len(), 6);
    for cell in cells {
        let name = cell["name"].as_str().unwrap();
        let query = cell["properties"]["queries"][0]["text"].as_str().unwrap();
        let body = json!({"query": query, "extern": variables(), "dialect": {"annotations": [], "header": true}});
        let (status, csv) = server
            .send(
                reqwest_0_11::Method::POST,
                "/api/v2/query?org=heartbeat",
                &body,
            )
            .await;
        assert_eq!(status, 200, "{name}: {csv}\n{query}");
        let rows = rows(&csv);
        assert!(
            rows.iter().all(|row| row.contains_key("task")),
            "{name}: {csv}"
        );
        for task in ["RU-UKR", "climate"] {
            let rows: Vec<_> = rows.iter().filter(|row| row["task"] == task).collect();
            assert!(!rows.is_empty(), "{name}: nothing of {task}");
            let value = |row: &&BTreeMap<String, String>| row["_value"].parse::<f64>().unwrap();
            let near = |column: &str, expected: f64| {
                let is: f64 = rows[0][column].parse().unwrap();
                assert!(
                    (is - expected).abs() < 0.001,
                    "{name}: {column} of {task} is {is}, not {expected}"
                );
            };
            match name {
                "Tasks" => {
                    near("tweets", 1500.0);
                    near("positive", mean(task, |point| point.pos));
                    near("neutral", mean(task, |point| point.neu));
                    near("negative", mean(task, |point| point.neg));
                    near("net", mean(task, |point| point.pos - point.neg));
                }
                name if name.starts_with("Volume") => {
                    assert_eq!(rows.iter().map(value).sum::<f64>(), 1500.0, "{name}");
                }
                name => {
                    let least = if name.starts_with("Net") { -1.0 } else { 0.0 };
                    assert!(rows.len() >= 50, "{name}: {} windows", rows.len());
                    assert!(
                        rows.iter()
                            .map(value)
                            .all(|value| (least..=1.0).contains(&value)),
                        "{name}"
                    );
                }
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_installed_once_and_never_taken_from_whoever_changed_it() {
    let config = real::bucket(None).await;
    let admin = InfluxAdmin::connect(config.clone()).await.unwrap();
    let server = Server::of(&config);
    admin.install_dashboard().await.unwrap();
    let first = server.dashboard(&config.bucket).await;
    assert_eq!(
        admin.install_dashboard().await.unwrap(),
        DashboardState::Installed
    );
    assert_eq!(server.dashboard(&config.bucket).await, first);

    let path = format!("/api/v2/dashboards/{}", first["id"].as_str().unwrap());
    let describe = async |description: &str| {
        let body = json!({"description": description});
        assert_eq!(
            server
                .send(reqwest_0_11::Method::PATCH, &path, &body)
                .await
                .0,
            200
        );
    };
    describe("Ours: heartbeat's template 0").await;
    assert_eq!(
        admin.install_dashboard().await.unwrap(),
        DashboardState::Outdated
    );
    assert_eq!(admin.dashboard().await.unwrap(), DashboardState::Installed);
    assert_eq!(server.dashboard(&config.bucket).await["id"], first["id"]);

    describe("Mine").await;
    let mine = server.dashboard(&config.bucket).await;
    assert_eq!(
        admin.install_dashboard().await.unwrap(),
        DashboardState::Adopted
    );
    assert_eq!(server.dashboard(&config.bucket).await, mine);

    let (status, _) = server
        .send(reqwest_0_11::Method::DELETE, &path, &Value::Null)
        .await;
    assert_eq!(status, 204);
    assert_eq!(
        admin.install_dashboard().await.unwrap(),
        DashboardState::Missing
    );
    assert_eq!(admin.dashboard().await.unwrap(), DashboardState::Installed);
    server.dashboard(&config.bucket).await;
}
