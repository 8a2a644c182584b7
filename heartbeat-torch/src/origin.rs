//! Where a model comes from.

use std::path::Path;

use heartbeat_core::Result;

use crate::architecture::Architecture;
use crate::checkpoint::Checkpoint;
use crate::config::RobertaConfig;
use crate::files::ModelFiles;
use crate::hub;
use crate::tokenizer::Tokenizer;

/// Where a model's files are.
#[derive(Debug)]
pub(crate) enum Origin {
    /// The model that ships, in the program itself.
    Small,
    /// A folder, here or in the Hub's cache.
    Files(Box<ModelFiles>),
}

impl Origin {
    /// Finds the model that `config` names, and fetches it if it has to.
    pub(crate) async fn find(config: &RobertaConfig) -> Result<Self> {
        if config.model == "small" {
            return Ok(Self::Small);
        }
        let folder = Path::new(&config.model);
        let files = if folder.is_dir() {
            ModelFiles::in_dir(folder)
        } else {
            let revision = config.revision.as_deref();
            ModelFiles::in_dir(&hub::fetch(&config.model, revision, &config.hub).await?)
        };
        Ok(Self::Files(Box::new(files?)))
    }

    pub(crate) fn architecture(&self) -> Result<Architecture> {
        match self {
            Self::Small => Architecture::parse(
                include_bytes!("../fixtures/small/config.json"),
                "in the program",
            ),
            Self::Files(files) => Architecture::open(&files.config),
        }
    }

    pub(crate) fn tokenizer(&self, architecture: &Architecture) -> Result<Tokenizer> {
        match self {
            Self::Small => Tokenizer::from_bytes(
                include_bytes!("../fixtures/small/tokenizer.json"),
                architecture,
            ),
            Self::Files(files) => Tokenizer::open(&files.tokenizer, architecture),
        }
    }

    pub(crate) fn checkpoint(&self) -> Result<Checkpoint> {
        match self {
            Self::Small => {
                Checkpoint::from_bytes(include_bytes!("../fixtures/small/model.safetensors"))
            }
            Self::Files(files) => Checkpoint::open(&files.weights),
        }
    }
}
