//! Headers as text: a JSON array of `[name, value]`. A value that is not UTF-8 is an array of
//! numbers.

use bytes::Bytes;
use heartbeat_core::{Error, Headers};
use serde::{Deserialize, Serialize};

#[derive(Serialize)]
#[serde(untagged)]
enum Written<'a> {
    Text(&'a str),
    Bytes(&'a [u8]),
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Read {
    Text(String),
    Bytes(Vec<u8>),
}

/// Encodes headers; `None` when there are none.
pub(crate) fn encode(headers: &Headers) -> Result<Option<String>, Error> {
    if headers.iter().len() == 0 {
        return Ok(None);
    }
    let pairs: Vec<(&str, Written<'_>)> = headers
        .iter()
        .map(|(name, value)| match std::str::from_utf8(value) {
            Ok(text) => (name, Written::Text(text)),
            Err(_) => (name, Written::Bytes(value)),
        })
        .collect();
    serde_json::to_string(&pairs)
        .map(Some)
        .map_err(|error| Error::internal("headers cannot be encoded").caused_by(error))
}

/// Decodes what [`encode`] wrote.
pub(crate) fn decode(text: Option<&str>) -> Result<Headers, Error> {
    let Some(text) = text else {
        return Ok(Headers::default());
    };
    let pairs: Vec<(String, Read)> = serde_json::from_str(text)
        .map_err(|error| Error::internal("stored headers cannot be read").caused_by(error))?;
    Ok(pairs
        .into_iter()
        .map(|(name, value)| match value {
            Read::Text(text) => (name, Bytes::from(text)),
            Read::Bytes(bytes) => (name, Bytes::from(bytes)),
        })
        .collect())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn text_stays_legible() {
        let headers = Headers::from_iter([
            ("stage".to_owned(), Bytes::from("analyze")),
            ("raw".to_owned(), Bytes::from_static(&[0xff, 0])),
        ]);
        assert_eq!(
            encode(&headers).unwrap().unwrap(),
            r#"[["stage","analyze"],["raw",[255,0]]]"#
        );
        assert_eq!(encode(&Headers::default()).unwrap(), None);
    }

    #[test]
    fn what_is_no_header_is_an_error() {
        for text in ["", "{}", "[[1,2]]", r#"[["a",[256]]]"#, r#"[["a"]]"#] {
            decode(Some(text)).unwrap_err();
        }
    }

    proptest! {
        #[test]
        fn whatever_goes_in_comes_out(
            pairs in prop::collection::vec(any::<(String, bool, Vec<u8>, String)>(), 0..8)
        ) {
            let headers: Headers = pairs
                .into_iter()
                .map(|(name, is_text, bytes, text)| {
                    (name, Bytes::from(if is_text { text.into_bytes() } else { bytes }))
                })
                .collect();
            prop_assert_eq!(decode(encode(&headers).unwrap().as_deref()).unwrap(), headers);
        }
    }
}
