//! The ids are those of Python's `AutoTokenizer`, transformers 5.23.
//!
//! `tests/tokenizer/folders.json` tells of folders in every way they come, `expected.jsonl` of texts
//! and of what Python made of them in each. With `HEARTBEAT_PYTHON` (a Python that has transformers) it
//! is asked again, and with `HEARTBEAT_TWEETS` (JSON lines with a `text`) about those tweets too;
//! `HEARTBEAT_REQUIRE_DATA` makes it an error that they are not there.

use std::collections::{BTreeMap, HashMap};
use std::env;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::LazyLock;

use proptest::prelude::*;
use serde::Deserialize;
use serde_json::Value;
use tempfile::TempDir;

use super::*;
use crate::files::TokenizerFiles;

const DATA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/tokenizer");

/// Files of a fixture, and others beside them.
#[derive(Deserialize)]
struct Folder {
    name: String,
    from: String,
    take: Vec<String>,
    #[serde(default)]
    write: BTreeMap<String, Value>,
}

impl Folder {
    fn all() -> Vec<Self> {
        let folders = fs::read(Path::new(DATA).join("folders.json")).unwrap();
        serde_json::from_slice(&folders).unwrap()
    }

    fn named(name: &str) -> Self {
        let found = Self::all().into_iter().find(|it| it.name == name);
        found.expect("a folder of that name")
    }

    fn make(&self) -> TempDir {
        let dir = tempfile::tempdir().unwrap();
        for name in &self.take {
            fs::copy(fixture(&self.from).join(name), dir.path().join(name)).unwrap();
        }
        for (name, content) in &self.write {
            fs::write(dir.path().join(name), content.to_string()).unwrap();
        }
        dir
    }

    fn open(&self) -> Tokenizer {
        open(self.make().path(), &architecture(&self.from)).unwrap()
    }
}

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fixtures")
        .join(name)
}

/// The fixture's architecture, with room for a few more tokens.
fn architecture(fixture_name: &str) -> Architecture {
    let architecture = Architecture::open(&fixture(fixture_name).join("config.json")).unwrap();
    Architecture {
        vocab: architecture.vocab + 9,
        ..architecture
    }
}

fn open(dir: &Path, architecture: &Architecture) -> Result<Tokenizer> {
    let file = |name| Some(dir.join(name)).filter(|path| path.exists());
    let bpe = || {
        let vocab = file("vocab.json")?;
        let merges = file("merges.txt")?;
        Some(Vocabulary::Bpe { vocab, merges })
    };
    let pieces = || file("sentencepiece.bpe.model").map(Vocabulary::SentencePiece);
    let json = file("tokenizer.json").map(Vocabulary::Json);
    let files = TokenizerFiles {
        vocabulary: json.or_else(bpe).or_else(pieces).unwrap(),
        config: file("tokenizer_config.json"),
        special_tokens: file("special_tokens_map.json"),
        added_tokens: file("added_tokens.json"),
    };
    Tokenizer::open(&files, architecture)
}

/// A text and what Python makes of it, by folder, or by fixture where all of its folders agree.
#[derive(Deserialize)]
struct Expected {
    text: String,
    #[serde(default = "once")]
    times: usize,
    ids: HashMap<String, Vec<u32>>,
}

fn once() -> usize {
    1
}

fn parse(lines: &str) -> Vec<Expected> {
    let lines = lines.lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn ask_python(python: &Path, texts: &Path) -> Vec<Expected> {
    let answer = Command::new(python)
        .arg(Path::new(DATA).join("encode.py"))
        .stdin(File::open(texts).expect("the texts"))
        .stderr(Stdio::inherit())
        .output()
        .expect("Python starts");
    assert!(answer.status.success(), "Python failed");
    parse(&String::from_utf8(answer.stdout).expect("UTF-8"))
}

fn assert_equal(folders: &[(Folder, Tokenizer)], expected: &[Expected]) {
    for (folder, tokenizer) in folders {
        for Expected { text, times, ids } in expected {
            let expected = ids.get(&folder.name).unwrap_or_else(|| &ids[&folder.from]);
            let found = tokenizer.encode(&text.repeat(*times)).unwrap();
            assert_eq!(&found, expected, "{}: {times} times {text:?}", folder.name);
        }
    }
}

#[test]
fn ids_are_those_of_python() {
    let folders = Folder::all().into_iter();
    let folders: Vec<_> = folders
        .map(|it| {
            let tokenizer = it.open();
            (it, tokenizer)
        })
        .collect();
    let path = Path::new(DATA).join("expected.jsonl");
    let expected = parse(&fs::read_to_string(&path).unwrap());
    assert!(expected.len() >= 60, "only {} texts", expected.len());
    assert_equal(&folders, &expected);

    let given = |name| env::var_os(name).map(PathBuf::from);
    let (python, tweets) = (given("HEARTBEAT_PYTHON"), given("HEARTBEAT_TWEETS"));
    if let Some(python) = &python {
        let again = ask_python(python, &path);
        for (expected, again) in expected.iter().zip(&again) {
            assert_eq!(
                again.ids, expected.ids,
                "expected.jsonl is stale: {:?}",
                again.text
            );
        }
    }
    if let (Some(python), Some(tweets)) = (&python, &tweets) {
        let expected = ask_python(python, tweets);
        assert!(expected.len() >= 1000, "only {} tweets", expected.len());
        assert_equal(&folders, &expected);
    } else {
        let required = env::var_os("HEARTBEAT_REQUIRE_DATA").is_some();
        assert!(
            !required,
            "HEARTBEAT_TWEETS and HEARTBEAT_PYTHON are not both set"
        );
    }
}

/// The error that a folder gives which is as `name` but for one file.
fn error_with(name: &str, file: &str, content: &[u8]) -> Error {
    let folder = Folder::named(name);
    let dir = folder.make();
    fs::write(dir.path().join(file), content).unwrap();
    open(dir.path(), &architecture(&folder.from)).unwrap_err()
}

#[test]
fn an_error_tells_what_is_wrong_and_where() {
    for (name, file, content, told) in [
        (
            "bpe",
            "vocab.json",
            &b"{\"<s>\": 0,\n\"</s>\": }"[..],
            "vocab.json",
        ),
        (
            "bpe",
            "vocab.json",
            b"{\"<s>\": 0,\n\"</s>\": }",
            "line 2 column 9",
        ),
        ("bpe", "vocab.json", b"{\"a\": -1}", "line 1"),
        (
            "bpe",
            "merges.txt",
            b"#version: 0.2\na n\nthe\n",
            "line of merges.txt 3, found \"the\"",
        ),
        ("bpe", "merges.txt", b"a n d\n", "line of merges.txt 1"),
        (
            "bpe",
            "merges.txt",
            b"#version: 0.2\n\xe2\x82\xac \xff\n",
            "not UTF-8",
        ),
        (
            "bpe",
            "merges.txt",
            "\u{2603} n\n".as_bytes(),
            "token \"\u{2603}\"",
        ),
        ("bpe", "merges.txt", b"! !\n", "merge 1, token \"!!\""),
        (
            "bpe",
            "vocab.json",
            b"{\"a\": 0}",
            "not in the vocabulary (merge 1",
        ),
        (
            "bpe",
            "tokenizer.json",
            b"{\"model\": {\"vocab\": {",
            "line 1 column 21",
        ),
        (
            "bpe",
            "tokenizer.json",
            b"{\"model\": {\"vocab\": {\"a\": 5}, \"merges\": []}}",
            "cls_token \"<s>\"",
        ),
        (
            "bpe",
            "tokenizer.json",
            b"{\"model\": {\"vocab\": [[\"a\", 0.5]], \"merges\": []}}",
            "line 1",
        ),
        (
            "bpe",
            "tokenizer_config.json",
            b"{\"tokenizer_class\": \"BertweetTokenizer\"}",
            "BertweetTokenizer",
        ),
        (
            "bpe",
            "tokenizer_config.json",
            b"{\"tokenizer_class\": \"XLMRobertaTokenizer\"}",
            "class XlmRoberta",
        ),
        (
            "bpe",
            "tokenizer_config.json",
            b"{\"tokenizer_class\": \"TokenizersBackend\"}",
            "class File",
        ),
        (
            "bpe",
            "tokenizer_config.json",
            b"{\"truncation_side\": \"middle\"}",
            "middle",
        ),
        (
            "bpe",
            "tokenizer_config.json",
            b"{\"mask_token\": 7}",
            "key mask_token",
        ),
        (
            "bpe",
            "tokenizer_config.json",
            b"{\"cls_token\": null}",
            "name cls_token",
        ),
        (
            "bpe",
            "tokenizer_config.json",
            b"{\"sep_token\": \"[SEP]\"}",
            "sep_token \"[SEP]\"",
        ),
        (
            "bpe",
            "tokenizer_config.json",
            b"[]",
            "tokenizer_config.json",
        ),
        (
            "xlm-json",
            "tokenizer.json",
            b"{\"model\": {\"vocab\": []}}",
            "cannot be used",
        ),
        (
            "xlm-as-it-is",
            "tokenizer.json",
            b"{}",
            "not what it should be",
        ),
        (
            "xlm-pieces",
            "sentencepiece.bpe.model",
            b"{}",
            "not a SentencePiece model",
        ),
        (
            "xlm-pieces",
            "sentencepiece.bpe.model",
            b"\x1a\x06\x12\x04\xff\xff\xff\xff",
            "table of characters",
        ),
    ] {
        let error = error_with(name, file, content);
        assert!(
            error.report().contains(told),
            "{name}, {file}: {}",
            error.report()
        );
    }
}

#[test]
fn a_tokenizer_of_more_tokens_than_the_model_has_is_refused() {
    for folder in Folder::all() {
        let dir = folder.make();
        let architecture = Architecture {
            vocab: 300,
            ..architecture(&folder.from)
        };
        let error = open(dir.path(), &architecture).unwrap_err().to_string();
        assert!(
            error.contains("more tokens than the model knows"),
            "{}: {error}",
            folder.name
        );
        assert!(error.contains("vocab_size 300"), "{}: {error}", folder.name);
    }
}

/// The file's own way to treat a text may be one that classifies nothing.
#[test]
fn a_tokenizer_that_marks_no_beginning_is_refused() {
    let mut file = Folder::named("bpe-as-it-is").write["tokenizer.json"].clone();
    file["post_processor"] = Value::Null;
    let error = error_with(
        "bpe-as-it-is",
        "tokenizer.json",
        file.to_string().as_bytes(),
    );
    assert!(error.to_string().contains("where a text begins"), "{error}");
}

/// The library looks entries of this table up without a check.
#[test]
fn a_broken_table_of_characters_is_an_error_and_no_panic() {
    let file = fs::read(fixture("tiny-xlm").join("tokenizer.json")).unwrap();
    let mut json: Value = serde_json::from_slice(&file).unwrap();
    // A trie of no entries, as base64.
    json["normalizer"]["precompiled_charsmap"] = "AAAAAA==".into();
    let file = json.to_string();
    let tokenizer = Tokenizer::from_bytes(file.as_bytes(), &architecture("tiny-xlm")).unwrap();
    let error = tokenizer.encode("a").unwrap_err();
    assert!(error.to_string().contains("tables are broken"), "{error}");
}

#[test]
fn no_file_is_read_that_no_tokenizer_has() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("vocab.json");
    File::create(&path).unwrap().set_len(1 << 40).unwrap();
    let error = file::read(&path).unwrap_err();
    assert!(error.to_string().contains("far too large"), "{error}");
}

#[test]
fn bytes_give_what_the_file_gives() {
    let file = fs::read(fixture("tiny-xlm").join("tokenizer.json")).unwrap();
    let bytes = Tokenizer::from_bytes(&file, &architecture("tiny-xlm")).unwrap();
    let folder = Folder::named("xlm").open();
    let text = "So <mask> good </s> 今日は";
    assert_eq!(bytes.encode(text).unwrap(), folder.encode(text).unwrap());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn any_text_has_its_ends_and_fits(text in ".*", times in 1_usize..300) {
        static TOKENIZERS: LazyLock<[Tokenizer; 2]> = LazyLock::new(|| {
            ["bpe", "xlm-pieces"].map(|name| Folder::named(name).open())
        });
        for (tokenizer, most) in TOKENIZERS.iter().zip([512, 64]) {
            let ids = tokenizer.encode(&text.repeat(times)).unwrap();
            prop_assert!(ids.len() <= most);
            prop_assert_eq!((ids[0], ids[ids.len() - 1]), (0, 2));
        }
    }
}
