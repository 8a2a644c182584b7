//! The files that hold tokens.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use heartbeat_core::{Error, Result};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokenizers::TruncationParams;

use super::settings::{Settings, Token};
use crate::files::unreadable;

/// The largest tokenizers of this family have 17 MB.
const LARGEST: u64 = 256 << 20;

/// What is in the file in `path`.
pub(super) fn read(path: &Path) -> Result<Vec<u8>> {
    let failed = |error| unreadable(path, error);
    let file = File::open(path).map_err(failed)?;
    if file.metadata().map_err(failed)?.len() > LARGEST {
        return Err(Error::misconfigured("a tokenizer's file is far too large")
            .with("file", path.display())
            .with("largest", format!("{LARGEST} bytes"))
            .hint("Fetch the file again."));
    }
    let mut bytes = Vec::new();
    file.take(LARGEST).read_to_end(&mut bytes).map_err(failed)?;
    Ok(bytes)
}

/// The part of `tokenizer.json` that a class of its own takes.
#[derive(Deserialize)]
pub(super) struct TokenizerJson<M> {
    pub(super) model: M,
    normalizer: Option<serde_json::Value>,
    #[serde(default)]
    added_tokens: Vec<NumberedToken>,
    truncation: Option<TruncationParams>,
}

#[derive(Deserialize)]
struct NumberedToken {
    id: u32,
    #[serde(flatten)]
    token: Token,
}

impl<M: DeserializeOwned> TokenizerJson<M> {
    /// Reads the file; what it tells of tokens and truncation goes into the settings.
    pub(super) fn parse(json: &[u8], settings: &mut Settings) -> Result<Self> {
        let mut file: Self = serde_json::from_slice(json).map_err(malformed)?;
        let tokens = std::mem::take(&mut file.added_tokens);
        settings.add(tokens.into_iter().map(|it| (it.id, it.token)));
        if let Some(truncation) = &file.truncation {
            settings.truncate_by_default(truncation.direction);
        }
        Ok(file)
    }

    /// The table of characters to replace, alone or the first in a sequence.
    pub(super) fn table(&self) -> Option<&serde_json::Value> {
        let normalizer = self.normalizer.as_ref()?;
        let is_table = |it: &&serde_json::Value| it["type"] == "Precompiled";
        match normalizer["normalizers"].as_array() {
            Some(sequence) => sequence.iter().find(is_table),
            None => Some(normalizer).filter(is_table),
        }
    }
}

/// Reads `tokenizer.json` in all it says.
pub(super) fn as_it_is(json: &[u8], settings: &mut Settings) -> Result<tokenizers::Tokenizer> {
    let mut tokenizer: tokenizers::Tokenizer = serde_json::from_slice(json).map_err(malformed)?;
    if let Some(truncation) = tokenizer.get_truncation() {
        settings.truncate_by_default(truncation.direction);
    }
    let known = tokenizer.get_added_vocabulary().get_vocab();
    let tokens = settings.tokens_but(|content| known.contains_key(content))?;
    tokenizer.add_tokens(tokens).map_err(super::refused)?;
    Ok(tokenizer)
}

/// A file is not the JSON that it should be; the cause tells where.
pub(super) fn malformed(error: serde_json::Error) -> Error {
    Error::misconfigured("a tokenizer's file is not what it should be")
        .caused_by(error)
        .hint("Fetch the file again.")
}
