//! The settings of [`TwitterConfig`], checked and made whole by files and the environment.

use std::ffi::OsString;

use heartbeat_core::{Error, Result, remote};
use secrecy::SecretString;
use tracing::warn;
use url::Url;

use crate::config::TwitterConfig;

/// The variable that holds the access token.
const TOKEN: &str = "HEARTBEAT_TWITTER_TOKEN";

/// What to do without access to X.
pub(crate) const NO_ACCESS: &str = "Who has no access to X can take `--source bluesky`, which needs none, or a recording: `--source jsonl:FILE`.";

/// What [`TwitterConfig`], its files and the environment come to.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) base: Url,
    pub(crate) token: SecretString,
}

impl Settings {
    /// The token is the value of `variable`, or else in the file that `config` names.
    pub(crate) fn new(config: &TwitterConfig, variable: Option<OsString>) -> Result<Self> {
        let base = remote::address(&config.base_url, "X's `base_url`")
            .map_err(|error| error.hint("Leave `base_url` out for X itself."))?;
        if config.backfill_minutes > 5 {
            return Err(Error::misconfigured("X sends no more than 5 minutes again")
                .with("backfill_minutes", config.backfill_minutes)
                .hint("Set it to 0 to 5."));
        }
        let token =
            remote::token(TOKEN, variable, config.token_file.as_deref())?.ok_or_else(|| {
                Error::misconfigured("there is no access token for X").hint(format!(
                    "Give the app's bearer token by {TOKEN} or `token_file`; X's developer portal has it. {NO_ACCESS}"
                ))
            })?;
        if remote::is_open(&base) {
            warn!(
                url = %base,
                "Others on the way can read the access token for X: the address is plain http."
            );
        }
        Ok(Self { base, token })
    }
}

/// The variable's value, for [`Settings::new`].
pub(crate) fn token_of_environment() -> Option<OsString> {
    std::env::var_os(TOKEN)
}

#[cfg(test)]
mod tests {
    use heartbeat_core::ErrorKind;

    use super::*;

    #[test]
    fn what_is_missing_or_wrong_is_said_with_what_to_do() {
        type Wrong = fn(&mut TwitterConfig);
        let cases: [(Wrong, Option<&str>, &str); 5] = [
            (|_| {}, None, "there is no access token for X"),
            (|_| {}, Some("s3cret word"), "should be an access token"),
            (
                |it| it.base_url = "api.x.com".into(),
                Some("t"),
                "X's `base_url`",
            ),
            (
                |it| it.base_url = "https://u:s3cret@x.com".into(),
                Some("t"),
                "X's `base_url`",
            ),
            (|it| it.backfill_minutes = 6, Some("t"), "5 minutes"),
        ];
        for (wrong, token, says) in cases {
            let mut config = TwitterConfig::default();
            wrong(&mut config);
            let error = Settings::new(&config, token.map(OsString::from)).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Misconfigured);
            assert!(error.to_string().contains(says), "{error}");
            assert!(error.advice().is_some(), "{error:?}");
            assert!(!format!("{error:?}").contains("s3cret"), "{error:?}");
        }
    }
}
