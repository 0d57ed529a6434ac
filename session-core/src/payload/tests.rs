use serde_json::json;

use super::*;
use crate::fuzz::generate::Generator;
use crate::limits::{MAX_DEPTH, MAX_KEY_LEN, MAX_KEYS};

const CODECS: &[Codec] = &[
    Codec::Json,
    #[cfg(feature = "msgpack")]
    Codec::MessagePack,
];

const JSON_HEADER: &[u8] = b"\xD5S\x01\x01\x00";

fn session(value: Value) -> Content {
    Content { data: BTreeMap::from([("k".to_owned(), value)]), flash: Vec::new() }
}

fn example() -> Content {
    let data = [
        ("cart", json!([1, -2, 2.5, -0.0, null, true])),
        ("user", json!({"name": "é\0\"", "": {}})),
    ];
    Content {
        data: data.map(|(key, value)| (key.to_owned(), value)).into(),
        flash: vec![Flash { id: 255, key: "notice".into(), value: json!("Saved.") }],
    }
}

fn json_body(body: impl AsRef<[u8]>) -> Result<Content, DecodeError> {
    decode(&[JSON_HEADER, body.as_ref()].concat())
}

fn is_corrupt(read: &Result<Content, DecodeError>) -> bool {
    matches!(read, Err(DecodeError::Corrupt))
}

fn is_unsupported(read: &Result<Content, DecodeError>) -> bool {
    matches!(read, Err(DecodeError::UnsupportedFormat))
}

fn assert_round_trip(content: &Content) {
    for codec in CODECS {
        let payload = encode(content, *codec, MAX_PAYLOAD_LEN).unwrap();
        let read = decode(&payload).unwrap();
        assert!(read == *content, "{codec:?} changed {}", payload.escape_ascii());
        // Equal numbers may differ in the sign of zero; equal bytes do not.
        assert_eq!(encode(&read, *codec, MAX_PAYLOAD_LEN), Ok(payload));
    }
}

mod golden {
    use super::*;

    const EXAMPLE_JSON: &[u8] = concat!(
        r#"{"data":{"cart":[1,-2,2.5,-0.0,null,true],"user":{"":{},"name":"é\u0000\""}},"#,
        r#""flash":[["00000000000000ff","notice","Saved."]]}"#
    )
    .as_bytes();

    #[test]
    fn json_of_format_1() {
        let payload = [JSON_HEADER, EXAMPLE_JSON].concat();
        assert!(decode(&payload).unwrap() == example());
        assert_eq!(encode_sorted(&example(), Codec::Json), payload);
    }

    #[test]
    fn an_empty_session_of_format_1() {
        let payload = b"\xD5S\x01\x01\x00{\"data\":{}}".as_slice();
        assert!(decode(payload).unwrap() == Content::default());
        assert_eq!(encode_sorted(&Content::default(), Codec::Json), payload);
    }

    #[cfg(feature = "msgpack")]
    #[test]
    fn message_pack_of_format_1() {
        let payload = [
            b"\xD5S\x01\x02\x00\x82".as_slice(),
            b"\xA4data\x82",
            b"\xA4cart\x96\x01\xFE\xCB\x40\x04\0\0\0\0\0\0\xCB\x80\0\0\0\0\0\0\0\xC0\xC3",
            b"\xA4user\x82\xA0\x80\xA4name\xA4\xC3\xA9\0\"",
            b"\xA5flash\x91\x93\xB000000000000000ff\xA6notice\xA6Saved.",
        ]
        .concat();
        assert!(decode(&payload).unwrap() == example());
        assert_eq!(encode_sorted(&example(), Codec::MessagePack), payload);
    }

    /// Within a value, the order of names is that of `serde_json`'s map: sorted unless some crate
    /// has switched on `preserve_order`.
    fn encode_sorted(content: &Content, codec: Codec) -> Bytes {
        let mut content = content.clone();
        content.data.values_mut().for_each(Value::sort_all_objects);
        encode(&content, codec, MAX_PAYLOAD_LEN).unwrap()
    }
}

mod round_trip {
    use super::*;

    #[test]
    fn whatever_is_encoded_is_read_back_equal() {
        let mut generator = Generator::new();
        for _ in 0..20_000 {
            assert_round_trip(&generator.content());
        }
    }

    #[test]
    fn numbers_at_the_ends_of_their_range() {
        for value in [
            json!(u64::MAX),
            json!(i64::MIN),
            json!(i64::MAX),
            json!(f64::MAX),
            json!(f64::MIN_POSITIVE),
            json!(5e-324),
            json!(-0.0),
            json!(0.1 + 0.2),
            json!(1e21),
            json!(9_007_199_254_740_993_u64),
        ] {
            assert_round_trip(&session(value));
        }
    }

    #[test]
    fn doubles_are_exact() {
        let mut generator = Generator::new();
        for _ in 0..20_000 {
            if let Some(number) = serde_json::Number::from_f64(f64::from_bits(generator.next())) {
                assert_round_trip(&session(Value::Number(number)));
            }
        }
    }

    #[test]
    fn keys_that_mean_something_elsewhere() {
        for key in [
            "\0",
            "a\0b",
            ".",
            "a.b",
            "$",
            "$gt",
            "__proto__",
            "constructor",
            "data",
            "flash",
            " ",
            "\u{feff}",
            "é",
            "e\u{301}",
            "\u{1F600}",
            "$serde_json::private::Number",
            "$serde_json::private::RawValue",
        ] {
            let mut content = session(json!({key: {key: "1.5"}, "other": [key]}));
            content.data.insert(key.to_owned(), json!({key: "1"}));
            content.flash.push(Flash { id: u64::MAX, key: key.to_owned(), value: json!(key) });
            assert_round_trip(&content);
        }
    }

    #[test]
    fn a_long_or_empty_key_inside_a_value() {
        assert_round_trip(&session(json!({"": 1, "k".repeat(100_000): 2})));
    }
}

mod limits {
    use super::*;

    /// Of both sides: what the writer refuses, the reader refuses too.
    fn assert_refused(content: &Content, limit: LimitExceeded) {
        for codec in CODECS {
            assert_eq!(encode(content, *codec, MAX_PAYLOAD_LEN), Err(limit));
        }
        let mut unchecked = write::Bounded::new(usize::MAX);
        unchecked.header(JSON);
        write::json(content, &mut unchecked);
        assert!(is_corrupt(&decode(&unchecked.finish().unwrap())));
        #[cfg(feature = "msgpack")]
        {
            let mut unchecked = write::Bounded::new(usize::MAX);
            unchecked.header(MESSAGE_PACK);
            write::message_pack(content, &mut unchecked);
            assert!(is_corrupt(&decode(&unchecked.finish().unwrap())));
        }
    }

    fn nested(depth: usize, wrap: fn(Value) -> Value) -> Value {
        (0..depth).fold(json!(1.5), |inner, _| wrap(inner))
    }

    fn in_flash(value: Value) -> Content {
        Content { flash: vec![Flash { id: 1, key: "k".into(), value }], ..Content::default() }
    }

    #[test]
    fn depth() {
        let wraps: [fn(Value) -> Value; 2] = [|inner| json!([inner]), |inner| json!({"a": inner})];
        for wrap in wraps {
            assert_round_trip(&session(nested(MAX_DEPTH, wrap)));
            assert_round_trip(&in_flash(nested(MAX_DEPTH, wrap)));
            let too_deep = LimitExceeded::TooDeep { max: MAX_DEPTH };
            assert_refused(&session(nested(MAX_DEPTH + 1, wrap)), too_deep);
            assert_refused(&in_flash(nested(MAX_DEPTH + 1, wrap)), too_deep);
        }
        let empty_innermost = (0..MAX_DEPTH).fold(json!({}), |inner, _| json!([inner]));
        assert_refused(&session(empty_innermost), LimitExceeded::TooDeep { max: MAX_DEPTH });
    }

    #[test]
    fn number_of_keys_and_messages() {
        let keys = |count| Content {
            data: (0..count).map(|n| (format!("k{n}"), json!(n))).collect(),
            ..Content::default()
        };
        let flash = |count| Content {
            flash: (0..count).map(|id| Flash { id, key: "k".into(), value: json!(id) }).collect(),
            ..Content::default()
        };
        let too_many = LimitExceeded::TooManyKeys { max: MAX_KEYS };
        assert_round_trip(&keys(MAX_KEYS));
        assert_refused(&keys(MAX_KEYS + 1), too_many);
        assert_round_trip(&flash(MAX_KEYS as u64));
        assert_refused(&flash(MAX_KEYS as u64 + 1), too_many);
    }

    #[test]
    fn length_of_keys() {
        let named = |key: String| {
            let data = BTreeMap::from([(key.clone(), json!(1))]);
            let flash = in_flash(json!(1)).flash.remove(0);
            (
                Content { data, ..Content::default() },
                Content { flash: vec![Flash { key, ..flash }], ..Content::default() },
            )
        };
        let (data, flash) = named("é".repeat(127) + "k");
        assert_eq!(data.data.keys().next().unwrap().len(), MAX_KEY_LEN);
        assert_round_trip(&data);
        assert_round_trip(&flash);
        for (key, limit) in [
            (String::new(), LimitExceeded::EmptyKey),
            ("é".repeat(128), LimitExceeded::KeyTooLong { max: MAX_KEY_LEN }),
            ("k".repeat(10 << 20), LimitExceeded::KeyTooLong { max: MAX_KEY_LEN }),
        ] {
            let (data, flash) = named(key);
            assert_refused(&data, limit);
            assert_refused(&flash, limit);
        }
    }

    #[test]
    fn length_of_the_payload() {
        let text = |len: usize| session(json!("x".repeat(len)));
        for codec in CODECS {
            let overhead = encode(&text(MAX_PAYLOAD_LEN / 2), *codec, MAX_PAYLOAD_LEN)
                .map(|payload| payload.len() - MAX_PAYLOAD_LEN / 2)
                .unwrap();
            let fits = text(MAX_PAYLOAD_LEN - overhead);
            let payload = encode(&fits, *codec, usize::MAX).unwrap();
            assert_eq!(payload.len(), MAX_PAYLOAD_LEN);
            assert!(decode(&payload).unwrap() == fits);
            let too_large = |len, max| Err(LimitExceeded::PayloadTooLarge { len, max });
            assert_eq!(
                encode(&text(MAX_PAYLOAD_LEN - overhead + 1), *codec, usize::MAX),
                too_large(MAX_PAYLOAD_LEN + 1, MAX_PAYLOAD_LEN),
            );
            assert_eq!(
                encode(&fits, *codec, MAX_PAYLOAD_LEN - 1),
                too_large(MAX_PAYLOAD_LEN, MAX_PAYLOAD_LEN - 1),
            );
            let far_too_large = encode(&text(32 << 20), *codec, 4_096);
            assert_eq!(far_too_large, too_large((32 << 20) + overhead_of(*codec), 4_096));
        }
    }

    fn overhead_of(codec: Codec) -> usize {
        let envelope = match codec {
            Codec::Json => r#"{"data":{"k":""}}"#.len(),
            #[cfg(feature = "msgpack")]
            Codec::MessagePack => b"\x81\xA4data\x81\xA1k\xDB....".len(),
        };
        JSON_HEADER.len() + envelope
    }

    #[test]
    fn a_longer_payload_is_refused_before_it_is_read() {
        let mut payload =
            encode(&session(json!(1)), Codec::Json, MAX_PAYLOAD_LEN).unwrap().to_vec();
        let closing = payload.split_off(payload.len() - 2);
        payload.resize(MAX_PAYLOAD_LEN - closing.len(), b' ');
        payload.extend_from_slice(&closing);
        assert!(decode(&payload).is_ok(), "white space inside is JSON");
        payload.insert(payload.len() - 1, b' ');
        assert!(is_corrupt(&decode(&payload)));
    }
}

mod hostile {
    use super::*;

    #[test]
    fn four_megabytes_of_nothing() {
        let nulls = format!(r#"{{"data":{{"k":[null{}]}}}}"#, ",null".repeat(800_000));
        assert!(is_corrupt(&json_body(nulls)));
    }

    #[test]
    fn depth_of_a_hundred_thousand() {
        for (open, close) in [("[", "]"), (r#"{"a":"#, "}")] {
            for depth in [MAX_DEPTH + 1, 40_000] {
                let (open, close) = (open.repeat(depth), close.repeat(depth));
                assert!(is_corrupt(&json_body(format!(r#"{{"data":{{"k":{open}1{close}}}}}"#))));
                assert!(is_corrupt(&json_body(format!(r#"{{"data":{{"k":{open}"#))));
                let unknown = json_body(format!(r#"{{"data":{{}},"new":{open}1{close}}}"#));
                assert!(unknown.is_err());
            }
        }
        assert!(is_corrupt(&json_body("[".repeat(100_000))));
        assert!(is_corrupt(&json_body(format!(r#"{{"data":{}"#, "[".repeat(100_000)))));
    }

    #[test]
    fn bytes_after_the_body() {
        for codec in CODECS {
            let payload = encode(&example(), *codec, MAX_PAYLOAD_LEN).unwrap();
            for byte in 0..=u8::MAX {
                let mut longer = payload.to_vec();
                longer.push(byte);
                assert!(is_corrupt(&decode(&longer)), "{codec:?} {byte}");
            }
        }
        assert!(is_corrupt(&json_body(r#" {"data":{}}"#)));
        assert!(is_corrupt(&json_body(r#"{"data":{}}{"data":{}}"#)));
    }

    #[test]
    fn a_key_twice() {
        for body in [
            r#"{"data":{"role":"user","role":"admin"}}"#,
            r#"{"data":{"role":"user","\u0072ole":"admin"}}"#,
            r#"{"data":{"user":{"role":"user","role":"admin"}}}"#,
            r#"{"data":{"user":[[{"a":[{"role":1,"x":2,"role":1}]}]]}}"#,
            r#"{"data":{},"data":{}}"#,
            r#"{"data":{},"flash":[],"flash":[]}"#,
            r#"{"data":{},"flash":[["0000000000000001","k",{"a":1,"a":1}]]}"#,
        ] {
            assert!(is_corrupt(&json_body(body)), "{body}");
        }
    }

    #[test]
    fn what_a_later_version_may_have_written() {
        for codec in CODECS {
            let payload = encode(&example(), *codec, MAX_PAYLOAD_LEN).unwrap();
            for (position, value) in [(2, 0), (2, 2), (2, 255), (3, 0), (3, 3), (3, 255)] {
                let mut changed = payload.to_vec();
                changed[position] = value;
                assert!(is_unsupported(&decode(&changed)), "{codec:?} {position} {value}");
            }
            for bit in 0..8 {
                let mut changed = payload.to_vec();
                changed[4] = 1 << bit;
                assert!(is_unsupported(&decode(&changed)), "{codec:?} flag {bit}");
            }
            for position in [0, 1] {
                let mut changed = payload.to_vec();
                changed[position] ^= 1;
                assert!(is_corrupt(&decode(&changed)), "{codec:?} magic {position}");
            }
        }
        assert!(is_unsupported(&json_body(r#"{"data":{},"new":{"a":[1]}}"#)));
        assert!(is_unsupported(&json_body(r#"{"new":1,"data":{"k":1}}"#)));
    }

    #[cfg(not(feature = "msgpack"))]
    #[test]
    fn a_codec_that_is_switched_off() {
        assert!(is_unsupported(&decode(b"\xD5S\x01\x02\x00\x81\xA4data\x80")));
    }

    #[test]
    fn truncated_at_every_length() {
        for codec in CODECS {
            let payload = encode(&example(), *codec, MAX_PAYLOAD_LEN).unwrap();
            for len in 0..payload.len() {
                assert!(is_corrupt(&decode(&payload[..len])), "{codec:?} {len}");
            }
        }
    }

    #[test]
    fn other_shapes_and_spellings() {
        for body in [
            "",
            "{}",
            "null",
            "[]",
            r#"{"flash":[]}"#,
            r#"{"new":1}"#,
            r#"{"data":[]}"#,
            r#"{"data":null}"#,
            r#"{"data":1.5}"#,
            r#"{"data":1e400}"#,
            r#"{"data":{"k":1e400}}"#,
            r#"{"data":{"k":NaN}}"#,
            r#"{"data":{"k":Infinity}}"#,
            r#"{"data":{"k":01}}"#,
            r#"{"data":{"k":+1}}"#,
            r#"{"data":{"k":1,}}"#,
            r#"{"data":{k:1}}"#,
            r#"{"data":{1:1}}"#,
            r#"{"data":{"k":'x'}}"#,
            r#"{"data":{"k":"\ud800"}}"#,
            r#"{"data":{"\udc00":1}}"#,
            r#"{"data":{"k":"\x00"}}"#,
            r#"{"data":{"":1}}"#,
            "{\"data\":{\"k\":\"\n\"}}",
            r#"{"data":{},"flash":{}}"#,
            r#"{"data":{},"flash":null}"#,
            r#"{"data":{},"flash":[[]]}"#,
            r#"{"data":{},"flash":[["0000000000000001","k"]]}"#,
            r#"{"data":{},"flash":[["0000000000000001","k",1,1]]}"#,
            r#"{"data":{},"flash":[["0000000000000001","",1]]}"#,
            r#"{"data":{},"flash":[[1,"k",1]]}"#,
            r#"{"data":{},"flash":[["1","k",1]]}"#,
            r#"{"data":{},"flash":[["+000000000000001","k",1]]}"#,
            r#"{"data":{},"flash":[["000000000000000A","k",1]]}"#,
            r#"{"data":{},"flash":[["00000000000000001","k",1]]}"#,
        ] {
            assert!(is_corrupt(&json_body(body)), "{body}");
        }
        assert!(is_corrupt(&json_body(b"{\"data\":{\"k\":\"\xff\"}}")), "not UTF-8");
        assert!(is_corrupt(&json_body(b"{\"data\":{\"k\":\"\xed\xa0\x80\"}}")), "a surrogate");
        let empty_flash = json_body(r#"{ "flash" : [], "data" : {} }"#).unwrap();
        assert!(empty_flash == Content::default());
    }

    /// Numbers that a writer of another language may spell in its own way.
    #[test]
    fn numbers_are_read_alike_whatever_the_features_of_the_parser() {
        for (spelling, number) in [
            ("1.50", json!(1.5)),
            ("1E2", json!(100.0)),
            ("1.0e+2", json!(100.0)),
            ("-0", json!(-0.0)),
            ("18446744073709551615", json!(u64::MAX)),
            ("18446744073709551616", json!(18_446_744_073_709_551_616.0)),
            ("0.30000000000000004441", json!(0.300_000_000_000_000_04)),
            ("1e-400", json!(0.0)),
        ] {
            let read = json_body(format!(r#"{{"data":{{"k":{spelling}}}}}"#)).unwrap();
            assert!(read == session(number), "{spelling}");
            assert_round_trip(&read);
        }
    }
}

#[cfg(feature = "msgpack")]
mod message_pack {
    use super::*;

    fn value(value: &[u8]) -> Result<Content, DecodeError> {
        body(&[b"\x81\xA4data\x81\xA1k", value].concat())
    }

    fn body(body: &[u8]) -> Result<Content, DecodeError> {
        decode(&[b"\xD5S\x01\x02\x00", body].concat())
    }

    #[test]
    fn is_smaller_than_json() {
        let [json, message_pack] = [Codec::Json, Codec::MessagePack]
            .map(|codec| encode(&example(), codec, MAX_PAYLOAD_LEN).unwrap().len());
        assert!(message_pack < json, "{message_pack} {json}");
    }

    #[test]
    fn length_prefixes_that_lie() {
        for marker in [0xC6, 0xDB, 0xDD, 0xDF, 0xC9] {
            let claim = [marker, 0xFF, 0xFF, 0xFF, 0xFF];
            assert!(is_corrupt(&value(&claim)), "{marker:x}");
            assert!(is_corrupt(&value(&[&claim[..], b"\x01\x01"].concat())), "{marker:x}");
            assert!(is_corrupt(&body(&claim)), "{marker:x}");
            let nested = [b"\x91".repeat(MAX_DEPTH - 1).as_slice(), &claim].concat();
            assert!(is_corrupt(&value(&nested)), "{marker:x}");
        }
        assert!(is_corrupt(&body(b"\x81\xA4data\xDF\xFF\xFF\xFF\xFF\xA1k\x01")));
    }

    #[test]
    fn four_megabytes_of_nil() {
        let nils = |count: u32| {
            let header = [b"\xDD".as_slice(), &count.to_be_bytes()].concat();
            value(&[header.as_slice(), &vec![0xC0; count as usize]].concat())
        };
        assert!(is_corrupt(&nils(4_000_000)));
        assert!(nils(100_000).unwrap() == session(vec![Value::Null; 100_000].into()));
    }

    #[test]
    fn depth_of_a_hundred_thousand() {
        for open in [b"\x91".as_slice(), b"\x81\xA1a"] {
            for depth in [MAX_DEPTH + 1, 60_000] {
                let nested = [open.repeat(depth).as_slice(), b"\x01"].concat();
                assert!(is_corrupt(&value(&nested)));
                let unknown = [b"\x82\xA4data\x80\xA3new", nested.as_slice()].concat();
                assert!(body(&unknown).is_err());
            }
        }
        assert!(is_corrupt(&body(&b"\x91".repeat(100_000))));
    }

    #[test]
    fn a_key_twice() {
        assert!(is_corrupt(&body(b"\x81\xA4data\x82\xA1k\x01\xA1k\x01")));
        assert!(is_corrupt(&value(b"\x91\x82\xA1a\x01\xA1a\x01")));
        assert!(is_corrupt(&value(b"\x82\xA1a\x01\xD9\x01a\x01")));
        assert!(is_corrupt(&body(b"\x82\xA4data\x80\xA4data\x80")));
    }

    #[test]
    fn types_that_json_has_not() {
        for (name, bytes) in [
            ("bin", b"\xC4\x01a".as_slice()),
            ("ext", b"\xC7\x01\x01a"),
            ("fixext", b"\xD4\x01a"),
            ("timestamp", b"\xD6\xFF\0\0\0\0"),
            ("never used", b"\xC1"),
            ("NaN", b"\xCB\x7F\xF8\0\0\0\0\0\0"),
            ("infinity", b"\xCB\x7F\xF0\0\0\0\0\0\0"),
            ("NaN of 32 bits", b"\xCA\x7F\xC0\0\0"),
            ("str that is not UTF-8", b"\xA1\xFF"),
            ("integer as key", b"\x81\x01\x01"),
            ("nil as key", b"\x81\xC0\x01"),
            ("bin as key", b"\x81\xC4\x01a\x01"),
            ("array as key", b"\x81\x90\x01"),
        ] {
            assert!(is_corrupt(&value(bytes)), "{name}");
        }
    }

    #[test]
    fn nothing_is_converted_in_the_envelope() {
        for (name, bytes) in [
            ("bin as name", b"\x81\xC4\x04data\x80".as_slice()),
            ("bin as key", b"\x81\xA4data\x81\xC4\x01k\x01"),
            ("array as body", b"\x91\x80"),
            ("bin as flash", b"\x82\xA4data\x80\xA5flash\xC4\x01a"),
            ("bin as message", b"\x82\xA4data\x80\xA5flash\x91\xC4\x03abc"),
            ("bin as id", b"\x82\xA4data\x80\xA5flash\x91\x93\xC4\x100000000000000001\xA1k\x01"),
            (
                "a fourth part",
                b"\x82\xA4data\x80\xA5flash\x91\x94\xB00000000000000001\xA1k\x01\x01",
            ),
            ("the word for a number", b"\x81\xA4data\x81\xBC$serde_json::private::Number\xA1"),
        ] {
            assert!(is_corrupt(&body(bytes)), "{name}");
        }
    }

    #[test]
    fn other_spellings_of_a_value() {
        for (bytes, expected) in [
            (b"\xCF\0\0\0\0\0\0\0\x01".as_slice(), json!(1)),
            (b"\xD3\0\0\0\0\0\0\0\x01", json!(1)),
            (b"\xCA\x3F\xC0\0\0", json!(1.5)),
            (b"\xDB\0\0\0\x01a", json!("a")),
            (b"\xDD\0\0\0\x01\xC2", json!([false])),
        ] {
            let read = value(bytes).unwrap();
            assert!(read == session(expected));
            assert_round_trip(&read);
        }
    }

    #[test]
    fn an_unknown_member() {
        assert!(is_unsupported(&body(b"\x82\xA4data\x80\xA3new\xC4\x01a")));
        assert!(is_unsupported(&body(b"\x82\xA3new\x91\x81\x01\x02\xA4data\x80")));
        assert!(is_corrupt(&body(b"\x81\xA3new\x80")));
    }
}
