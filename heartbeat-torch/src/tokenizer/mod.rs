//! Texts become the ids that Python's `AutoTokenizer` gives them.
//!
//! The truth is what transformers 5 makes of a folder, which is not always what its files say: a
//! tokenizer of RoBERTa's or XLM-RoBERTa's own class takes the tokens, the merges and the table of
//! characters from `tokenizer.json` and does the rest in its own way.
//!
//! A text is taken apart as a whole and cut to the model's length then, as Python does. That takes
//! time in proportion to its length, about a second for a million bytes.

mod bpe;
mod file;
mod settings;
#[cfg(test)]
mod tests;
mod unigram;

use std::panic::{self, AssertUnwindSafe};

use heartbeat_core::{Error, Result};
use tokenizers::processors::roberta::RobertaProcessing;
use tokenizers::{
    ModelWrapper, NormalizerWrapper, PostProcessor, PreTokenizerWrapper, TruncationParams,
};

use crate::architecture::Architecture;
use crate::files::{TokenizerFiles, Vocabulary};
use settings::{Class, Settings};

/// Turns texts into ids, for models of one architecture.
#[derive(Debug)]
pub(crate) struct Tokenizer(tokenizers::Tokenizer);

impl Tokenizer {
    /// Reads a tokenizer for a model of that architecture.
    ///
    /// # Errors
    /// A file cannot be read or is not what it should be, the special tokens are not among the
    /// tokens, or there are more tokens than the model knows.
    pub(crate) fn open(files: &TokenizerFiles, architecture: &Architecture) -> Result<Self> {
        guarded(|| {
            let settings = Settings::open(files)?;
            let class = settings.class(architecture.kind)?;
            let (path, tokenizer) = match &files.vocabulary {
                Vocabulary::Json(path) => {
                    let json = file::read(path)?;
                    (path, read_json(&json, settings, class, architecture))
                }
                Vocabulary::Bpe { vocab, merges } => {
                    class.must_be(Class::Roberta)?;
                    let (tokens, merges) = (file::read(vocab)?, file::read(merges)?);
                    let parts = bpe::from_files(&tokens, &merges, &settings);
                    (
                        vocab,
                        parts.and_then(|it| assemble(it, &settings, architecture)),
                    )
                }
                Vocabulary::SentencePiece(path) => {
                    class.must_be(Class::XlmRoberta)?;
                    let parts = unigram::from_sentencepiece(&file::read(path)?, &settings);
                    (
                        path,
                        parts.and_then(|it| assemble(it, &settings, architecture)),
                    )
                }
            };
            tokenizer.map_err(|error| error.with("file", path.display()))
        })
    }

    /// Reads the content of a `tokenizer.json` that has no other file beside it.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub(crate) fn from_bytes(json: &[u8], architecture: &Architecture) -> Result<Self> {
        let settings = Settings::default();
        let class = settings.class(architecture.kind)?;
        guarded(|| read_json(json, settings, class, architecture))
    }

    /// The ids of `text` with the special ones at both ends, at most as many as the model takes.
    ///
    /// # Errors
    /// The tokenizer's own files are broken in a way that only this text shows.
    pub(crate) fn encode(&self, text: &str) -> Result<Vec<u32>> {
        guarded(|| {
            let encoding = self.0.encode_fast(text, true).map_err(refused)?;
            Ok(encoding.get_ids().to_vec())
        })
    }
}

/// What a tokenizer is made of, but for its settings.
struct Parts {
    model: ModelWrapper,
    normalizer: Option<NormalizerWrapper>,
    pre_tokenizer: PreTokenizerWrapper,
    /// Which of the special tokens stand before and behind a text.
    ends: [&'static str; 2],
    /// Tokens that stand for themselves wherever they are in a text.
    tokens: Vec<tokenizers::AddedToken>,
}

fn read_json(
    json: &[u8],
    mut settings: Settings,
    class: Class,
    architecture: &Architecture,
) -> Result<Tokenizer> {
    let parts = match class {
        Class::Roberta => bpe::from_json(json, &mut settings)?,
        Class::XlmRoberta => unigram::from_json(json, &mut settings)?,
        Class::File => {
            let tokenizer = file::as_it_is(json, &mut settings)?;
            return finish(tokenizer, &settings, architecture);
        }
    };
    assemble(parts, &settings, architecture)
}

fn assemble(parts: Parts, settings: &Settings, architecture: &Architecture) -> Result<Tokenizer> {
    let mut tokenizer = tokenizers::Tokenizer::new(parts.model);
    tokenizer
        .with_normalizer(parts.normalizer)
        .map_err(refused)?
        .with_pre_tokenizer(Some(parts.pre_tokenizer));
    let [begin, end] = parts.ends.map(|name| settings.known(name, &tokenizer));
    let (begin, end) = (begin?, end?);
    tokenizer
        .add_tokens(settings.tokens(parts.tokens)?)
        .map_err(refused)?;
    // Both are in the vocabulary or among the tokens just added.
    let id = |content: String| {
        let id = tokenizer.token_to_id(&content).unwrap_or_default();
        (content, id)
    };
    let ends = RobertaProcessing::new(id(end), id(begin)).trim_offsets(false);
    tokenizer.with_post_processor(Some(ends));
    finish(tokenizer, settings, architecture)
}

/// Sets what is the same for all, whatever a file says of it, and checks that tokenizer and model belong together.
fn finish(
    mut tokenizer: tokenizers::Tokenizer,
    settings: &Settings,
    architecture: &Architecture,
) -> Result<Tokenizer> {
    let added = tokenizer
        .get_post_processor()
        .map_or(0, |ends| ends.added_tokens(false));
    if added == 0 || added >= architecture.max_tokens {
        return Err(
            Error::misconfigured("the tokenizer does not mark where a text begins")
                .with("special tokens added", added)
                .hint("Save it with a post-processor, as RoBERTa's tokenizers have one."),
        );
    }
    tokenizer
        .with_padding(None)
        .with_truncation(Some(TruncationParams {
            max_length: architecture.max_tokens,
            direction: settings.truncation_side()?,
            ..TruncationParams::default()
        }))
        .map_err(refused)?;
    tokenizer.set_encode_special_tokens(settings.split_special_tokens()?);
    let largest = tokenizer
        .get_vocab(true)
        .into_iter()
        .max_by_key(|(_, id)| *id);
    match largest {
        Some((token, id)) if i64::from(id) >= architecture.vocab => Err(Error::misconfigured(
            "the tokenizer has more tokens than the model knows",
        )
        .with("token", format!("{token:?}"))
        .with("id", id)
        .with("model's vocab_size", architecture.vocab)
        .hint("Take the tokenizer that the model was trained with.")),
        _ => Ok(Tokenizer(tokenizer)),
    }
}

/// The library refused what was read.
fn refused(error: tokenizers::Error) -> Error {
    Error::misconfigured("the tokenizer's files cannot be used").caused_by(error)
}

/// Runs what uses a model's tables, which the library trusts: a broken one makes it panic.
fn guarded<T>(work: impl FnOnce() -> Result<T>) -> Result<T> {
    panic::catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| {
        Err(Error::misconfigured("the tokenizer's tables are broken")
            .hint("Fetch its files again."))
    })
}
