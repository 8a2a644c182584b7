//! Records as Avro bytes: what the existing services write is read, and what is written they read.

use heartbeat_core::{ErrorKind, Keyed, Record, Result, Schema, Sentiment, Tweet, TweetId};
use proptest::prelude::*;

fn tweet() -> Tweet {
    Tweet {
        time: 1_652_073_462,
        content: "hé".into(),
        task: "RU-UKR".into(),
    }
}

fn encode<R: Record>(record: &R) -> Vec<u8> {
    R::codec()
        .encode(record)
        .expect("a record fits its schema")
        .to_vec()
}

/// Decodes what a writer with the schema `writer` wrote.
fn read<R: Record>(writer: &str, datum: &[u8]) -> Result<R> {
    let writer = Schema::parse(writer).expect("a schema of the test");
    R::codec().decode(writer.as_ref(), datum)
}

/// Avro's zigzag variable-length integer.
fn long(number: i64) -> Vec<u8> {
    let mut zigzag = ((number << 1) ^ (number >> 63)).cast_unsigned();
    let mut bytes = Vec::new();
    while zigzag >= 0x80 {
        bytes.push((zigzag as u8) | 0x80);
        zigzag >>= 7;
    }
    bytes.push(zigzag as u8);
    bytes
}

fn string(text: &str) -> Vec<u8> {
    [long(text.len() as i64), text.as_bytes().to_vec()].concat()
}

#[test]
fn the_schemas_are_those_of_the_existing_services() {
    let field = |name: &str, kind: &str| format!(r#"{{"name":"{name}","type":{kind}}}"#);
    let time = field("time", r#"{"type":"int","logicalType":"timestamp-millis"}"#);
    let record = |name: &str, fields: &[String]| {
        let fields = fields.join(",");
        format!(
            r#"{{"type":"record","namespace":"heartbeat","name":"{name}","fields":[{fields}]}}"#
        )
    };
    let tweet = [
        time.clone(),
        field("content", "\"string\""),
        field("task", "\"string\""),
    ];
    assert_eq!(Tweet::codec().schema().text(), record("tweet", &tweet));
    let float = |name| field(name, "\"float\"");
    let sentiment = [
        time,
        field("task", "\"string\""),
        float("pos"),
        float("neu"),
        float("neg"),
    ];
    assert_eq!(
        Sentiment::codec().schema().text(),
        record("sentiment", &sentiment)
    );
}

#[test]
fn a_record_is_its_fields_in_order() {
    let expected = [long(1_652_073_462), string("hé"), string("RU-UKR")].concat();
    assert_eq!(encode(&tweet()), expected);
    let sentiment = Sentiment {
        time: -1,
        task: "t".into(),
        pos: 0.5,
        neu: 0.25,
        neg: 0.25,
    };
    let floats = [0.5_f32, 0.25, 0.25].map(f32::to_le_bytes).concat();
    assert_eq!(encode(&sentiment), [long(-1), string("t"), floats].concat());
}

#[test]
fn another_spelling_of_the_schema_is_the_same_schema() {
    let spelled = r#"{ "name": "heartbeat.tweet", "type": "record", "doc": "a tweet", "fields": [
        {"name": "time", "type": "int"}, {"name": "content", "type": {"type": "string"}},
        {"name": "task", "type": "string", "default": ""}] }"#;
    assert!(
        Tweet::codec()
            .schema()
            .same_layout(&Schema::parse(spelled).unwrap())
    );
    assert_eq!(read::<Tweet>(spelled, &encode(&tweet())).unwrap(), tweet());
}

#[test]
fn fields_the_reader_does_not_know_are_passed_over() {
    let writer = r#"{"type":"record","namespace":"heartbeat","name":"tweet","fields":[
        {"name":"lang","type":["null","string"],"default":null},{"name":"task","type":"string"},
        {"name":"time","type":"int"},{"name":"content","type":"string"},
        {"name":"likes","type":"long","default":0}]}"#;
    let datum = [
        long(1),
        string("en"),
        string("RU-UKR"),
        long(1_652_073_462),
        string("hé"),
        long(99),
    ]
    .concat();
    assert_eq!(read::<Tweet>(writer, &datum).unwrap(), tweet());
}

#[test]
fn a_long_time_is_read_when_it_fits() {
    for kind in [
        r#""long""#,
        r#"{"type":"long","logicalType":"timestamp-millis"}"#,
    ] {
        let writer = format!(
            r#"{{"type":"record","namespace":"heartbeat","name":"tweet","fields":[
                {{"name":"time","type":{kind}}},{{"name":"content","type":"string"}},
                {{"name":"task","type":"string"}}]}}"#
        );
        let datum = |time| [long(time), string("hé"), string("RU-UKR")].concat();
        assert_eq!(
            read::<Tweet>(&writer, &datum(1_652_073_462)).unwrap(),
            tweet()
        );
        for time in [i64::from(i32::MAX) + 1, 1_652_073_462_000, i64::MIN] {
            let error = read::<Tweet>(&writer, &datum(time)).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Invalid);
            assert!(error.report().contains("field time"), "{error:?}");
            assert!(error.report().contains(&time.to_string()), "{error:?}");
        }
    }
}

#[test]
fn a_renamed_field_is_found_by_its_alias() {
    let writer = r#"{"type":"record","namespace":"heartbeat","name":"tweet","fields":[
        {"name":"time","type":"int"},{"name":"text","type":"string","aliases":["content"]},
        {"name":"task","type":"string"}]}"#;
    assert_eq!(read::<Tweet>(writer, &encode(&tweet())).unwrap(), tweet());
}

#[test]
fn a_missing_field_and_another_record_are_named() {
    let writer = r#"{"type":"record","namespace":"heartbeat","name":"tweet","fields":[
        {"name":"time","type":"int"},{"name":"task","type":"string"}]}"#;
    let error = read::<Tweet>(writer, &[long(1), string("t")].concat()).unwrap_err();
    assert!(error.report().contains("content"), "{error:?}");

    let datum = encode(&tweet());
    let writer = Tweet::codec().schema().text();
    let error = read::<Sentiment>(writer, &datum).unwrap_err();
    assert!(error.report().contains("heartbeat.tweet"), "{error:?}");
    assert_eq!(
        read::<Tweet>("\"string\"", &datum).unwrap_err().kind(),
        ErrorKind::Invalid
    );
}

#[test]
fn a_datum_cut_off_or_too_long_is_an_error() {
    let whole = encode(&tweet());
    let own = Tweet::codec().schema();
    for end in 0..whole.len() {
        assert!(
            Tweet::codec().decode::<Tweet>(own, &whole[..end]).is_err(),
            "{end} bytes"
        );
    }
    let longer = [whole.as_slice(), b"x"].concat();
    let error = Tweet::codec().decode::<Tweet>(own, &longer).unwrap_err();
    assert!(error.to_string().contains("left over 1"), "{error}");
    // A string that says it is longer than any memory.
    let huge = [long(0), long(i64::MAX)].concat();
    assert!(Tweet::codec().decode::<Tweet>(own, &huge).is_err());
    let negative = [long(0), long(-5)].concat();
    assert!(Tweet::codec().decode::<Tweet>(own, &negative).is_err());
}

#[test]
fn keys_are_eight_or_four_bytes() {
    let id = TweetId(7868);
    assert_eq!(id.to_key(), [0, 0, 0, 0, 0, 0, 0x1e, 0xbc]);
    assert_eq!(TweetId::from_key(&id.to_key()).unwrap(), id);
    assert_eq!(TweetId::from_key(&[0, 0, 0x1e, 0xbc]).unwrap(), id);
    assert_eq!(TweetId::from_key(&[0xff; 4]).unwrap(), TweetId(-1));
    for key in [&b""[..], b"7868x", b"1783000000"] {
        assert!(TweetId::from_key(key).is_err(), "{key:?}");
    }
}

#[test]
fn ids_are_up_to_nineteen_digits_that_fit() {
    assert_eq!("0".parse::<TweetId>().unwrap(), TweetId(0));
    assert_eq!(
        "9223372036854775807".parse::<TweetId>().unwrap(),
        TweetId(i64::MAX)
    );
    for text in [
        "",
        "-1",
        "+1",
        " 1",
        "1.0",
        "9223372036854775808",
        "00000000000000000001",
        "x",
    ] {
        let error = text.parse::<TweetId>().unwrap_err();
        assert!(error.to_string().contains("field id"), "{error}");
    }
}

proptest! {
    #[test]
    fn any_record_comes_back(id: i64, time: i32, content: String, task: String, pos: f32, neu: f32, neg: f32) {
        let tweet = Keyed { id: TweetId(id), value: Tweet { time, content, task: task.clone() } };
        let codec = Tweet::codec();
        let datum = codec.encode(&tweet.value).unwrap();
        prop_assert_eq!(&codec.decode::<Tweet>(codec.schema(), &datum).unwrap(), &tweet.value);

        let sentiment = Sentiment { time, task, pos, neu, neg };
        let codec = Sentiment::codec();
        let datum = codec.encode(&sentiment).unwrap();
        prop_assert_eq!(codec.decode::<Sentiment>(codec.schema(), &datum).unwrap(), sentiment);
    }

    #[test]
    fn any_bytes_are_a_record_or_an_error(datum: Vec<u8>) {
        let foreign = r#"{"type":"record","name":"tweet","fields":[{"name":"time","type":"long"},
            {"name":"content","type":"string"},{"name":"task","type":"string"}]}"#;
        for writer in [Tweet::codec().schema().text(), foreign] {
            if let Err(error) = read::<Tweet>(writer, &datum) {
                prop_assert_eq!(error.kind(), ErrorKind::Invalid);
            }
        }
        let _ = read::<Sentiment>(Sentiment::codec().schema().text(), &datum);
    }
}
