//! XLM-RoBERTa's way: the likeliest pieces of each word.

use heartbeat_core::{Error, Result};
use prost::Message;
use serde::Deserialize;
use tokenizers::AddedToken;
use tokenizers::models::unigram::Unigram;
use tokenizers::normalizers::Precompiled;
use tokenizers::pre_tokenizers::metaspace::{Metaspace, PrependScheme};
use tokenizers::pre_tokenizers::sequence::Sequence;
use tokenizers::pre_tokenizers::whitespace::WhitespaceSplit;

use super::file::{TokenizerJson, malformed};
use super::settings::Settings;
use super::{Parts, refused};

/// Where the unknown token always is.
const UNKNOWN: usize = 3;

/// How many pieces of a SentencePiece model are special: unknown, begin and end.
const SPECIAL: usize = 3;

/// Tokens with the logarithm of how likely they are.
type Pieces = Vec<(String, f64)>;

/// The model in a `tokenizer.json`.
#[derive(Deserialize)]
struct Model {
    vocab: Pieces,
}

/// Reads `tokenizer.json`.
pub(super) fn from_json(json: &[u8], settings: &mut Settings) -> Result<Parts> {
    let file = TokenizerJson::<Model>::parse(json, settings)?;
    let table = file.table().map(Precompiled::deserialize).transpose();
    let table = table.map_err(malformed)?;
    parts(file.model.vocab, table, Vec::new(), settings)
}

/// The part of SentencePiece's model that is used here.
#[derive(Message)]
struct SentencePiece {
    #[prost(message, repeated, tag = "1")]
    pieces: Vec<Piece>,
    #[prost(message, optional, tag = "3")]
    normalizer: Option<Normalizer>,
}

#[derive(Message)]
struct Piece {
    #[prost(string, tag = "1")]
    piece: String,
    #[prost(float, tag = "2")]
    score: f32,
    #[prost(int32, tag = "3")]
    kind: i32,
}

#[derive(Message)]
struct Normalizer {
    #[prost(bytes = "vec", tag = "2")]
    table: Vec<u8>,
}

/// A piece that is never found by the model, as `<s>`.
const CONTROL: i32 = 3;

/// A piece that stands for itself wherever it is.
const USER_DEFINED: i32 = 4;

/// Reads `sentencepiece.bpe.model`. Its pieces come behind fairseq's special tokens, which take the
/// place of its own; the mask comes last.
pub(super) fn from_sentencepiece(bytes: &[u8], settings: &Settings) -> Result<Parts> {
    let model = SentencePiece::decode(bytes).map_err(|error| {
        Error::misconfigured("the file is not a SentencePiece model")
            .caused_by(error)
            .hint("Fetch the file again.")
    })?;
    let special = |name| Ok((settings.text(name)?, 0.0));
    let mut vocab: Pieces = ["bos_token", "pad_token", "eos_token", "unk_token"]
        .into_iter()
        .map(special)
        .collect::<Result<_>>()?;
    let mut tokens = Vec::new();
    for (index, Piece { piece, score, kind }) in model.pieces.into_iter().enumerate() {
        if kind == CONTROL || kind == USER_DEFINED {
            let token = AddedToken::from(piece.clone(), kind == CONTROL);
            tokens.push(token.normalized(false));
        }
        if index >= SPECIAL {
            vocab.push((piece, f64::from(score)));
        }
    }
    vocab.push(special("mask_token")?);
    let table = model.normalizer.map(|it| it.table);
    let table = table.filter(|table| !table.is_empty());
    let table = table.map(|table| read_table(&table)).transpose()?;
    parts(vocab, table, tokens, settings)
}

fn read_table(table: &[u8]) -> Result<Precompiled> {
    let broken = || {
        Error::misconfigured("the SentencePiece model's table of characters is broken")
            .hint("Fetch the file again.")
    };
    // The library makes room for what the first number says before it looks for it.
    let (length, rest) = table.split_first_chunk().ok_or_else(broken)?;
    if u32::from_le_bytes(*length) as usize > rest.len() {
        return Err(broken());
    }
    Precompiled::from(table).map_err(|error| broken().caused_by(error))
}

fn parts(
    vocab: Pieces,
    table: Option<Precompiled>,
    tokens: Vec<AddedToken>,
    settings: &Settings,
) -> Result<Parts> {
    let model = Unigram::from(vocab, Some(UNKNOWN), false).map_err(refused)?;
    let scheme = match settings.add_prefix_space()? {
        Some(false) => PrependScheme::Never,
        _ => PrependScheme::Always,
    };
    let words = Metaspace::new('▁', scheme, true);
    Ok(Parts {
        model: model.into(),
        normalizer: table.map(Into::into),
        pre_tokenizer: Sequence::new(vec![WhitespaceSplit.into(), words.into()]).into(),
        ends: ["bos_token", "eos_token"],
        tokens,
    })
}
