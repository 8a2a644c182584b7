//! What the small files beside the tokens say.

use std::collections::BTreeMap;
use std::path::Path;

use heartbeat_core::{Error, Result};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use tokenizers::{AddedToken, Tokenizer, TruncationDirection};

use super::file::malformed;
use crate::architecture::Kind;
use crate::files::{TokenizerFiles, read_small};

/// The special tokens that every tokenizer of this family has, and what they are when nobody says
/// otherwise.
const NAMED: [(&str, &str); 7] = [
    ("bos_token", "<s>"),
    ("eos_token", "</s>"),
    ("unk_token", "<unk>"),
    ("sep_token", "</s>"),
    ("pad_token", "<pad>"),
    ("cls_token", "<s>"),
    ("mask_token", "<mask>"),
];

/// Who decides how a text is taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    /// The class of RoBERTa's tokenizers.
    Roberta,
    /// The class of XLM-RoBERTa's.
    XlmRoberta,
    /// `tokenizer.json`, in all it says.
    File,
}

impl Class {
    /// Checks that the vocabulary that is there is one for this class.
    pub(super) fn must_be(self, class: Self) -> Result<()> {
        if self == class {
            return Ok(());
        }
        Err(Error::misconfigured("the tokenizer's class cannot use the vocabulary that is there")
            .with("class", format!("{self:?}"))
            .with("vocabulary for", format!("{class:?}"))
            .hint("Add its tokenizer.json, or correct `tokenizer_class` in tokenizer_config.json."))
    }
}

/// `tokenizer_config.json` and what belongs to it.
#[derive(Debug, Default)]
pub(super) struct Settings {
    values: Map<String, Value>,
    /// Tokens that stand for themselves wherever they are in a text, by id.
    added: BTreeMap<u32, AddedToken>,
    /// Whether `added` came with the settings and is all there is.
    complete: bool,
    truncation: Option<TruncationDirection>,
}

/// A token as files have it.
#[derive(Deserialize)]
pub(super) struct Token {
    content: String,
    #[serde(default)]
    single_word: bool,
    #[serde(default)]
    lstrip: bool,
    #[serde(default)]
    rstrip: bool,
    normalized: Option<bool>,
    #[serde(default)]
    special: bool,
}

impl From<Token> for AddedToken {
    fn from(token: Token) -> Self {
        Self {
            normalized: token.normalized.unwrap_or(!token.special),
            content: token.content,
            single_word: token.single_word,
            lstrip: token.lstrip,
            rstrip: token.rstrip,
            special: token.special,
        }
    }
}

/// A special token as files have it: nothing but its text, or all of it.
#[derive(Deserialize)]
#[serde(untagged)]
enum Special {
    Text(String),
    Token(Token),
}

impl From<Special> for AddedToken {
    fn from(special: Special) -> Self {
        match special {
            Special::Text(text) => Self::from(text, true),
            Special::Token(token) => Token {
                special: true,
                ..token
            }
            .into(),
        }
    }
}

impl Settings {
    pub(super) fn open(files: &TokenizerFiles) -> Result<Self> {
        let mut settings = Self::default();
        if let Some(path) = &files.config {
            settings.values = read(path)?;
            settings.rename_extra_tokens();
        }
        if let Some(tokens) = settings.get::<BTreeMap<u32, Token>>("added_tokens_decoder")? {
            settings.add(tokens);
            settings.complete = true;
            return Ok(settings);
        }
        // Older ways to say the same.
        if let Some(path) = &files.special_tokens {
            settings.values.extend(read::<Map<String, Value>>(path)?);
        }
        if let Some(path) = &files.added_tokens {
            let tokens: BTreeMap<String, u32> = read(path)?;
            let special = settings.tokens_but(|_| false)?;
            for (content, id) in tokens {
                let special = special.iter().any(|token| token.content == content);
                settings
                    .added
                    .insert(id, AddedToken::from(content, special));
            }
        }
        Ok(settings)
    }

    /// Lists of further special tokens have an old name and a new one, which counts if not empty.
    fn rename_extra_tokens(&mut self) {
        let values = &mut self.values;
        let new = values.get("extra_special_tokens").and_then(Value::as_array);
        if new.is_none_or(Vec::is_empty)
            && let Some(old) = values.remove("additional_special_tokens")
        {
            values.insert("extra_special_tokens".to_owned(), old);
        }
    }

    /// Adds tokens that another file names, unless the settings have named all there are.
    pub(super) fn add(&mut self, tokens: impl IntoIterator<Item = (u32, Token)>) {
        if !self.complete {
            let tokens = tokens.into_iter().map(|(id, token)| (id, token.into()));
            self.added.extend(tokens);
        }
    }

    /// Who decides how a text is taken apart, for a model of that kind.
    pub(super) fn class(&self, kind: Kind) -> Result<Class> {
        let name: Option<String> = self.get("tokenizer_class")?;
        match (name.as_deref(), kind) {
            (Some("RobertaTokenizer" | "RobertaTokenizerFast"), _) | (None, Kind::Roberta) => {
                Ok(Class::Roberta)
            }
            (Some("XLMRobertaTokenizer" | "XLMRobertaTokenizerFast"), _)
            | (None, Kind::XlmRoberta) => Ok(Class::XlmRoberta),
            (Some("PreTrainedTokenizerFast" | "TokenizersBackend"), _) => Ok(Class::File),
            (Some(other), _) => Err(Error::misconfigured("no such class of tokenizers here")
                .with("tokenizer_class", other)
                .hint(
                    "RobertaTokenizer, XLMRobertaTokenizer and PreTrainedTokenizerFast (for what \
                     tokenizer.json says) are known, each also by its other name.",
                )),
        }
    }

    pub(super) fn add_prefix_space(&self) -> Result<Option<bool>> {
        self.get("add_prefix_space")
    }

    /// Whether special tokens in a text are text like any other.
    pub(super) fn split_special_tokens(&self) -> Result<bool> {
        Ok(self.get("split_special_tokens")?.unwrap_or(false))
    }

    /// Which end of a long text is cut off.
    pub(super) fn truncation_side(&self) -> Result<TruncationDirection> {
        let side: Option<String> = self.get("truncation_side")?;
        match (side.as_deref(), self.truncation) {
            (Some("left"), _) => Ok(TruncationDirection::Left),
            (Some("right"), _) => Ok(TruncationDirection::Right),
            (Some(other), _) => Err(Error::misconfigured("no such side of a text")
                .with("truncation_side", other)
                .hint("It is `left` or `right`.")),
            (None, default) => Ok(default.unwrap_or_default()),
        }
    }

    /// What `tokenizer.json` says of [`truncation_side`](Self::truncation_side), which counts where
    /// the settings say nothing.
    pub(super) fn truncate_by_default(&mut self, side: TruncationDirection) {
        self.truncation = Some(side);
    }

    /// The text of the special token of that name.
    pub(super) fn text(&self, name: &'static str) -> Result<String> {
        let token = self.named(name, true)?;
        token.map(|token| token.content).ok_or_else(|| {
            Error::misconfigured("the tokenizer lacks a special token that it needs")
                .with("name", name)
                .hint("Name it in tokenizer_config.json.")
        })
    }

    /// The text of the special token of that name, which is among the tokens of `tokenizer`.
    pub(super) fn known(&self, name: &'static str, tokenizer: &Tokenizer) -> Result<String> {
        let text = self.text(name)?;
        let added = self.added.values().any(|token| token.content == text);
        if added || tokenizer.token_to_id(&text).is_some() {
            return Ok(text);
        }
        Err(
            Error::misconfigured("a special token is not in the vocabulary")
                .with(name, format!("{text:?}"))
                .hint("Take the vocabulary that the model was trained with."),
        )
    }

    /// All tokens that stand for themselves wherever they are in a text, in the order in which
    /// those that the vocabulary lacks get their ids. `pieces` are those that the vocabulary itself
    /// marks so; they count where the settings have no list of their own.
    pub(super) fn tokens(&self, pieces: Vec<AddedToken>) -> Result<Vec<AddedToken>> {
        self.collect(true, |_| false, pieces)
    }

    /// As [`tokens`](Self::tokens), without defaults and without special tokens that are `known`.
    pub(super) fn tokens_but(&self, known: impl Fn(&str) -> bool) -> Result<Vec<AddedToken>> {
        self.collect(false, known, Vec::new())
    }

    fn collect(
        &self,
        defaults: bool,
        known: impl Fn(&str) -> bool,
        pieces: Vec<AddedToken>,
    ) -> Result<Vec<AddedToken>> {
        let mut special = Vec::new();
        for (name, _) in NAMED {
            special.extend(self.named(name, defaults)?);
        }
        for (name, value) in &self.values {
            let is_token = value.is_string() || value["content"].is_string();
            if name.ends_with("_token") && is_token && !NAMED.iter().any(|(it, _)| it == name) {
                special.extend(self.get::<Special>(name)?.map(Into::into));
            }
        }
        let listed = |name| {
            Ok(self
                .get::<Vec<Special>>(name)?
                .map(|it| it.into_iter().map(Into::into)))
        };
        match listed("extra_special_tokens")? {
            Some(tokens) => special.extend(tokens),
            None if !pieces.is_empty() => special.extend(pieces),
            None => special.extend(listed("additional_special_tokens")?.into_iter().flatten()),
        }
        special.retain(|it| {
            let added = self.added.values().any(|token| token.content == it.content);
            !added && !known(&it.content)
        });
        Ok(self.added.values().cloned().chain(special).collect())
    }

    fn named(&self, name: &'static str, defaults: bool) -> Result<Option<AddedToken>> {
        let default = NAMED.iter().find(|(it, _)| defaults && *it == name);
        match (self.values.contains_key(name), default) {
            (false, Some((_, text))) => Ok(Some(AddedToken::from(*text, true))),
            _ => Ok(self.get::<Special>(name)?.map(Into::into)),
        }
    }

    /// What the settings say of `key`; nothing where it is absent or null.
    fn get<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>> {
        let value = self.values.get(key).unwrap_or(&Value::Null);
        Option::deserialize(value).map_err(|error| malformed(error).with("key", key))
    }
}

/// Reads a small JSON file.
fn read<T: DeserializeOwned>(path: &Path) -> Result<T> {
    serde_json::from_slice(&read_small(path)?)
        .map_err(|error| malformed(error).with("file", path.display()))
}
