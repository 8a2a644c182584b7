//! The conformance suites can fail: each sin breaks the promise it stands beside, every promise has a sin,
//! and whoever is without sin keeps them all.
//!
//! The clock is paused, so that waiting in vain takes no time.

/// Lists sins and the promises they break.
macro_rules! sins {
    ($($(#[$doc:meta])* $sin:ident => $($promise:ident),+;)*) => {
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum Sin { $($(#[$doc])* $sin,)* }

        const SINS: &[(Sin, &str)] = &[$($((Sin::$sin, stringify!($promise)),)+)*];
    };
}

mod analyzer;
mod bus;
mod source;
mod store;
mod subscription;

use std::fmt::Debug;

/// Runs `check`, which makes a backend with a sin or without one and holds it to a promise.
async fn assert_found<S, P, C>(
    sins: &[(S, &str)],
    promises: &[(&str, P)],
    check: impl Fn(Option<S>, P) -> C,
) where
    S: Copy + Debug,
    P: Copy,
    C: Future<Output = ()> + Send + 'static,
{
    for (_, promise) in promises {
        check(None, *promise).await;
    }
    let mut unnoticed = Vec::new();
    for (sin, broken) in sins {
        let promise = promises.iter().find(|(name, _)| name == broken);
        let (_, promise) = promise.unwrap_or_else(|| panic!("{broken} is no promise"));
        let outcome = tokio::spawn(check(Some(*sin), *promise)).await;
        if !outcome.is_err_and(|error| error.is_panic()) {
            unnoticed.push((sin, broken));
        }
    }
    assert!(unnoticed.is_empty(), "no check fails at {unnoticed:?}");
    for (name, _) in promises {
        let is_broken = sins.iter().any(|(_, broken)| broken == name);
        assert!(is_broken, "no sin shows that {name} can fail");
    }
}
