//! Who asks the registry.

use std::ffi::OsString;

use heartbeat_core::{Error, Result, remote};
use secrecy::SecretString;

use super::config::RegistryConfig;

/// The variable that holds the user's password.
const PASSWORD: &str = "HEARTBEAT_REGISTRY_PASSWORD";
/// The variable that holds an access token.
const TOKEN: &str = "HEARTBEAT_REGISTRY_TOKEN";

/// Who we say we are.
#[derive(Debug)]
pub(super) enum Login {
    /// Nobody.
    None,
    /// A user, by basic authentication.
    User(String, SecretString),
    /// Whoever holds the token.
    Token(SecretString),
}

impl Login {
    /// Secrets are read by `variable` from the environment, or else from the files that `config`
    /// names.
    pub(super) fn new(
        config: &RegistryConfig,
        variable: impl Fn(&str) -> Option<OsString>,
    ) -> Result<Self> {
        let password = remote::secret(
            PASSWORD,
            variable(PASSWORD),
            config.password_file.as_deref(),
        )?;
        let token = remote::token(TOKEN, variable(TOKEN), config.token_file.as_deref())?;
        match (&config.username, password, token) {
            (None, None, None) => Ok(Self::None),
            (Some(username), Some(password), None) => Ok(Self::User(username.clone(), password)),
            (None, None, Some(token)) => Ok(Self::Token(token)),
            (Some(_), None, None) => Err(Error::misconfigured(
                "the registry's `username` has no password",
            )
            .hint("Give it by HEARTBEAT_REGISTRY_PASSWORD or `password_file`.")),
            (None, Some(_), None) => Err(Error::misconfigured(
                "there is a password for the registry and no `username`",
            )
            .hint("Set `username`, or take HEARTBEAT_REGISTRY_PASSWORD and `password_file` away.")),
            (_, _, Some(_)) => Err(Error::misconfigured(
                "there are a user and an access token for the registry",
            )
            .hint(
                "Use one of the two: `username` with its password, or HEARTBEAT_REGISTRY_TOKEN or \
                 `token_file`.",
            )),
        }
    }

    /// What to do when the registry refuses it.
    pub(super) fn advice(&self) -> &'static str {
        match self {
            Self::None => {
                "Set `username` with HEARTBEAT_REGISTRY_PASSWORD or `password_file`, or give an \
                 access token by HEARTBEAT_REGISTRY_TOKEN or `token_file`."
            }
            Self::User(..) => {
                "Check `username` and HEARTBEAT_REGISTRY_PASSWORD or `password_file`, and what that \
                 user may do in the registry."
            }
            Self::Token(_) => {
                "Check HEARTBEAT_REGISTRY_TOKEN or `token_file`, and what that token's owner may do \
                 in the registry."
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::PathBuf;

    use secrecy::ExposeSecret;

    use super::*;

    fn login(config: &RegistryConfig, environment: &[(&str, &str)]) -> Result<Login> {
        Login::new(config, |asked| {
            let found = environment.iter().find(|(name, _)| *name == asked);
            found.map(|(_, value)| OsString::from(value))
        })
    }

    /// As it is sent.
    fn shown(login: &Login) -> String {
        match login {
            Login::None => String::new(),
            Login::User(user, password) => format!("{user}:{}", password.expose_secret()),
            Login::Token(token) => token.expose_secret().to_owned(),
        }
    }

    #[test]
    fn a_secret_comes_from_its_variable_or_else_from_its_file() {
        let dir = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str| -> Option<PathBuf> {
            let path = dir.path().join(name);
            fs::write(&path, text).unwrap();
            Some(path)
        };
        let user = RegistryConfig {
            username: Some("me".to_owned()),
            password_file: file("password", "s3cret of file \r\nmore\n"),
            ..RegistryConfig::default()
        };
        let token = RegistryConfig {
            token_file: file("token", "s3cret-token\n"),
            ..RegistryConfig::default()
        };
        let none = RegistryConfig::default();
        for (config, environment, sent) in [
            (&none, &[][..], ""),
            (&none, &[(PASSWORD, ""), (TOKEN, "")], ""),
            (&user, &[], "me:s3cret of file"),
            (&user, &[(PASSWORD, "s3cret")], "me:s3cret"),
            (&token, &[], "s3cret-token"),
            (&token, &[(TOKEN, "s3cret")], "s3cret"),
            (&none, &[(TOKEN, "s3cret")], "s3cret"),
        ] {
            let found = login(config, environment).unwrap();
            assert_eq!(shown(&found), sent);
            assert!(!format!("{found:?}").contains("s3cret"), "{found:?}");
        }
    }

    #[test]
    fn what_cannot_work_is_refused_and_not_shown() {
        let dir = tempfile::tempdir().unwrap();
        let empty = dir.path().join("empty");
        fs::write(&empty, "\ns3cret\n").unwrap();
        let none = RegistryConfig::default();
        let user = RegistryConfig {
            username: Some("me".to_owned()),
            ..none.clone()
        };
        let missing = RegistryConfig {
            password_file: Some("/no/such".into()),
            ..user.clone()
        };
        let empty = RegistryConfig {
            token_file: Some(empty),
            ..none.clone()
        };
        for (config, environment, says) in [
            (&user, &[][..], "no password"),
            (&none, &[(PASSWORD, "s3cret")], "no `username`"),
            (&user, &[(TOKEN, "s3cret")], "a user and an access token"),
            (&none, &[(TOKEN, "s3cret and more")], "access token is none"),
            (&missing, &[], "/no/such"),
            (&empty, &[], "no secret in its first line"),
        ] {
            let error = login(config, environment).unwrap_err();
            assert_eq!(error.kind(), heartbeat_core::ErrorKind::Misconfigured);
            assert!(error.to_string().contains(says), "{says}: {error}");
            assert!(error.advice().is_some(), "{error:?}");
            assert!(!format!("{error:?}").contains("s3cret"), "{error:?}");
        }
    }
}
