//! The dashboard, in the form of InfluxDB's templates.

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// Counts up with each change to what is installed, so that an older one is known for what it is.
pub(crate) const VERSION: u32 = 1;

/// Stands before the version in the description. Whoever takes it out has made the dashboard their own.
const MARK: &str = "heartbeat's template ";

/// Colours of what is good, of neither and of bad, as InfluxDB's own palettes have them; and of tasks, where a colour means
/// none of these.
const GREEN: [&str; 3] = ["#32B08C", "#4ED8A0", "#7CE490"];
const GREY: [&str; 3] = ["#8E91A1", "#A4A8B6", "#BEC2CC"];
const RED: [&str; 3] = ["#BF3D5E", "#DC4E58", "#F95F53"];
const MIXED: [&str; 3] = ["#31C0F6", "#A500A5", "#FF7E27"];

/// The name by which InfluxDB knows the dashboard of this bucket and measurement among those of templates. Not the bucket's
/// id: a bucket that is made anew has another.
pub(crate) fn name(bucket: &str, measurement: &str) -> String {
    let hash = Sha256::digest(format!("{bucket}\0{measurement}"));
    let digits: String = hash
        .iter()
        .take(8)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!("heartbeat-{digits}")
}

/// Which version of the template a description is of; none where a person has written another.
pub(crate) fn version(description: &str) -> Option<u32> {
    let (_, rest) = description.split_once(MARK)?;
    rest.split(|char: char| !char.is_ascii_digit())
        .next()?
        .parse()
        .ok()
}

/// The template: a list of one dashboard. Axes have no bounds, as templates drop them.
pub(crate) fn template(bucket: &str, measurement: &str) -> Value {
    let source = Source {
        bucket,
        measurement,
    };
    let share = |title: &str, field: &str, x, colors| {
        let cell = Cell {
            title,
            note: "",
            label: "mean share",
            colors,
            step: false,
            at: [x, 7, 4, 4],
        };
        cell.chart(
            source.means(&[field]) + "    |> keep(columns: [\"_time\", \"_value\", \"task\"])\n",
        )
    };
    json!([{
        "apiVersion": "influxdata.com/v2alpha1",
        "kind": "Dashboard",
        "metadata": {"name": name(bucket, measurement)},
        "spec": {
            "name": format!("heartbeat: {bucket}"),
            "description": format!("The mood of posts by subject. {MARK}{VERSION}"),
            "charts": [
                source.table(),
                Cell {
                    title: "Net sentiment (positive less negative, -1 to 1)",
                    note: "A line a task: above 0 the positive share is greater.",
                    label: "net sentiment",
                    colors: MIXED,
                    step: false,
                    at: [0, 3, 12, 4],
                }
                .chart(source.means(&["pos", "neg"]) + NET),
                share("Positive (mean share, 0 to 1)", "pos", 0, GREEN),
                share("Neutral (mean share, 0 to 1)", "neu", 4, GREY),
                share("Negative (mean share, 0 to 1)", "neg", 8, RED),
                Cell {
                    title: "Volume (tweets a window)",
                    note: "The window follows the time range.",
                    label: "tweets",
                    colors: MIXED,
                    step: true,
                    at: [0, 11, 12, 4],
                }
                .chart(source.of(&["id"]) + VOLUME),
            ],
        },
    }])
}

const NET: &str = r#"    |> pivot(rowKey: ["_time"], columnKey: ["_field"], valueColumn: "_value")
    |> map(fn: (r) => ({_time: r._time, task: r.task, _value: r.pos - r.neg}))
"#;

const VOLUME: &str = r#"    |> aggregateWindow(every: v.windowPeriod, fn: count, createEmpty: true)
    |> keep(columns: ["_time", "_value", "task"])
"#;

const TABLE: &str = r#"union(tables: [means, tweets])
    |> group()
    |> pivot(rowKey: ["task"], columnKey: ["_field"], valueColumn: "_value")
    |> map(fn: (r) => ({
        task: r.task,
        tweets: int(v: r.id),
        positive: share(x: r.pos),
        neutral: share(x: r.neu),
        negative: share(x: r.neg),
        net: share(x: r.pos - r.neg),
    }))
    |> sort(columns: ["task"])
"#;

/// Where the points are.
struct Source<'s> {
    bucket: &'s str,
    measurement: &'s str,
}

impl Source<'_> {
    /// The points' values in some fields.
    fn of(&self, fields: &[&str]) -> String {
        let [bucket, measurement] = [self.bucket, self.measurement].map(literal);
        let fields: Vec<_> = fields
            .iter()
            .map(|field| format!("r._field == \"{field}\""))
            .collect();
        let fields = fields.join(" or ");
        format!(
            "from(bucket: {bucket})\n    |> range(start: v.timeRangeStart, stop: v.timeRangeStop)\n    \
             |> filter(fn: (r) => r._measurement == {measurement})\n    |> filter(fn: (r) => {fields})\n"
        )
    }

    /// Their means by window.
    fn means(&self, fields: &[&str]) -> String {
        self.of(fields)
            + "    |> aggregateWindow(every: v.windowPeriod, fn: mean, createEmpty: false)\n"
    }

    /// The tasks' numbers over the whole time range.
    fn table(&self) -> Value {
        let (means, tweets) = (self.of(&["pos", "neu", "neg"]), self.of(&["id"]));
        let query = format!(
            "import \"math\"\n\nshare = (x) => math.round(x: x * 1000.0) / 1000.0\n\nmeans = {means}    |> mean()\n\n\
             tweets = {tweets}    |> count()\n    |> toFloat()\n\n{TABLE}"
        );
        let columns = ["task", "tweets", "positive", "neutral", "negative", "net"];
        json!({
            "kind": "Table",
            "name": "Tasks",
            "note": "Means over all tweets of the time range: shares from 0 to 1, net is positive less negative.",
            "xPos": 0, "yPos": 0, "width": 12, "height": 3,
            "queries": [{"query": query}],
            "colors": [{"id": "base", "name": "white", "type": "text", "hex": "#ffffff", "value": 0}],
            "fieldOptions": columns.map(|name| json!({"fieldName": name, "displayName": name, "visible": true})),
            "tableOptions": {
                "verticalTimeAxis": true, "sortBy": "task", "wrapping": "truncate", "fixFirstColumn": false,
            },
            "timeFormat": "YYYY-MM-DD HH:mm:ss",
        })
    }
}

/// A graph over time, and where it is: from the left, from above, width and height, in columns and rows of the dashboard.
struct Cell<'c> {
    title: &'c str,
    note: &'c str,
    label: &'c str,
    colors: [&'c str; 3],
    step: bool,
    at: [u32; 4],
}

impl Cell<'_> {
    fn chart(&self, query: String) -> Value {
        let [x, y, width, height] = self.at;
        let colors = self.colors.map(
            |hex| json!({"id": hex, "name": "heartbeat", "type": "scale", "hex": hex, "value": 0}),
        );
        json!({
            "kind": "Xy",
            "name": self.title,
            "note": self.note,
            "xPos": x, "yPos": y, "width": width, "height": height,
            "queries": [{"query": query}],
            "xCol": "_time",
            "yCol": "_value",
            "geom": if self.step { "step" } else { "line" },
            "position": "overlaid",
            "shade": self.step,
            "hoverDimension": "auto",
            "timeFormat": "YYYY-MM-DD HH:mm:ss",
            "axes": [
                {"name": "x", "base": "10", "scale": "linear"},
                {"name": "y", "base": "10", "scale": "linear", "label": self.label},
            ],
            "colors": colors,
            // What is left out is 0, and then nobody sees the legend.
            "legendColorizeRows": true,
            "legendOpacity": 1,
            "legendOrientationThreshold": 100_000_000,
            "staticLegend": {
                "show": true, "colorizeRows": true, "heightRatio": 0.2, "widthRatio": 1,
                "opacity": 1, "orientationThreshold": 100_000_000, "valueAxis": "y",
            },
        })
    }
}

/// A text in Flux. The one place where a name stands in a query's text: a dashboard has its queries as texts.
fn literal(text: &str) -> String {
    let mut literal = String::from('"');
    for char in text.chars() {
        match char {
            '\\' => literal.push_str("\\\\"),
            '"' => literal.push_str("\\\""),
            // Flux takes it together with what follows, be that the backslash of a quote.
            '$' => literal.push_str("\\x24"),
            '\n' => literal.push_str("\\n"),
            '\r' => literal.push_str("\\r"),
            '\t' => literal.push_str("\\t"),
            char => literal.push(char),
        }
    }
    literal.push('"');
    literal
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_stays_within_its_quotes() {
        assert_eq!(literal(r#"a"b\c${d}$"\"#), r#""a\"b\\c\x24{d}\x24\"\\""#);
        assert_eq!(literal("\n\r\té💙"), "\"\\n\\r\\té💙\"");
        let text = template(r#"") |> x"#, "$").to_string();
        assert!(
            text.contains(r#"\\\") |> x"#) && text.contains(r"\\x24"),
            "{text}"
        );
    }

    #[test]
    fn each_bucket_and_measurement_has_a_dashboard_of_its_own() {
        assert_eq!(name("b", "m"), name("b", "m"));
        assert_ne!(name("b", "m"), name("b", "n"));
        assert_ne!(name("bm", ""), name("b", "m"));
        let name = name("b", "m");
        // What InfluxDB takes for a name: that of a host.
        assert!(
            name.len() < 64
                && name
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        );
    }

    #[test]
    fn a_version_is_known_by_the_description() {
        let template = template("b", "m");
        let description = template[0]["spec"]["description"].as_str().unwrap();
        assert_eq!(version(description), Some(VERSION));
        assert_eq!(version("Mine now"), None);
    }

    #[test]
    fn what_is_installed_changes_with_its_version_only() {
        let mut template = template("b", "m");
        template[0]["spec"]["description"].take();
        // In the order of the names, whatever else is built in.
        fn sorted(value: &Value) -> String {
            match value {
                Value::Object(map) => {
                    let mut entries: Vec<_> = map.iter().collect();
                    entries.sort_by_key(|(key, _)| key.as_str());
                    entries
                        .iter()
                        .map(|(key, value)| format!("{key}:{},", sorted(value)))
                        .collect()
                }
                Value::Array(values) => values.iter().map(|value| sorted(value) + ";").collect(),
                value => value.to_string(),
            }
        }
        let hash = Sha256::digest(sorted(&template));
        let start = format!(
            "{:02x}{:02x}{:02x}{:02x}",
            hash[0], hash[1], hash[2], hash[3]
        );
        assert_eq!(
            (VERSION, start.as_str()),
            (1, "8a1663d0"),
            "count VERSION up and note the new hash here"
        );
    }
}
