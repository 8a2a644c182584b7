//! What a model is called on the Hub.

use heartbeat_core::{Error, Result};

/// A repository on the Hub at one revision, its names checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Repository {
    /// `owner/name`, or a lone `name`.
    pub(super) id: String,
    /// A branch, a tag or a commit.
    pub(super) revision: String,
}

impl Repository {
    /// Takes only what the Hub would take: an id and a revision become parts of addresses and paths.
    pub(super) fn new(id: &str, revision: Option<&str>) -> Result<Self> {
        if !is_id(id) {
            return Err(Error::misconfigured(
                "the model is neither a folder nor the id of a repository on the Hub",
            )
            .with("model", format!("{id:?}"))
            .hint(
                "Give the path of a folder that exists, or an id such as `owner/name`: letters, \
                 digits, `-`, `_` and `.`.",
            ));
        }
        let revision = revision.unwrap_or("main");
        if !is_revision(revision) {
            return Err(Error::misconfigured("not the name of a revision")
                .with("model", id)
                .with("revision", format!("{revision:?}"))
                .hint("Name a branch, a tag or a commit of the repository, such as `main`."));
        }
        Ok(Self {
            id: id.to_owned(),
            revision: revision.to_owned(),
        })
    }

    /// Whether the revision is a commit, whose files never change.
    pub(super) fn is_commit(&self) -> bool {
        is_commit(&self.revision)
    }

    /// As hf-hub has it, at `commit`.
    pub(super) fn at(&self, commit: &str) -> hf_hub::Repo {
        hf_hub::Repo::with_revision(self.id.clone(), hf_hub::RepoType::Model, commit.to_owned())
    }
}

/// Whether `text` is the full name of a commit.
pub(super) fn is_commit(text: &str) -> bool {
    text.len() == 40 && is_hex(text)
}

/// Whether `text` has only the digits that git and the Hub write hashes in.
pub(super) fn is_hex(text: &str) -> bool {
    text.bytes()
        .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

fn is_id(id: &str) -> bool {
    let is_part = |part: &str| {
        let ends = |c| part.starts_with(c) || part.ends_with(c);
        !part.is_empty()
            && !ends('.')
            && !ends('-')
            && part
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
    };
    let mut parts = id.split('/');
    // `--` parts owner and name in the cache.
    parts.by_ref().take(2).all(is_part)
        && parts.next().is_none()
        && id.len() <= 96
        && !id.contains("--")
        && !id.contains("..")
}

fn is_revision(revision: &str) -> bool {
    let is_part = |part: &str| {
        !part.is_empty()
            && !part.starts_with(['.', '-'])
            && !part.contains("..")
            && part
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-_.+=@".contains(&byte))
    };
    revision.len() <= 255 && revision.split('/').all(is_part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_those_that_the_hub_gives() {
        for id in ["gpt2", "owner/name", "o-w.n_er/Na-me_1.5"] {
            let repository = Repository::new(id, None).unwrap();
            assert_eq!((&*repository.id, &*repository.revision), (id, "main"));
        }
        let long = "x".repeat(97);
        for id in [
            "",
            "/",
            "a/",
            "/a",
            "a/b/c",
            "..",
            "../a",
            "a/..",
            "a b",
            "a/b ",
            "/etc/models",
            "./a",
            "a--b/c",
            "a/b..c",
            "-a/b",
            "a/b-",
            "a\\b",
            "a/b?x=1",
            "a/b#c",
            "a%2fb",
            "ä/b",
            "a/b\n",
            &long,
        ] {
            let error = Repository::new(id, None).unwrap_err();
            let told = error.report();
            assert!(
                told.contains("neither a folder nor the id"),
                "{id:?}: {told}"
            );
            assert!(
                told.contains("owner/name") && told.contains("folder that exists"),
                "{told}"
            );
        }
    }

    #[test]
    fn revisions_are_branches_tags_and_commits() {
        let commit = "0123456789abcdef0123456789abcdef01234567";
        for revision in ["main", "v1.0", "feature/x", "refs/pr/1", commit] {
            let repository = Repository::new("a/b", Some(revision)).unwrap();
            assert_eq!(repository.is_commit(), revision == commit);
        }
        for revision in [
            "", "/", "a//b", "../x", "a/../b", "a b", "a?b", "a#b", "-x", "a%2e", "a\\b",
        ] {
            let error = Repository::new("a/b", Some(revision)).unwrap_err();
            assert!(
                error.to_string().contains("revision"),
                "{revision:?}: {error}"
            );
        }
    }
}
