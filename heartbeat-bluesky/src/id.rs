//! The numbers that posts are known by.

use heartbeat_core::TweetId;
use sha2::{Digest, Sha256};

/// The number of a post, which Bluesky does not have: the first 8 bytes, big-endian, of the SHA-256 of its author's `did`, a zero
/// byte and its `rkey`, without the highest bit. Stores know posts by it, so it never changes.
pub(crate) fn id_of(did: &str, rkey: &str) -> TweetId {
    number_of(
        Sha256::new()
            .chain_update(did)
            .chain_update([0])
            .chain_update(rkey),
    )
}

/// The number of a message that is no post, to know it again: as of a post, of `0`, a zero byte and all its bytes. No post has
/// that, as `0` is not a DID.
pub(crate) fn id_of_bad(message: &[u8]) -> TweetId {
    number_of(Sha256::new().chain_update([b'0', 0]).chain_update(message))
}

fn number_of(hash: Sha256) -> TweetId {
    let hash = hash.finalize();
    let number = hash
        .iter()
        .take(8)
        .fold(0, |number, byte| number << 8 | i64::from(*byte));
    TweetId(number & i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_the_same_for_ever() {
        for (did, rkey, id) in [
            (
                "did:plc:eygmaihciaxprqvxpfvl6flk",
                "3l3qo2vuowo2b",
                1_898_513_091_806_997_865,
            ),
            ("did:plc:a", "b", 8_813_019_529_677_599_215),
            (
                "did:web:example.org",
                "3kznmn7xqxl22",
                7_830_078_753_280_001_141,
            ),
        ] {
            assert_eq!(id_of(did, rkey), TweetId(id), "{did} {rkey}");
        }
        assert_eq!(id_of_bad(b"<html>"), TweetId(6_524_892_810_299_684_731));
        assert_ne!(id_of("ab", "c"), id_of("a", "bc"));
    }
}
