//! RoBERTa's way: byte-pair encoding of the bytes of words.

use std::collections::HashMap;

use heartbeat_core::{Error, Result};
use serde::Deserialize;
use tokenizers::models::bpe::{BPE, Merges, Vocab};
use tokenizers::pre_tokenizers::byte_level::ByteLevel;

use super::file::{TokenizerJson, malformed};
use super::settings::Settings;
use super::{Parts, refused};

/// The model in a `tokenizer.json`.
#[derive(Deserialize)]
struct Model {
    vocab: HashMap<String, u32>,
    merges: Vec<Merge>,
}

/// Files have both forms.
#[derive(Deserialize)]
#[serde(untagged)]
enum Merge {
    Pair(String, String),
    Text(String),
}

/// Reads `tokenizer.json`.
pub(super) fn from_json(json: &[u8], settings: &mut Settings) -> Result<Parts> {
    let model = TokenizerJson::<Model>::parse(json, settings)?.model;
    let merges = model.merges.into_iter().enumerate();
    let merges = merges.map(|(index, merge)| match merge {
        Merge::Pair(left, right) => Ok((left, right)),
        Merge::Text(text) => split(&text).ok_or_else(|| not_a_merge(&text, "merge", index + 1)),
    });
    parts(model.vocab, merges.collect::<Result<_>>()?, settings)
}

/// Reads `vocab.json` and `merges.txt`.
pub(super) fn from_files(vocab: &[u8], merges: &[u8], settings: &Settings) -> Result<Parts> {
    let vocab = serde_json::from_slice(vocab).map_err(malformed)?;
    let merges = str::from_utf8(merges).map_err(|error| {
        Error::misconfigured("merges.txt is not UTF-8")
            .caused_by(error)
            .hint("Fetch the file again.")
    })?;
    let merges = merges
        .lines()
        .enumerate()
        .filter(|(_, line)| !line.starts_with("#version"))
        .map(|(index, line)| {
            split(line).ok_or_else(|| not_a_merge(line, "line of merges.txt", index + 1))
        });
    parts(vocab, merges.collect::<Result<_>>()?, settings)
}

fn split(merge: &str) -> Option<(String, String)> {
    let (left, right) = merge.split_once(' ')?;
    let two = !left.is_empty() && !right.is_empty() && !right.contains(' ');
    two.then(|| (left.to_owned(), right.to_owned()))
}

fn not_a_merge(text: &str, kind: &'static str, number: usize) -> Error {
    Error::misconfigured("a merge is not two tokens with a space between them")
        .with(kind, number)
        .with("found", format!("{text:.40?}"))
        .hint("Fetch the file again.")
}

fn parts(vocab: HashMap<String, u32>, merges: Merges, settings: &Settings) -> Result<Parts> {
    let vocab: Vocab = vocab.into_iter().collect();
    let mut merged = String::new();
    for (index, (left, right)) in merges.iter().enumerate() {
        merged.clear();
        merged.push_str(left);
        merged.push_str(right);
        let unknown = [left, right, &merged]
            .into_iter()
            .find(|token| !vocab.contains_key(*token));
        if let Some(token) = unknown {
            return Err(Error::misconfigured(
                "a merge names a token that is not in the vocabulary",
            )
            .with("merge", index + 1)
            .with("token", format!("{token:?}"))
            .hint("Take vocabulary and merges of the same tokenizer."));
        }
    }
    let model = BPE::builder()
        .vocab_and_merges(vocab, merges)
        .build()
        .map_err(refused)?;
    let prefix_space = settings.add_prefix_space()?.unwrap_or(false);
    Ok(Parts {
        model: model.into(),
        normalizer: None,
        pre_tokenizer: ByteLevel::default().add_prefix_space(prefix_space).into(),
        ends: ["cls_token", "sep_token"],
        tokens: Vec::new(),
    })
}
