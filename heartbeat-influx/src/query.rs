//! Queries in Flux.
//!
//! What a caller gives, names of tasks above all, never stands in a query's text: it goes beside it, as values of variables
//! in the form that InfluxDB's own compiler would read them in (`extern` in <https://docs.influxdata.com/influxdb/v2/api/v2/>).

use serde_json::{Value, json};

/// A row for each point, in no order. Whatever else Flux does to a row, it takes longer than all of this. Points that others
/// wrote may lack cells.
pub(crate) const POINTS: &str = r#"
    |> keep(columns: ["_time", "_field", "_value", "task"])
    |> pivot(rowKey: ["_time"], columnKey: ["_field"], valueColumn: "_value")
    |> group()
"#;

/// The first of [`POINTS`] by id and task, behind one. Whole ones, so that the last row is the last point.
pub(crate) const BY_ID: &str = r#"
    |> filter(fn: (r) => exists r.task and exists r.id and exists r.neg and exists r.neu and exists r.pos)
    |> filter(fn: (r) => r.id > id or r.id == id and r.task > last)
    |> sort(columns: ["id", "task"])
    |> limit(n: n)
"#;

/// How many points there are. By windows: a bare `count()` of times before 1970 makes InfluxDB 2.9 take memory without end.
pub(crate) const COUNT: &str = r#"
    |> filter(fn: (r) => r._field == "id")
    |> aggregateWindow(every: 4294967296s, fn: count, createEmpty: false)
    |> group()
    |> sum()
"#;

/// The id of each point, its task and its time, in no order.
pub(crate) const IDS: &str = r#"
    |> filter(fn: (r) => r._field == "id")
    |> keep(columns: ["_time", "_value", "task"])
    |> group()
"#;

/// The time of the first point.
pub(crate) const FIRST: &str = r#"
    |> filter(fn: (r) => r._field == "id")
    |> first()
    |> group()
    |> min(column: "_time")
    |> keep(columns: ["_time"])
"#;

/// How many points there are in each window, and the sum of each score. A window that begins before the range tells the
/// range's beginning for its own. The points are a function: asked for twice by one name they would be read into memory.
pub(crate) const WINDOWS: &str = r#"
points()
    |> filter(fn: (r) => r._field == "id")
    |> aggregateWindow(every: duration(v: every), fn: count, createEmpty: false, timeSrc: "_start")
    |> group()
    |> keep(columns: ["_time", "task", "_field", "_value"])
    |> yield(name: "counts")
points()
    |> filter(fn: (r) => r._field == "neg" or r._field == "neu" or r._field == "pos")
    |> aggregateWindow(every: duration(v: every), fn: sum, createEmpty: false, timeSrc: "_start")
    |> group()
    |> keep(columns: ["_time", "task", "_field", "_value"])
    |> yield(name: "sums")
"#;

/// A query that is put together.
#[derive(Debug)]
pub(crate) struct Flux {
    text: String,
    variables: Vec<Value>,
}

impl Flux {
    /// The points of a task, or of all, from a nanosecond on and before another.
    pub(crate) fn points(
        bucket: &str,
        measurement: &str,
        task: Option<&str>,
        from: i64,
        to: i64,
    ) -> Self {
        let mut flux = Self {
            text: "from(bucket: bucket)\n    |> range(start: time(v: start), stop: time(v: stop))\n    \
                   |> filter(fn: (r) => r._measurement == measurement)\n"
                .to_owned(),
            variables: Vec::new(),
        };
        flux = flux
            .with("bucket", string(bucket))
            .with("measurement", string(measurement))
            .with("start", integer(from))
            .with("stop", integer(to));
        match task {
            Some(task) => flux
                .then("    |> filter(fn: (r) => r.task == task)\n")
                .with("task", string(task)),
            None => flux,
        }
    }

    /// Adds to the end.
    pub(crate) fn then(mut self, text: &str) -> Self {
        self.text.push_str(text);
        self
    }

    /// Makes what it is so far a function of that name, which what follows begins with.
    pub(crate) fn named(mut self, name: &str) -> Self {
        self.text.insert_str(0, &format!("{name} = () => "));
        self
    }

    /// Sets a variable.
    pub(crate) fn with(mut self, name: &str, value: Value) -> Self {
        self.variables.push(json!({
            "type": "VariableAssignment",
            "id": {"type": "Identifier", "name": name},
            "init": value,
        }));
        self
    }

    /// What is sent to the server.
    pub(crate) fn into_body(self) -> Value {
        json!({
            "type": "flux",
            "query": self.text,
            "extern": {"type": "File", "package": null, "imports": [], "body": self.variables},
            "dialect": {"header": true, "annotations": []},
        })
    }
}

/// A text as a variable's value.
pub(crate) fn string(value: &str) -> Value {
    json!({"type": "StringLiteral", "value": value})
}

/// A number as a variable's value.
pub(crate) fn integer(value: i64) -> Value {
    let literal = |value: i64| json!({"type": "IntegerLiteral", "value": value.to_string()});
    if value >= 0 {
        return literal(value);
    }
    // Literals have no sign, and the smallest number's opposite is none: -1 less the rest reaches it.
    json!({
        "type": "BinaryExpression",
        "operator": "-",
        "left": {"type": "UnaryExpression", "operator": "-", "argument": literal(1)},
        "right": literal(!value),
    })
}
