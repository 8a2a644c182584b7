//! Confluent's wire format: which schema a value was written with.

use bytes::BufMut;
use heartbeat_core::Headers;

use super::writer::WriterSchema;

/// The header that names the value's schema in the newer frame, whose value has no prefix.
pub(crate) const VALUE_SCHEMA_ID: &str = "__value_schema_id";

/// The first byte before an id.
const ID: u8 = 0;
/// The first byte before a GUID, which comes in a header only.
const GUID: u8 = 1;
/// A first byte and an id.
const PREFIX: usize = 5;

/// Appends the schema's id and the datum.
pub(crate) fn frame(id: u32, datum: &[u8], to: &mut Vec<u8>) {
    to.put_u8(ID);
    to.put_u32(id);
    to.put_slice(datum);
}

/// The writer's schema and where in `value` the datum begins; why not, for a value that is in no frame.
pub(crate) fn unframe(value: &[u8], headers: &Headers) -> Result<(WriterSchema, usize), String> {
    if let Some(header) = headers.get(VALUE_SCHEMA_ID) {
        return Ok((from_header(header)?, 0));
    }
    let Some((prefix, _)) = value.split_first_chunk::<PREFIX>() else {
        let length = value.len();
        let bytes = if length == 1 { "byte is" } else { "bytes are" };
        return Err(format!(
            "{length} {bytes} too short for the frame of an Avro message"
        ));
    };
    match *prefix {
        [ID, a, b, c, d] => {
            let id = u32::from_be_bytes([a, b, c, d]);
            Ok((WriterSchema::Id(id), PREFIX))
        }
        [first, ..] => Err(format!(
            "not the frame of an Avro message: it begins with byte 0x{first:02x}, not with 0"
        )),
    }
}

fn from_header(header: &[u8]) -> Result<WriterSchema, String> {
    let wrong = |why: String| format!("the header {VALUE_SCHEMA_ID} {why}");
    let long = |what| wrong(format!("has {} bytes, which is no {what}", header.len()));
    match header {
        [ID, id @ ..] => match id.try_into() {
            Ok(id) => Ok(WriterSchema::Id(u32::from_be_bytes(id))),
            Err(_) => Err(long("id after byte 0")),
        },
        [GUID, guid @ ..] => match guid.try_into() {
            Ok(guid) => Ok(WriterSchema::Guid(guid)),
            Err(_) => Err(long("GUID after byte 1")),
        },
        [] => Err(wrong("is empty".to_owned())),
        [first, ..] => Err(wrong(format!(
            "begins with byte 0x{first:02x}, not with 0 or 1"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn with_header(header: &[u8]) -> Headers {
        let mut headers = Headers::default();
        headers.push(VALUE_SCHEMA_ID, header.to_vec());
        headers
    }

    fn reason(value: &[u8], headers: &Headers) -> String {
        unframe(value, headers).unwrap_err()
    }

    fn framed(id: u32, datum: &[u8]) -> Vec<u8> {
        let mut value = Vec::new();
        frame(id, datum, &mut value);
        value
    }

    #[test]
    fn a_frame_is_0_the_id_big_endian_and_the_datum() {
        assert_eq!(framed(0x0102_0304, b"xy"), [0, 1, 2, 3, 4, b'x', b'y']);
        assert_eq!(framed(7, b""), [0, 0, 0, 0, 7]);
    }

    #[test]
    fn a_header_goes_before_the_value() {
        let value = framed(7, b"datum");
        let (writer, datum) = unframe(&value, &with_header(&[0, 0, 0, 1, 1])).unwrap();
        assert_eq!((writer, datum), (WriterSchema::Id(257), 0));

        let guid: [u8; 16] = std::array::from_fn(|index| index as u8 + 0xa0);
        let header = [&[1][..], &guid].concat();
        let (writer, datum) = unframe(&value, &with_header(&header)).unwrap();
        assert_eq!((writer, datum), (WriterSchema::Guid(guid), 0));
        assert_eq!(writer.to_string(), "a0a1a2a3-a4a5-a6a7-a8a9-aaabacadaeaf");

        assert_eq!(unframe(&[], &with_header(&header)), Ok((writer, 0)));
    }

    #[test]
    fn a_reason_says_what_is_wrong() {
        let none = Headers::default();
        let short = "too short for the frame of an Avro message";
        assert_eq!(reason(b"", &none), format!("0 bytes are {short}"));
        assert_eq!(reason(&[0], &none), format!("1 byte is {short}"));
        assert_eq!(reason(&[0, 1, 2, 3], &none), format!("4 bytes are {short}"));
        assert!(reason(b"{\"a\":1}", &none).ends_with("begins with byte 0x7b, not with 0"));

        let name = VALUE_SCHEMA_ID;
        for (header, why) in [
            (&[][..], "is empty"),
            (&[2, 0, 0, 0, 1], "begins with byte 0x02, not with 0 or 1"),
            (&[0, 1], "has 2 bytes, which is no id after byte 0"),
            (
                &[1, 0, 0, 0, 1],
                "has 5 bytes, which is no GUID after byte 1",
            ),
        ] {
            let reason = reason(&framed(7, b""), &with_header(header));
            assert_eq!(reason, format!("the header {name} {why}"));
        }
    }

    proptest! {
        #[test]
        fn what_was_framed_comes_back(id: u32, datum: Vec<u8>) {
            let value = framed(id, &datum);
            let (writer, begin) = unframe(&value, &Headers::default()).unwrap();
            prop_assert_eq!(writer, WriterSchema::Id(id));
            prop_assert_eq!(&value[begin..], &datum[..]);
        }

        #[test]
        fn any_bytes_are_read_or_have_a_reason(value: Vec<u8>, header: Option<Vec<u8>>) {
            let headers = header.map_or_else(Headers::default, |header| with_header(&header));
            match unframe(&value, &headers) {
                Ok((_, datum)) => prop_assert!(datum <= value.len()),
                Err(reason) => prop_assert!(!reason.is_empty()),
            }
        }
    }
}
