//! Reading the file, and telling where in it something is wrong.

use std::ops::Range;
use std::path::Path;

use heartbeat_core::{Error, Result};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use toml::Spanned;
use toml::de::{DeTable, DeValue, ValueDeserializer};

use crate::config::address::{self, Choice};
use crate::config::{Config, names};

const TABLES: [&str; 5] = ["source", "bus", "analyzer", "store", "stages"];

pub(super) fn read(path: &Path) -> Result<Config> {
    std::fs::read_to_string(path)
        .map_err(|error| Error::misconfigured("cannot read the config").caused_by(error))
        .and_then(|text| parse(&text))
        .map_err(|error| error.with("file", path.display()))
}

pub(super) fn parse(text: &str) -> Result<Config> {
    let document = DeTable::parse(text).map_err(|error| explain(text, &error))?;
    let mut config = Config::default();
    for (name, value) in document.into_inner() {
        let line = line(text, &name.span());
        let table = name.into_inner();
        if !TABLES.contains(&table.as_ref()) {
            return Err(Error::misconfigured(format!("unknown table `{table}`"))
                .with("line", line)
                .hint(names::advice(&table, &TABLES)));
        }
        let span = value.span();
        let DeValue::Table(entries) = value.into_inner() else {
            return Err(Error::misconfigured(format!("`{table}` is a table"))
                .with("line", line)
                .hint(format!("Write `[{table}]`, and its fields below.")));
        };
        let fields = Fields {
            text,
            kind: span.clone(),
            span,
            entries,
        };
        match table.as_ref() {
            "source" => config.source = Some(fields.choose()?),
            "bus" => config.bus = Some(fields.choose()?),
            "analyzer" => config.analyzer = Some(fields.choose()?),
            "store" => config.store = Some(fields.choose()?),
            _ => config.stages = fields.read()?,
        }
    }
    Ok(config)
}

/// The fields of one table, and where in the file they stand.
#[derive(Debug)]
pub(super) struct Fields<'t> {
    text: &'t str,
    span: Range<usize>,
    kind: Range<usize>,
    entries: DeTable<'t>,
}

impl Fields<'_> {
    /// No fields, from no file.
    pub(super) fn empty() -> Self {
        Self {
            text: "",
            span: 0..0,
            kind: 0..0,
            entries: DeTable::new(),
        }
    }

    /// Reads them into the settings of a backend.
    pub(super) fn read<T: DeserializeOwned>(self) -> Result<T> {
        let table = Spanned::new(self.span, DeValue::Table(self.entries));
        T::deserialize(ValueDeserializer::from(table)).map_err(|error| explain(self.text, &error))
    }

    /// Sets a field unless the file does.
    pub(super) fn or(mut self, field: &'static str, text: &'static str) -> Self {
        let text = Spanned::new(0..0, DeValue::String(text.into()));
        let field = Spanned::new(0..0, field.into());
        self.entries.entry(field).or_insert(text);
        self
    }

    /// For a backend without settings.
    pub(super) fn nothing(self) -> Result<()> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Nothing {}

        self.read::<Nothing>().map(|Nothing {}| ())
    }

    /// Takes out the kind and reads the others into the settings of that backend.
    fn choose<C: Choice>(mut self) -> Result<C> {
        let Some(kind) = self.entries.remove("kind") else {
            return C::with_fields(address::default_kind::<C>()?, self);
        };
        self.kind = kind.span();
        match kind.into_inner() {
            DeValue::String(kind) => C::with_fields(&kind, self),
            _ => Err(Error::misconfigured("a `kind` is a text in quotes")
                .with("line", line(self.text, &self.kind))),
        }
    }

    /// What is said of a kind that this build does not have.
    pub(super) fn unknown_kind<C: Choice>(&self, kind: &str) -> Error {
        let error = address::unknown_kind::<C>(kind);
        if self.text.is_empty() {
            return error;
        }
        error.with("line", line(self.text, &self.kind))
    }
}

/// A parser's error in our words, with the field and the line.
fn explain(text: &str, error: &toml::de::Error) -> Error {
    let line = error.span().map(|span| line(text, &span));
    let message = error.message();
    let mut explained = match unknown_field(message) {
        Some((field, known)) => Error::misconfigured(format!("unknown field `{field}`"))
            .hint(names::advice(field, &known)),
        None => {
            let field = line.and_then(|line| text.lines().nth(line - 1)?.split_once('='));
            let explained = Error::misconfigured(message.replace('\n', ", "));
            match field {
                Some((field, _)) => explained.with("field", field.trim()),
                None => explained,
            }
        }
    };
    if message.contains("duration") {
        explained = explained.hint("Write a duration as in `500ms`, `10s` or `7 days`.");
    }
    match line {
        Some(line) if !text.is_empty() => explained.with("line", line),
        _ => explained,
    }
}

/// The unknown field that serde tells of, and the fields it would know:
/// "unknown field `pth`, expected one of `path`, `lease`".
fn unknown_field(message: &str) -> Option<(&str, Vec<&str>)> {
    message.strip_prefix("unknown field ")?;
    let mut quoted = message.split('`').skip(1).step_by(2);
    Some((quoted.next()?, quoted.collect()))
}

/// The line, from 1, where a piece of the text begins.
fn line(text: &str, span: &Range<usize>) -> usize {
    let before = text.as_bytes().get(..span.start).unwrap_or_default();
    1 + before.iter().filter(|&&byte| byte == b'\n').count()
}
