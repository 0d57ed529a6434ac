use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::json;

use super::*;

#[derive(Serialize)]
enum Shape {
    Point,
    Circle(u8),
    Line(u8, u8),
    Square { side: u8 },
}

#[derive(Serialize, PartialEq, Eq, PartialOrd, Ord)]
struct Id(u8);

#[derive(Serialize)]
struct Chain(Option<Box<Self>>);

/// A value inside so many arrays.
struct Wrapped<'a, T>(usize, &'a T);

impl<T: Serialize> Serialize for Wrapped<'_, T> {
    fn serialize<S: ser::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self(0, value) => value.serialize(serializer),
            Self(arrays, value) => serializer.collect_seq([Self(arrays - 1, value)]),
        }
    }
}

struct FloatKey;

impl Serialize for FloatKey {
    fn serialize<S: ser::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map([(1.5, 'a')])
    }
}

struct Pairs(Vec<(&'static str, u8)>);

impl Serialize for Pairs {
    fn serialize<S: ser::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().copied())
    }
}

/// Shapes of data that serde has names for, each as `serde_json` itself would have it.
#[test]
fn what_json_can_hold_is_converted_as_usual() {
    let mut pairs = BTreeMap::new();
    pairs.insert("a", 1);
    assert_eq!(to_value(&pairs), Ok(json!({"a": 1})));
    assert_eq!(
        to_value(&(1_i8, -2_i64, "x", 'y', true, ())),
        Ok(json!([1, -2, "x", "y", true, null]))
    );
    assert_eq!(to_value(&[Some(1.5_f32), None]), Ok(json!([1.5, null])));
    assert_eq!(
        to_value(&[Shape::Point, Shape::Circle(1), Shape::Line(1, 2), Shape::Square { side: 3 }]),
        Ok(json!(["Point", {"Circle": 1}, {"Line": [1, 2]}, {"Square": {"side": 3}}])),
    );
    assert_eq!(to_value(&Id(7)), Ok(json!(7)));
    let nested = json!({"a": [{"b": null}, 1, 2.5, "c"], "": {}});
    assert_eq!(to_value(&nested), Ok(nested));
}

#[test]
fn the_largest_and_smallest_numbers_are_kept() {
    assert_eq!(to_value(&u64::MAX).unwrap().as_u64(), Some(u64::MAX));
    assert_eq!(to_value(&i64::MIN).unwrap().as_i64(), Some(i64::MIN));
    assert_eq!(to_value(&u128::from(u64::MAX)).unwrap().as_u64(), Some(u64::MAX));
    assert_eq!(to_value(&i128::from(i64::MIN)).unwrap().as_i64(), Some(i64::MIN));
    assert_eq!(to_value(&f64::MAX).unwrap().as_f64(), Some(f64::MAX));
    assert!(to_value(&-0.0_f64).unwrap().as_f64().unwrap().is_sign_negative());
}

#[test]
fn numbers_that_json_would_change_are_refused() {
    for float in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        assert_eq!(to_value(&float), Err(ValueError::NotFinite));
    }
    assert_eq!(to_value(&[f32::NAN]), Err(ValueError::NotFinite));
    assert_eq!(to_value(&(i128::from(u64::MAX) + 1)), Err(ValueError::NumberOutOfRange));
    assert_eq!(to_value(&(i128::from(i64::MIN) - 1)), Err(ValueError::NumberOutOfRange));
    assert_eq!(to_value(&u128::MAX), Err(ValueError::NumberOutOfRange));
}

#[test]
fn bytes_become_numbers() {
    struct Bytes;
    impl Serialize for Bytes {
        fn serialize<S: ser::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.serialize_bytes(&[0, 255])
        }
    }
    assert_eq!(to_value(&Bytes), Ok(json!([0, 255])));
}

#[test]
fn keys_become_strings_or_are_refused() {
    assert_eq!(to_value(&BTreeMap::from([(-1, 'a')])), Ok(json!({"-1": "a"})));
    assert_eq!(to_value(&BTreeMap::from([(true, 'a')])), Ok(json!({"true": "a"})));
    assert_eq!(to_value(&BTreeMap::from([('k', 'a')])), Ok(json!({"k": "a"})));
    assert_eq!(to_value(&BTreeMap::from([(Id(1), 'a')])), Ok(json!({"1": "a"})));
    assert_eq!(to_value(&BTreeMap::from([((), 'a')])), Err(ValueError::KeyNotString));
    assert_eq!(to_value(&BTreeMap::from([([1], 'a')])), Err(ValueError::KeyNotString));
    assert_eq!(to_value(&FloatKey), Err(ValueError::KeyNotString));
    let too_large = BTreeMap::from([(i128::MAX, 'a')]);
    assert_eq!(to_value(&too_large), Err(ValueError::NumberOutOfRange));
}

#[test]
fn a_key_that_comes_twice_is_refused() {
    assert_eq!(to_value(&Pairs(vec![("a", 1), ("b", 2)])), Ok(json!({"a": 1, "b": 2})));
    assert_eq!(to_value(&Pairs(vec![("a", 1), ("a", 1)])), Err(ValueError::DuplicateKey));
}

#[test]
fn depth_is_limited() {
    let nested = |depth: usize| (0..depth).fold(json!(1), |inner, _| json!([inner]));
    assert_eq!(to_value(&nested(MAX_DEPTH)), Ok(nested(MAX_DEPTH)));
    assert_eq!(to_value(&nested(MAX_DEPTH + 1)), Err(ValueError::TooDeep));
    for (shape, containers) in [
        (Shape::Point, 0),
        (Shape::Circle(1), 1),
        (Shape::Line(1, 2), 2),
        (Shape::Square { side: 3 }, 2),
    ] {
        assert!(to_value(&Wrapped(MAX_DEPTH - containers, &shape)).is_ok());
        let too_deep = to_value(&Wrapped(MAX_DEPTH - containers + 1, &shape));
        assert_eq!(too_deep, Err(ValueError::TooDeep), "{containers}");
    }
}

#[test]
fn the_stack_is_safe_from_types_that_add_no_depth_to_the_json() {
    let mut chain = Chain(None);
    for _ in 0..10_000 {
        chain = Chain(Some(Box::new(chain)));
    }
    assert_eq!(to_value(&chain), Err(ValueError::TooDeep));
    let short = Chain(Some(Box::new(Chain(None))));
    assert_eq!(to_value(&short), Ok(Value::Null));
}

#[test]
fn errors_say_nothing_of_the_value() {
    struct Refusing;
    impl Serialize for Refusing {
        fn serialize<S: ser::Serializer>(&self, _serializer: S) -> Result<S::Ok, S::Error> {
            Err(ser::Error::custom("the password is hunter2"))
        }
    }
    let error = to_value(&[Refusing]).unwrap_err();
    assert_eq!(error, ValueError::Custom);
    assert!(!format!("{error} {error:?}").contains("hunter2"));
}

/// How numbers and raw text arrive when some crate has switched on a feature of `serde_json`.
#[test]
fn private_forms_of_serde_json_are_numbers_or_refused() {
    struct Private(&'static str, &'static str);
    impl Serialize for Private {
        fn serialize<S: ser::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            let mut fields = serializer.serialize_struct(self.0, 1)?;
            ser::SerializeStruct::serialize_field(&mut fields, self.0, self.1)?;
            ser::SerializeStruct::end(fields)
        }
    }
    for (text, number) in [
        ("18446744073709551615", json!(u64::MAX)),
        ("-9223372036854775808", json!(i64::MIN)),
        ("1.50", json!(1.5)),
        ("0.1e+1", json!(1.0)),
        ("100e-2", json!(1.0)),
        ("0.000", json!(0.0)),
        ("-0", json!(-0.0)),
        ("5e-324", json!(5e-324)),
    ] {
        assert_eq!(to_value(&Private(NUMBER_TOKEN, text)), Ok(number), "{text}");
    }
    for text in ["18446744073709551616", "0.12345678901234567890123", "1e400", "1e-400", "x"] {
        let refused = to_value(&Private(NUMBER_TOKEN, text));
        assert_eq!(refused, Err(ValueError::NumberOutOfRange), "{text}");
    }
    assert_eq!(to_value(&Private(RAW_TOKEN, "[1]")), Err(ValueError::Custom));
}
