//! Backends by their short address: `KIND` or `KIND:PLACE`.

use std::fmt;

use heartbeat_core::{Error, Result};

use crate::config::file::Fields;
use crate::config::names;

/// One of the tables that choose a backend.
pub(super) trait Choice: Sized {
    /// The table's name.
    const TABLE: &'static str;
    /// The kinds that this build has; the first is taken when none is named.
    const KINDS: &'static [&'static str];
    /// Kinds that not every build has, and the feature that brings each.
    const FEATURES: &'static [(&'static str, &'static str)];

    /// The config of that kind with these fields.
    fn with_fields(kind: &str, fields: Fields<'_>) -> Result<Self>;

    /// Which of the kinds it is.
    fn kind(&self) -> &'static str;

    /// What its address says behind the colon, if it has one.
    fn place(&self) -> Option<String>;

    /// Sets what an address says behind its colon; `false` when this kind takes nothing there.
    fn set_place(&mut self, place: &str) -> bool;
}

/// The kind that is taken when none is named.
pub(super) fn default_kind<C: Choice>() -> Result<&'static str> {
    C::KINDS.first().copied().ok_or_else(|| {
        let table = C::TABLE;
        Error::misconfigured(format!("this build has no {table}"))
            .hint(format!("Build heartbeat with the feature of a {table}."))
    })
}

/// What is said of a kind that this build does not have.
pub(super) fn unknown_kind<C: Choice>(kind: &str) -> Error {
    let table = C::TABLE;
    Error::misconfigured(format!("this build has no {table} of the kind `{kind}`")).hint(advice(
        kind,
        C::KINDS,
        C::FEATURES,
    ))
}

fn advice(kind: &str, kinds: &[&str], features: &[(&str, &str)]) -> String {
    match features.iter().find(|(known, _)| *known == kind) {
        Some((_, feature)) => format!(
            "Build heartbeat with `--features {feature}`, or by `cargo xtask build`, which takes every backend in."
        ),
        None => names::advice(kind, kinds),
    }
}

/// The config that is taken when none is chosen.
pub(super) fn default<C: Choice>() -> Result<C> {
    C::with_fields(default_kind::<C>()?, Fields::empty())
}

/// Writes the address of a config.
pub(super) fn write(config: &impl Choice, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    f.write_str(config.kind())?;
    match config.place() {
        Some(place) => write!(f, ":{place}"),
        None => Ok(()),
    }
}

/// Lays an address over what was chosen before.
pub(super) fn apply<C: Choice + Clone>(chosen: &mut Option<C>, address: &str) -> Result<()> {
    let (kind, place) = match address.split_once(':') {
        Some((kind, place)) => (kind, Some(place)),
        None => (address, None),
    };
    let before = chosen.as_ref().filter(|before| before.kind() == kind);
    let mut config = match before {
        Some(before) => before.clone(),
        None => C::with_fields(kind, Fields::empty())?,
    };
    let wrong = |message: String| Err(Error::misconfigured(message).with(C::TABLE, address));
    match place {
        Some("") => wrong("an address does not end at its colon".to_owned()),
        Some(place) if !config.set_place(place) => {
            wrong(format!("`{kind}` takes nothing behind a colon"))
        }
        _ => {
            *chosen = Some(config);
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_kind_that_another_build_has_is_told_how_to_build_that() {
        let advice = |kind| advice(kind, &["steam"], &[("steam", "coal"), ("diesel", "oil")]);
        assert!(advice("diesel").starts_with("Build heartbeat with `--features oil`"));
        assert!(advice("steem").starts_with("Did you mean `steam`?"));
    }
}
