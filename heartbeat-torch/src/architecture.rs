//! What `config.json` says of a model: its kind, its sizes, its labels.

use std::collections::BTreeMap;
use std::path::Path;

use heartbeat_core::{Error, Result};
use serde::Deserialize;

use crate::files;

/// A model that this crate can run, its sizes checked against each other.
///
/// Sizes are what tensors want as theirs, positive and at most [`LARGEST`].
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Architecture {
    pub(crate) kind: Kind,
    /// The width of a token's vector, a multiple of `heads`.
    pub(crate) hidden: i64,
    pub(crate) layers: usize,
    pub(crate) heads: i64,
    /// The width between the two halves of a feed-forward block.
    pub(crate) intermediate: i64,
    /// How many tokens the model knows.
    pub(crate) vocab: i64,
    /// How many positions it knows, those up to `padding_id` among them, which no token ever has.
    pub(crate) positions: i64,
    /// The id of the padding token; a text's first token is at the position after this number.
    pub(crate) padding_id: i64,
    pub(crate) layer_norm_eps: f64,
    /// How many kinds of segments it knows; texts are of kind 0.
    pub(crate) type_vocab: i64,
    /// Which of the three logits is negative, which neutral, which positive.
    pub(crate) labels: [usize; 3],
    /// How many tokens a text may have, its begin and end among them.
    pub(crate) max_tokens: usize,
}

/// The kinds of models that this crate can run. They differ in how texts become tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Roberta,
    XlmRoberta,
}

/// No size of a model may be larger. Far above every model there is, and low enough that the
/// product of two sizes is still a size in bytes.
const LARGEST: i64 = 1 << 24;

/// The names of the labels, in the order of [`Architecture::labels`].
const LABELS: [&str; 3] = ["negative", "neutral", "positive"];

/// The part of `config.json` that tells what the rest of it means.
#[derive(Deserialize)]
struct Identity {
    model_type: Option<String>,
    #[serde(default)]
    architectures: Option<Vec<String>>,
}

/// The part of `config.json` that changes what the model computes. What may be missing has the
/// meaning that Python's transformers gives it then.
#[derive(Deserialize)]
struct Config {
    hidden_size: i64,
    num_hidden_layers: i64,
    num_attention_heads: i64,
    intermediate_size: i64,
    vocab_size: i64,
    max_position_embeddings: i64,
    pad_token_id: i64,
    type_vocab_size: i64,
    layer_norm_eps: f64,
    hidden_act: String,
    position_embedding_type: Option<String>,
    #[serde(default)]
    is_decoder: bool,
    problem_type: Option<String>,
    quantization_config: Option<serde::de::IgnoredAny>,
    id2label: Option<BTreeMap<String, String>>,
}

impl Architecture {
    /// Reads the file in `path`.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        Self::parse(&files::read_small(path)?, &path.display().to_string())
    }

    /// Reads the `json` that was found in `place`.
    pub(crate) fn parse(json: &[u8], place: &str) -> Result<Self> {
        read(json).map_err(|error| error.with("file", place))
    }

    /// How many numbers such a model has learned.
    pub(crate) fn parameters(&self) -> u64 {
        let [hidden, intermediate] = [self.hidden, self.intermediate].map(i128::from);
        let rows =
            i128::from(self.vocab) + i128::from(self.positions) + i128::from(self.type_vocab);
        let linear = |from: i128, to: i128| (from + 1) * to;
        let norm = 2 * hidden;
        let attention = 4 * linear(hidden, hidden) + norm;
        let feed_forward = linear(hidden, intermediate) + linear(intermediate, hidden) + norm;
        let head = linear(hidden, hidden) + linear(hidden, LABELS.len() as i128);
        let all = rows * hidden + norm + self.layers as i128 * (attention + feed_forward) + head;
        u64::try_from(all).unwrap_or(u64::MAX)
    }
}

fn read(json: &[u8]) -> Result<Architecture> {
    let identity: Identity = decode(json)?;
    let kind = kind(&identity)?;
    let config: Config = decode(json)?;
    refuse_other_computations(&config)?;

    let sizes = [
        ("hidden_size", config.hidden_size),
        ("num_hidden_layers", config.num_hidden_layers),
        ("num_attention_heads", config.num_attention_heads),
        ("intermediate_size", config.intermediate_size),
        ("vocab_size", config.vocab_size),
        ("max_position_embeddings", config.max_position_embeddings),
        ("type_vocab_size", config.type_vocab_size),
    ];
    for (name, size) in sizes {
        if !(1..=LARGEST).contains(&size) {
            return Err(odd(name, size).with("allowed", format!("1 to {LARGEST}")));
        }
    }
    if config.hidden_size % config.num_attention_heads != 0 {
        return Err(odd("hidden_size", config.hidden_size).with(
            "not a multiple of num_attention_heads",
            config.num_attention_heads,
        ));
    }
    if !(0..config.vocab_size).contains(&config.pad_token_id) {
        return Err(odd("pad_token_id", config.pad_token_id)
            .with("allowed", format!("0 to {}", config.vocab_size - 1)));
    }
    // A text is at least its begin, one token and its end.
    let max_tokens = config.max_position_embeddings - config.pad_token_id - 1;
    if max_tokens < 3 {
        return Err(
            odd("max_position_embeddings", config.max_position_embeddings)
                .with("not large enough for pad_token_id", config.pad_token_id),
        );
    }
    if !(config.layer_norm_eps > 0.0 && config.layer_norm_eps < 1.0) {
        return Err(odd("layer_norm_eps", config.layer_norm_eps).with("allowed", "between 0 and 1"));
    }

    Ok(Architecture {
        kind,
        hidden: config.hidden_size,
        layers: config.num_hidden_layers as usize,
        heads: config.num_attention_heads,
        intermediate: config.intermediate_size,
        vocab: config.vocab_size,
        positions: config.max_position_embeddings,
        padding_id: config.pad_token_id,
        layer_norm_eps: config.layer_norm_eps,
        type_vocab: config.type_vocab_size,
        labels: labels(config.id2label.as_ref())?,
        max_tokens: max_tokens as usize,
    })
}

fn decode<'a, T: Deserialize<'a>>(json: &'a [u8]) -> Result<T> {
    serde_json::from_slice(json).map_err(|error| {
        Error::misconfigured("cannot read the model's configuration")
            .caused_by(error)
            .hint("Fetch the file again, or save the model anew with Python's transformers.")
    })
}

fn kind(identity: &Identity) -> Result<Kind> {
    let (kind, class) = match identity.model_type.as_deref() {
        Some("roberta") => (Kind::Roberta, "RobertaForSequenceClassification"),
        Some("xlm-roberta") => (Kind::XlmRoberta, "XLMRobertaForSequenceClassification"),
        other => return Err(another("model_type", other.unwrap_or("missing"))),
    };
    match &identity.architectures {
        Some(classes) if !classes.iter().any(|name| name == class) => {
            Err(another("architectures", &classes.join(", ")))
        }
        // A file that names none may still be one; its weights tell.
        _ => Ok(kind),
    }
}

/// Refuses what would make the same weights mean other scores.
fn refuse_other_computations(config: &Config) -> Result<()> {
    if config.hidden_act != "gelu" {
        return Err(another("hidden_act", &config.hidden_act));
    }
    match config.position_embedding_type.as_deref() {
        None | Some("absolute") => {}
        Some(other) => return Err(another("position_embedding_type", other)),
    }
    match config.problem_type.as_deref() {
        None | Some("single_label_classification") => {}
        Some(other) => return Err(another("problem_type", other)),
    }
    if config.is_decoder {
        return Err(another("is_decoder", "true"));
    }
    if config.quantization_config.is_some() {
        return Err(another("quantization_config", "present"));
    }
    Ok(())
}

/// Which logit is which, by name.
fn labels(names: Option<&BTreeMap<String, String>>) -> Result<[usize; 3]> {
    const HINT: &str = "Name them in `id2label` of config.json, as the model's card tells their \
        order: for example {\"0\": \"negative\", \"1\": \"neutral\", \"2\": \"positive\"}.";
    let Some(names) = names else {
        return Err(Error::misconfigured("the model's labels have no names").hint(HINT));
    };
    let place = |label: &str| {
        let mut ids = names
            .iter()
            .filter(|(_, name)| name.trim().eq_ignore_ascii_case(label))
            .map(|(id, _)| id.parse().ok().filter(|id| *id < LABELS.len()));
        match (ids.next(), ids.next()) {
            (Some(id), None) => id,
            _ => None,
        }
    };
    match LABELS.map(place) {
        [Some(negative), Some(neutral), Some(positive)] if names.len() == LABELS.len() => {
            Ok([negative, neutral, positive])
        }
        _ => {
            let found: Vec<_> = names
                .iter()
                .map(|(id, name)| format!("{id} {name}"))
                .collect();
            let unnamed = names.values().all(|name| name.starts_with("LABEL_"));
            let hint = if unnamed && names.len() == LABELS.len() {
                HINT
            } else {
                "Choose a model that tells negative, neutral and positive texts apart."
            };
            Err(
                Error::misconfigured("the model's labels are not negative, neutral and positive")
                    .with("labels", found.join(", "))
                    .hint(hint),
            )
        }
    }
}

/// The model is of another kind than this crate runs.
fn another(name: &'static str, found: &str) -> Error {
    Error::misconfigured("this kind of model cannot be run")
        .with(name, found)
        .hint(
            "Choose a RoBERTa or XLM-RoBERTa model for sequence classification, with one of \
             three labels a text, exact GELU and absolute positions.",
        )
}

/// A number that no model has.
fn odd(name: &'static str, found: impl std::fmt::Display) -> Error {
    Error::misconfigured("a number in the model's configuration cannot be right")
        .with(name, found)
        .hint("Fetch the file again.")
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// The published configuration of the family's best-known model.
    fn published() -> Value {
        json!({
            "architectures": ["RobertaForSequenceClassification"],
            "attention_probs_dropout_prob": 0.1,
            "bos_token_id": 0,
            "classifier_dropout": null,
            "eos_token_id": 2,
            "hidden_act": "gelu",
            "hidden_dropout_prob": 0.1,
            "hidden_size": 768,
            "id2label": {"0": "negative", "1": "neutral", "2": "positive"},
            "initializer_range": 0.02,
            "intermediate_size": 3072,
            "label2id": {"negative": 0, "neutral": 1, "positive": 2},
            "layer_norm_eps": 1e-05,
            "max_position_embeddings": 514,
            "model_type": "roberta",
            "num_attention_heads": 12,
            "num_hidden_layers": 12,
            "pad_token_id": 1,
            "position_embedding_type": "absolute",
            "type_vocab_size": 1,
            "vocab_size": 50265
        })
    }

    /// The published configuration with `changes` to it; a null takes a key away.
    fn changed(changes: Value) -> Result<Architecture> {
        let mut config = published();
        for (key, value) in changes.as_object().unwrap() {
            match value {
                Value::Null => config.as_object_mut().unwrap().remove(key),
                _ => config
                    .as_object_mut()
                    .unwrap()
                    .insert(key.clone(), value.clone()),
            };
        }
        Architecture::parse(config.to_string().as_bytes(), "model/config.json")
    }

    #[test]
    fn parameters_are_those_that_python_counts() {
        let published = changed(json!({})).unwrap();
        assert_eq!(published.parameters(), 124_647_939);
    }

    #[test]
    fn the_published_model_is_read() {
        assert_eq!(
            changed(json!({})).unwrap(),
            Architecture {
                kind: Kind::Roberta,
                hidden: 768,
                layers: 12,
                heads: 12,
                intermediate: 3072,
                vocab: 50265,
                positions: 514,
                padding_id: 1,
                layer_norm_eps: 1e-5,
                type_vocab: 1,
                labels: [0, 1, 2],
                max_tokens: 512,
            }
        );
    }

    #[test]
    fn what_python_takes_for_granted_may_be_missing() {
        let explicit = changed(json!({})).unwrap();
        for key in ["architectures", "position_embedding_type", "label2id"] {
            assert_eq!(changed(json!({key: null})).unwrap(), explicit, "{key}");
        }
        let single = json!({"problem_type": "single_label_classification", "is_decoder": false});
        assert_eq!(changed(single).unwrap(), explicit);
    }

    #[test]
    fn the_multilingual_kind_is_read() {
        let architecture = changed(json!({
            "model_type": "xlm-roberta",
            "architectures": ["XLMRobertaForSequenceClassification"],
            "vocab_size": 250_002,
        }))
        .unwrap();
        assert_eq!(architecture.kind, Kind::XlmRoberta);
        assert_eq!(architecture.vocab, 250_002);
    }

    #[test]
    fn labels_are_known_by_name_in_any_order_and_case() {
        for (names, labels) in [
            (["Negative", "Neutral", "Positive"], [0, 1, 2]),
            (["POSITIVE", "NEGATIVE", "NEUTRAL"], [1, 2, 0]),
            (["neutral", " positive", "negative"], [2, 0, 1]),
        ] {
            let id2label = json!({"0": names[0], "1": names[1], "2": names[2]});
            let architecture = changed(json!({"id2label": id2label})).unwrap();
            assert_eq!(architecture.labels, labels, "{names:?}");
        }
    }

    #[test]
    fn what_cannot_be_run_is_refused_by_name() {
        for (changes, told) in [
            (json!({"model_type": "bert"}), "model_type bert"),
            (
                json!({"model_type": "distilbert", "hidden_size": null}),
                "model_type distilbert",
            ),
            (json!({"model_type": null}), "model_type missing"),
            (
                json!({"architectures": ["RobertaForMaskedLM"]}),
                "architectures RobertaForMaskedLM",
            ),
            (
                json!({"architectures": ["XLMRobertaForSequenceClassification"]}),
                "architectures XLM",
            ),
            (json!({"architectures": []}), "architectures "),
            (json!({"hidden_act": "gelu_new"}), "hidden_act gelu_new"),
            (json!({"hidden_act": null}), "missing field `hidden_act`"),
            (
                json!({"position_embedding_type": "relative_key"}),
                "position_embedding_type relative_key",
            ),
            (
                json!({"problem_type": "regression"}),
                "problem_type regression",
            ),
            (
                json!({"problem_type": "multi_label_classification"}),
                "problem_type multi_label",
            ),
            (json!({"is_decoder": true}), "is_decoder true"),
            (
                json!({"quantization_config": {"bits": 4}}),
                "quantization_config present",
            ),
            (json!({"hidden_size": 0}), "hidden_size 0"),
            (json!({"hidden_size": -768}), "hidden_size -768"),
            (json!({"hidden_size": "768"}), "invalid type: string"),
            (json!({"hidden_size": null}), "missing field `hidden_size`"),
            (
                json!({"num_hidden_layers": 1_u64 << 40}),
                "num_hidden_layers 1099511627776",
            ),
            (json!({"vocab_size": u64::MAX}), "invalid value"),
            (json!({"type_vocab_size": 0}), "type_vocab_size 0"),
            (
                json!({"intermediate_size": 1 << 25}),
                "intermediate_size 33554432",
            ),
            (
                json!({"num_attention_heads": 7}),
                "not a multiple of num_attention_heads 7",
            ),
            (json!({"pad_token_id": -1}), "pad_token_id -1"),
            (json!({"pad_token_id": 50265}), "pad_token_id 50265"),
            (
                json!({"pad_token_id": 512}),
                "not large enough for pad_token_id 512",
            ),
            (json!({"layer_norm_eps": 0.0}), "layer_norm_eps 0"),
            (json!({"layer_norm_eps": 1e300}), "layer_norm_eps 1000"),
        ] {
            let error = changed(changes.clone()).unwrap_err();
            assert!(error.report().contains(told), "{changes}: {error:?}");
            assert!(
                error.report().contains("(file model/config.json")
                    || error.to_string().contains("file model/config.json"),
                "{error:?}"
            );
            assert!(error.advice().is_some(), "{error:?}");
        }
    }

    #[test]
    fn other_labels_are_refused_and_never_guessed() {
        let name = "Name them in `id2label`";
        let choose = "Choose a model";
        for (labels, told, advice) in [
            (json!(null), "have no names", name),
            (
                json!({"0": "LABEL_0", "1": "LABEL_1", "2": "LABEL_2"}),
                "labels 0 LABEL_0, 1 LABEL_1, 2 LABEL_2",
                name,
            ),
            (
                json!({"0": "negative", "1": "positive"}),
                "labels 0 negative, 1 positive",
                choose,
            ),
            (
                json!({"0": "anger", "1": "joy", "2": "fear"}),
                "0 anger",
                choose,
            ),
            (
                json!({"0": "negative", "1": "neutral", "2": "neutral"}),
                "2 neutral",
                choose,
            ),
            (
                json!({"1": "negative", "2": "neutral", "3": "positive"}),
                "3 positive",
                choose,
            ),
            (
                json!({"0": "negative", "1": "neutral", "2": "positive", "3": "mixed"}),
                "3 mixed",
                choose,
            ),
        ] {
            let error = changed(json!({"id2label": labels})).unwrap_err();
            assert!(error.report().contains(told), "{error:?}");
            assert!(error.advice().unwrap().contains(advice), "{error:?}");
        }
    }

    #[test]
    fn what_is_no_json_is_refused() {
        for json in [
            "",
            "[]",
            "{",
            "\u{0}",
            "version https://git-lfs.github.com/spec/v1",
        ] {
            let error = Architecture::parse(json.as_bytes(), "x").unwrap_err();
            assert!(
                error.to_string().contains("cannot read"),
                "{json:?}: {error:?}"
            );
        }
        let deep = "[".repeat(100_000);
        Architecture::parse(deep.as_bytes(), "x").unwrap_err();
    }

    proptest::proptest! {
        #[test]
        fn no_damage_makes_it_panic(at in 0_usize..900, byte: u8) {
            let mut json = published().to_string().into_bytes();
            let at = at % json.len();
            json[at] = byte;
            let _ = Architecture::parse(&json, "x");
        }
    }
}
