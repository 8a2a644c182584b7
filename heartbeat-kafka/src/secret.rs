//! Where secrets come from.

use std::path::Path;

use heartbeat_core::{Error, Result};

/// The secret in a variable of the environment, else in a file, without the line's end.
pub(crate) fn find(variable: &str, file: Option<&Path>) -> Result<Option<String>> {
    match std::env::var(variable) {
        Ok(secret) if !secret.is_empty() => return Ok(Some(secret)),
        Err(std::env::VarError::NotUnicode(_)) => {
            return Err(
                Error::misconfigured("the variable's value is no text").with("variable", variable)
            );
        }
        _ => {}
    }
    let Some(file) = file else { return Ok(None) };
    let secret = std::fs::read_to_string(file).map_err(|error| {
        Error::misconfigured("cannot read the file with the secret")
            .with("file", file.display())
            .caused_by(error)
    })?;
    Ok(Some(secret.trim_end_matches(['\r', '\n']).to_owned()))
}
