//! Which files of a folder make a model.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use heartbeat_core::{Error, Result};

/// The files that a model is read from, each of them there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ModelFiles {
    pub(crate) config: PathBuf,
    pub(crate) weights: PathBuf,
    pub(crate) tokenizer: TokenizerFiles,
}

/// The files that tell how a text becomes tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TokenizerFiles {
    pub(crate) vocabulary: Vocabulary,
    /// `tokenizer_config.json`, where there is one.
    pub(crate) config: Option<PathBuf>,
    /// `special_tokens_map.json`, where there is one.
    pub(crate) special_tokens: Option<PathBuf>,
    /// `added_tokens.json`, where there is one.
    pub(crate) added_tokens: Option<PathBuf>,
}

/// The tokens and how they are found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Vocabulary {
    /// `tokenizer.json`, which holds all of it.
    Json(PathBuf),
    /// `vocab.json` and `merges.txt`: byte-level byte-pair encoding.
    Bpe { vocab: PathBuf, merges: PathBuf },
    /// `sentencepiece.bpe.model`.
    SentencePiece(PathBuf),
}

const CONFIG: &str = "config.json";

/// What holds weights that can be read, the better one first: safetensors are mapped.
const WEIGHTS: [&str; 2] = ["model.safetensors", "pytorch_model.bin"];

/// An error names at most so many of the files that are there.
const NAMED: usize = 20;

/// Configurations and the like are small. Whatever is larger is something else.
const SMALL: u64 = 1 << 20;

impl ModelFiles {
    /// Finds the files in `dir`, where Python's `save_pretrained` and the Hub put them.
    pub(crate) fn in_dir(dir: &Path) -> Result<Self> {
        Self::of(&Folder::list(dir)?)
    }

    /// Finds the files among `names`, which are in `place`: a folder or a repository.
    pub(crate) fn among(place: &Path, names: Vec<String>) -> Result<Self> {
        Self::of(&Folder { path: place, names })
    }

    /// All of the files; the weights come last.
    pub(crate) fn paths(&self) -> impl Iterator<Item = &Path> {
        let tokenizer = &self.tokenizer;
        let (first, second) = match &tokenizer.vocabulary {
            Vocabulary::Json(path) | Vocabulary::SentencePiece(path) => (path, None),
            Vocabulary::Bpe { vocab, merges } => (vocab, Some(merges)),
        };
        [
            Some(&self.config),
            Some(first),
            second,
            tokenizer.config.as_ref(),
        ]
        .into_iter()
        .chain([
            tokenizer.special_tokens.as_ref(),
            tokenizer.added_tokens.as_ref(),
        ])
        .chain([Some(&self.weights)])
        .flatten()
        .map(PathBuf::as_path)
    }

    fn of(folder: &Folder<'_>) -> Result<Self> {
        let config = folder.file(CONFIG);
        let weights = WEIGHTS.iter().find_map(|name| folder.file(name));
        let vocabulary = folder.vocabulary();
        match (config, weights, vocabulary) {
            (Some(config), Some(weights), Some(vocabulary)) => Ok(Self {
                config,
                weights,
                tokenizer: TokenizerFiles {
                    vocabulary,
                    config: folder.file("tokenizer_config.json"),
                    special_tokens: folder.file("special_tokens_map.json"),
                    added_tokens: folder.file("added_tokens.json"),
                },
            }),
            (config, weights, vocabulary) => {
                let mut missing = Vec::new();
                if config.is_none() {
                    missing.push(CONFIG.to_owned());
                }
                if weights.is_none() {
                    missing.push(WEIGHTS.join(" or "));
                }
                if vocabulary.is_none() {
                    missing.push(folder.missing_vocabulary());
                }
                Err(folder.incomplete(&missing))
            }
        }
    }
}

/// A folder and the names of the files in it, sorted.
struct Folder<'a> {
    path: &'a Path,
    names: Vec<String>,
}

impl<'a> Folder<'a> {
    fn list(path: &'a Path) -> Result<Self> {
        let failed = |error: std::io::Error| {
            Error::misconfigured("cannot open the model's folder")
                .with("path", path.display())
                .caused_by(error)
                .hint("Name a folder that this user may read, with a model in the Hub's layout.")
        };
        let mut names = Vec::new();
        for entry in fs::read_dir(path).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            // In the Hub's cache the files are links.
            if entry.path().is_file() {
                names.push(entry.file_name().to_string_lossy().into_owned());
            }
        }
        names.sort_unstable();
        Ok(Self { path, names })
    }

    fn has(&self, name: &str) -> bool {
        self.names.iter().any(|found| found == name)
    }

    fn file(&self, name: &str) -> Option<PathBuf> {
        self.has(name).then(|| self.path.join(name))
    }

    fn vocabulary(&self) -> Option<Vocabulary> {
        let json = || self.file("tokenizer.json").map(Vocabulary::Json);
        let bpe = || {
            let vocab = self.file("vocab.json")?;
            let merges = self.file("merges.txt")?;
            Some(Vocabulary::Bpe { vocab, merges })
        };
        let pieces = || {
            self.file("sentencepiece.bpe.model")
                .map(Vocabulary::SentencePiece)
        };
        json().or_else(bpe).or_else(pieces)
    }

    fn missing_vocabulary(&self) -> String {
        match (self.has("vocab.json"), self.has("merges.txt")) {
            (true, false) => "merges.txt beside vocab.json".to_owned(),
            (false, true) => "vocab.json beside merges.txt".to_owned(),
            _ => "tokenizer.json, or vocab.json and merges.txt, or sentencepiece.bpe.model"
                .to_owned(),
        }
    }

    fn incomplete(&self, missing: &[String]) -> Error {
        let mut found = self.names[..self.names.len().min(NAMED)].join(", ");
        if self.names.is_empty() {
            found.push_str("no files");
        } else if self.names.len() > NAMED {
            found.push_str(" and more");
        }
        Error::misconfigured("the model's folder is not complete")
            .with("path", self.path.display())
            .with("missing", missing.join("; "))
            .with("found", found)
            .hint(self.advice())
    }

    /// What to do, by what is there instead of weights.
    fn advice(&self) -> String {
        let sharded = WEIGHTS
            .iter()
            .any(|name| self.has(&format!("{name}.index.json")));
        if WEIGHTS.iter().any(|name| self.has(name)) {
            "Copy or fetch the missing files.".to_owned()
        } else if sharded {
            "The weights are in several files. Save the model in one, with \
             `model.save_pretrained(folder, max_shard_size=\"100GB\")` in Python's transformers."
                .to_owned()
        } else if let Some(other) = self.names.iter().find(|name| is_foreign(name)) {
            format!(
                "The weights are of another framework ({other}). Save the model as \
                 model.safetensors, with `save_pretrained` in Python's transformers."
            )
        } else {
            "Name a folder with a model in the Hub's layout, as `save_pretrained` in Python's \
             transformers makes it."
                .to_owned()
        }
    }
}

/// Whether the file of that name holds weights, but none for PyTorch.
fn is_foreign(name: &str) -> bool {
    [".h5", ".msgpack", ".onnx", ".ot", ".gguf", ".tflite"]
        .iter()
        .any(|end| name.ends_with(end))
}

/// What is in the file in `path`, which must be small.
pub(crate) fn read_small(path: &Path) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(SMALL + 1).read_to_end(&mut bytes))
        .map_err(|error| unreadable(path, error))?;
    if bytes.len() as u64 > SMALL {
        return Err(Error::misconfigured("a model's file is far too large")
            .with("file", path.display())
            .with("largest", format!("{SMALL} bytes"))
            .hint("Fetch the file again."));
    }
    Ok(bytes)
}

/// The operating system did not let us read the file in `path`.
pub(crate) fn unreadable(path: &Path, error: std::io::Error) -> Error {
    Error::misconfigured("cannot read a model's file")
        .with("file", path.display())
        .caused_by(error)
        .hint("The file must be there and readable for this user.")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(names: &[&str]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for name in names {
            fs::write(dir.path().join(name), "x").unwrap();
        }
        dir
    }

    #[test]
    fn the_published_layout_is_found() {
        let dir = folder(&[
            "config.json",
            "pytorch_model.bin",
            "vocab.json",
            "merges.txt",
            "special_tokens_map.json",
            "tf_model.h5",
            "README.md",
        ]);
        let at = |name| dir.path().join(name);
        assert_eq!(
            ModelFiles::in_dir(dir.path()).unwrap(),
            ModelFiles {
                config: at("config.json"),
                weights: at("pytorch_model.bin"),
                tokenizer: TokenizerFiles {
                    vocabulary: Vocabulary::Bpe {
                        vocab: at("vocab.json"),
                        merges: at("merges.txt"),
                    },
                    config: None,
                    special_tokens: Some(at("special_tokens_map.json")),
                    added_tokens: None,
                },
            }
        );
    }

    #[test]
    fn the_better_of_two_is_taken() {
        let names = [
            "config.json",
            "model.safetensors",
            "pytorch_model.bin",
            "tokenizer.json",
            "vocab.json",
            "merges.txt",
            "sentencepiece.bpe.model",
        ];
        let dir = folder(&names);
        let files = ModelFiles::in_dir(dir.path()).unwrap();
        assert_eq!(files.weights, dir.path().join("model.safetensors"));
        let json = Vocabulary::Json(dir.path().join("tokenizer.json"));
        assert_eq!(files.tokenizer.vocabulary, json);

        let dir = folder(&[
            "config.json",
            "model.safetensors",
            "sentencepiece.bpe.model",
        ]);
        let files = ModelFiles::in_dir(dir.path()).unwrap();
        let pieces = Vocabulary::SentencePiece(dir.path().join("sentencepiece.bpe.model"));
        assert_eq!(files.tokenizer.vocabulary, pieces);
    }

    #[cfg(unix)]
    #[test]
    fn links_as_in_the_hubs_cache_are_followed() {
        let blobs = folder(&["a", "b", "c"]);
        let dir = tempfile::tempdir().unwrap();
        for (blob, name) in [
            ("a", "config.json"),
            ("b", "model.safetensors"),
            ("c", "tokenizer.json"),
        ] {
            std::os::unix::fs::symlink(blobs.path().join(blob), dir.path().join(name)).unwrap();
        }
        ModelFiles::in_dir(dir.path()).unwrap();
    }

    #[test]
    fn an_error_tells_what_is_missing_and_what_is_there() {
        let weights = "missing model.safetensors or pytorch_model.bin";
        for (names, told, advice) in [
            (&[][..], "found no files", "in the Hub's layout"),
            (
                &["notes.txt"],
                "missing config.json; model.safetensors or",
                "in the Hub's layout",
            ),
            (
                &["config.json", "model.safetensors"],
                "missing tokenizer.json, or vocab.json and merges.txt, or sentencepiece.bpe.model",
                "Copy or fetch",
            ),
            (
                &["config.json", "model.safetensors", "vocab.json"],
                "missing merges.txt beside vocab.json, found config.json, model.safetensors, vocab.json",
                "Copy or fetch",
            ),
            (
                &["config.json", "model.safetensors", "merges.txt"],
                "missing vocab.json beside merges.txt",
                "Copy or fetch",
            ),
            (
                &["model.safetensors", "tokenizer.json"],
                "missing config.json",
                "Copy or fetch",
            ),
            (
                &["config.json", "tokenizer.json", "tf_model.h5"],
                weights,
                "(tf_model.h5)",
            ),
            (
                &["config.json", "tokenizer.json", "flax_model.msgpack"],
                weights,
                "(flax_model.msgpack)",
            ),
            (
                &["config.json", "tokenizer.json", "model.onnx"],
                weights,
                "(model.onnx)",
            ),
            (
                &[
                    "config.json",
                    "tokenizer.json",
                    "model.safetensors.index.json",
                ],
                weights,
                "several files",
            ),
            (
                &[
                    "config.json",
                    "tokenizer.json",
                    "pytorch_model.bin.index.json",
                ],
                weights,
                "several files",
            ),
        ] {
            let dir = folder(names);
            let error = ModelFiles::in_dir(dir.path()).unwrap_err();
            assert!(error.to_string().contains(told), "{names:?}: {error:?}");
            assert!(
                error.advice().unwrap().contains(advice),
                "{names:?}: {error:?}"
            );
        }
    }

    #[test]
    fn a_folder_of_many_files_makes_no_long_error() {
        let names: Vec<_> = (0..100).map(|number| format!("{number:03}.txt")).collect();
        let dir = folder(&names.iter().map(String::as_str).collect::<Vec<_>>());
        let error = ModelFiles::in_dir(dir.path()).unwrap_err().to_string();
        assert!(error.contains("019.txt and more"), "{error}");
    }

    #[test]
    fn what_is_no_folder_is_refused() {
        let dir = folder(&["file"]);
        for name in ["file", "nothing"] {
            let error = ModelFiles::in_dir(&dir.path().join(name)).unwrap_err();
            assert!(
                error.to_string().contains("cannot open the model's folder"),
                "{error:?}"
            );
        }
    }

    #[test]
    fn a_configuration_is_never_large() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("config.json");
        File::create(&path).unwrap().set_len(SMALL).unwrap();
        assert_eq!(read_small(&path).unwrap().len() as u64, SMALL);
        File::create(&path).unwrap().set_len(1 << 40).unwrap();
        let error = read_small(&path).unwrap_err();
        assert!(error.to_string().contains("far too large"), "{error:?}");
    }
}
