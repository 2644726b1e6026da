//! Action Message Format 0, the values in commands and metadata.

use crate::rtmp::Error;
use bytes::{BufMut, BytesMut};

/// Encoders nest three deep; decoding recurses.
const DEPTH_MAX: usize = 16;
/// Of one message; encoders' metadata has some twenty, and a value takes 30 times its byte.
const VALUES_MAX: usize = 1024;
/// The longest string with a 16-bit length, 2.4.
const SHORT_STRING_MAX: usize = u16::MAX as usize;

mod marker {
    pub(super) const NUMBER: u8 = 0x00;
    pub(super) const BOOLEAN: u8 = 0x01;
    pub(super) const STRING: u8 = 0x02;
    pub(super) const OBJECT: u8 = 0x03;
    pub(super) const NULL: u8 = 0x05;
    pub(super) const UNDEFINED: u8 = 0x06;
    pub(super) const ECMA_ARRAY: u8 = 0x08;
    pub(super) const OBJECT_END: u8 = 0x09;
    pub(super) const STRICT_ARRAY: u8 = 0x0a;
    pub(super) const DATE: u8 = 0x0b;
    pub(super) const LONG_STRING: u8 = 0x0c;
    pub(super) const UNSUPPORTED: u8 = 0x0d;
    pub(super) const XML_DOCUMENT: u8 = 0x0f;
    pub(super) const TYPED_OBJECT: u8 = 0x10;
}

pub type Properties = Vec<(String, Value)>;

#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    Number(f64),
    Boolean(bool),
    /// Long strings and XML documents too; bytes that are no UTF-8 are replaced.
    String(String),
    /// Typed objects too, without their class.
    Object(Properties),
    EcmaArray(Properties),
    StrictArray(Vec<Value>),
    /// Unix time.
    Date {
        unix_ms: f64,
    },
    Null,
    Undefined,
}

impl Value {
    pub fn string(text: impl Into<String>) -> Self {
        Self::String(text.into())
    }

    /// Property `name` of an object or ECMA array.
    pub fn get(&self, name: &str) -> Option<&Value> {
        let properties = self.properties()?;
        properties.iter().find(|(key, _)| key == name).map(|(_, value)| value)
    }

    pub fn properties(&self) -> Option<&Properties> {
        match self {
            Self::Object(properties) | Self::EcmaArray(properties) => Some(properties),
            _ => None,
        }
    }

    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            _ => None,
        }
    }

    pub fn as_f64(&self) -> Option<f64> {
        match self {
            Self::Number(number) => Some(*number),
            _ => None,
        }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::String(text.to_owned())
    }
}

impl From<f64> for Value {
    fn from(number: f64) -> Self {
        Self::Number(number)
    }
}

/// Takes one value off the front of `input`.
pub fn decode(input: &mut &[u8]) -> Result<Value, Error> {
    decode_at(input, &mut Left { depth: DEPTH_MAX, values: VALUES_MAX })
}

/// All values up to the end of `input`.
pub fn decode_all(mut input: &[u8]) -> Result<Vec<Value>, Error> {
    let mut left = Left { depth: DEPTH_MAX, values: VALUES_MAX };
    let mut values = Vec::new();
    while !input.is_empty() {
        values.push(decode_at(&mut input, &mut left)?);
    }
    Ok(values)
}

/// What a message may still hold.
struct Left {
    depth: usize,
    values: usize,
}

impl Left {
    /// Decodes what is nested in a value.
    fn nested<T>(&mut self, decode: impl FnOnce(&mut Self) -> Result<T, Error>) -> Result<T, Error> {
        self.depth = self.depth.checked_sub(1).ok_or(Error::AmfTooDeep(DEPTH_MAX))?;
        let decoded = decode(self);
        self.depth += 1;
        decoded
    }
}

fn decode_at(input: &mut &[u8], left: &mut Left) -> Result<Value, Error> {
    left.values = left.values.checked_sub(1).ok_or(Error::AmfTooMany(VALUES_MAX))?;
    let [kind] = take(input)?;
    Ok(match kind {
        marker::NUMBER => Value::Number(f64::from_be_bytes(take(input)?)),
        marker::BOOLEAN => {
            let [byte] = take(input)?;
            Value::Boolean(byte != 0)
        }
        marker::STRING => Value::String(short_string(input)?),
        marker::LONG_STRING | marker::XML_DOCUMENT => {
            let length = u32::from_be_bytes(take(input)?);
            Value::String(text(input, length as usize)?)
        }
        marker::OBJECT => Value::Object(left.nested(|left| properties(input, left))?),
        marker::TYPED_OBJECT => {
            short_string(input)?;
            Value::Object(left.nested(|left| properties(input, left))?)
        }
        marker::ECMA_ARRAY => {
            let _count: [u8; 4] = take(input)?;
            Value::EcmaArray(left.nested(|left| ecma_properties(input, left))?)
        }
        marker::STRICT_ARRAY => left.nested(|left| strict_array(input, left))?,
        marker::DATE => {
            let unix_ms = f64::from_be_bytes(take(input)?);
            let _time_zone: [u8; 2] = take(input)?;
            Value::Date { unix_ms }
        }
        marker::NULL => Value::Null,
        marker::UNDEFINED | marker::UNSUPPORTED => Value::Undefined,
        other => return Err(Error::AmfMarker(other)),
    })
}

fn properties(input: &mut &[u8], left: &mut Left) -> Result<Properties, Error> {
    let mut properties = Vec::new();
    loop {
        let name = short_string(input)?;
        if name.is_empty() && input.first() == Some(&marker::OBJECT_END) {
            *input = &input[1..];
            return Ok(properties);
        }
        properties.push((name, decode_at(input, left)?));
    }
}

/// As an object, but some encoders leave out the end marker when the message ends there.
fn ecma_properties(input: &mut &[u8], left: &mut Left) -> Result<Properties, Error> {
    let mut properties = Vec::new();
    while !input.is_empty() {
        let name = short_string(input)?;
        if name.is_empty() && input.first() == Some(&marker::OBJECT_END) {
            *input = &input[1..];
            break;
        }
        properties.push((name, decode_at(input, left)?));
    }
    Ok(properties)
}

/// The count is believed as far as there are bytes: each value takes one at least.
fn strict_array(input: &mut &[u8], left: &mut Left) -> Result<Value, Error> {
    let count = u32::from_be_bytes(take(input)?);
    if count as usize > input.len() {
        return Err(Error::AmfCount { count, remaining: input.len() });
    }
    let values = (0..count).map(|_| decode_at(input, left)).collect::<Result<_, _>>()?;
    Ok(Value::StrictArray(values))
}

fn short_string(input: &mut &[u8]) -> Result<String, Error> {
    let length = u16::from_be_bytes(take(input)?);
    text(input, usize::from(length))
}

fn text(input: &mut &[u8], length: usize) -> Result<String, Error> {
    let (bytes, rest) = input.split_at_checked(length).ok_or(Error::AmfTruncated)?;
    *input = rest;
    Ok(String::from_utf8_lossy(bytes).into_owned())
}

fn take<const N: usize>(input: &mut &[u8]) -> Result<[u8; N], Error> {
    let (bytes, rest) = input.split_first_chunk().ok_or(Error::AmfTruncated)?;
    *input = rest;
    Ok(*bytes)
}

/// Appends one value; a property name longer than 65535 bytes is cut.
pub fn encode(value: &Value, out: &mut BytesMut) {
    match value {
        Value::Number(number) => {
            out.put_u8(marker::NUMBER);
            out.put_f64(*number);
        }
        Value::Boolean(boolean) => out.extend_from_slice(&[marker::BOOLEAN, u8::from(*boolean)]),
        Value::String(text) if text.len() > SHORT_STRING_MAX => {
            out.put_u8(marker::LONG_STRING);
            out.put_u32(text.len() as u32);
            out.extend_from_slice(text.as_bytes());
        }
        Value::String(text) => {
            out.put_u8(marker::STRING);
            put_short_string(text, out);
        }
        Value::Object(properties) => {
            out.put_u8(marker::OBJECT);
            put_properties(properties, out);
        }
        Value::EcmaArray(properties) => {
            out.put_u8(marker::ECMA_ARRAY);
            out.put_u32(properties.len() as u32);
            put_properties(properties, out);
        }
        Value::StrictArray(values) => {
            out.put_u8(marker::STRICT_ARRAY);
            out.put_u32(values.len() as u32);
            values.iter().for_each(|value| encode(value, out));
        }
        Value::Date { unix_ms } => {
            out.put_u8(marker::DATE);
            out.put_f64(*unix_ms);
            out.put_u16(0);
        }
        Value::Null => out.put_u8(marker::NULL),
        Value::Undefined => out.put_u8(marker::UNDEFINED),
    }
}

fn put_properties(properties: &Properties, out: &mut BytesMut) {
    for (name, value) in properties {
        put_short_string(name, out);
        encode(value, out);
    }
    out.extend_from_slice(&[0, 0, marker::OBJECT_END]);
}

fn put_short_string(text: &str, out: &mut BytesMut) {
    let text = &text[..text.floor_char_boundary(SHORT_STRING_MAX)];
    out.put_u16(text.len() as u16);
    out.extend_from_slice(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn encoded(value: &Value) -> Vec<u8> {
        let mut out = BytesMut::new();
        encode(value, &mut out);
        out.to_vec()
    }

    fn decoded(mut bytes: &[u8]) -> Result<Value, Error> {
        decode(&mut bytes)
    }

    #[test]
    fn values_of_every_marker_are_decoded() {
        let table: [(&[u8], Value); 12] = [
            (&[0, 0x40, 0x08, 0, 0, 0, 0, 0, 0], Value::Number(3.0)),
            (&[1, 2], Value::Boolean(true)),
            (&[2, 0, 2, b'h', b'i'], Value::from("hi")),
            (&[3, 0, 1, b'a', 5, 0, 0, 9], Value::Object(vec![("a".into(), Value::Null)])),
            (&[5], Value::Null),
            (&[6], Value::Undefined),
            (&[8, 0, 0, 0, 1, 0, 1, b'a', 1, 0, 0, 0, 9], Value::EcmaArray(vec![("a".into(), Value::Boolean(false))])),
            (&[10, 0, 0, 0, 2, 5, 6], Value::StrictArray(vec![Value::Null, Value::Undefined])),
            (&[11, 0x40, 0x08, 0, 0, 0, 0, 0, 0, 0, 0], Value::Date { unix_ms: 3.0 }),
            (&[12, 0, 0, 0, 1, b'x'], Value::from("x")),
            (&[15, 0, 0, 0, 1, b'x'], Value::from("x")),
            (&[16, 0, 1, b'C', 0, 0, 9], Value::Object(vec![])),
        ];
        for (bytes, value) in table {
            assert_eq!(decoded(bytes), Ok(value), "{bytes:?}");
            for end in 0..bytes.len() {
                let cut = decoded(&bytes[..end]);
                let without_end_marker = matches!(cut, Ok(Value::EcmaArray(_)));
                assert!(cut.is_err() || without_end_marker, "{:?}", &bytes[..end]);
            }
        }
    }

    #[test]
    fn an_ecma_array_may_lack_its_end_and_lie_about_its_count() {
        let end_missing = [8, 0, 0, 0, 1, 0, 1, b'a', 5];
        assert_eq!(decoded(&end_missing), Ok(Value::EcmaArray(vec![("a".into(), Value::Null)])));
        let count_wrong = [8, 255, 255, 255, 255, 0, 0, 9];
        assert_eq!(decoded(&count_wrong), Ok(Value::EcmaArray(vec![])));
    }

    #[test]
    fn counts_and_lengths_at_face_value_are_refused() {
        let count = decoded(&[10, 255, 255, 255, 255, 5, 5]);
        assert_eq!(count, Err(Error::AmfCount { count: u32::MAX, remaining: 2 }));
        assert_eq!(decoded(&[12, 255, 255, 255, 255, b'x']), Err(Error::AmfTruncated));
    }

    #[test]
    fn nesting_ends_at_sixteen() {
        let nested = |depth: usize| [[10, 0, 0, 0, 1].repeat(depth), vec![5]].concat();
        assert!(decoded(&nested(16)).is_ok());
        assert_eq!(decoded(&nested(17)), Err(Error::AmfTooDeep(16)));
        assert_eq!(decoded(&[3, 0, 0].repeat(10_000)), Err(Error::AmfTooDeep(16)));
    }

    #[test]
    fn what_nobody_sends_is_refused() {
        for kind in [4, 7, 9, 14, 17, 200] {
            assert_eq!(decoded(&[kind, 0, 0, 0]), Err(Error::AmfMarker(kind)));
        }
    }

    #[test]
    fn long_strings_and_names_are_encoded_within_their_lengths() {
        let text = "é".repeat(40_000);
        assert_eq!(decoded(&encoded(&Value::from(text.as_str()))), Ok(Value::from(text.as_str())));
        let value = decoded(&encoded(&Value::Object(vec![(text, Value::Null)]))).unwrap();
        assert_eq!(value.properties().unwrap()[0].0.len(), 65_534);
    }

    fn value() -> impl Strategy<Value = Value> {
        let number = any::<f64>().prop_filter("equal to itself", |n| !n.is_nan());
        let leaf = prop_oneof![
            number.clone().prop_map(Value::Number),
            any::<bool>().prop_map(Value::Boolean),
            ".{0,20}".prop_map(Value::String),
            number.prop_map(|unix_ms| Value::Date { unix_ms }),
            Just(Value::Null),
            Just(Value::Undefined),
        ];
        leaf.prop_recursive(4, 40, 6, |inner| {
            let properties = prop::collection::vec((".{0,9}", inner.clone()), 0..6);
            prop_oneof![
                properties.clone().prop_map(Value::Object),
                properties.prop_map(Value::EcmaArray),
                prop::collection::vec(inner, 0..6).prop_map(Value::StrictArray),
            ]
        })
    }

    #[test]
    fn a_message_holds_only_so_many_values() {
        assert_eq!(decode_all(&vec![marker::NULL; VALUES_MAX]).unwrap().len(), VALUES_MAX);
        assert_eq!(decode_all(&vec![marker::NULL; VALUES_MAX + 1]), Err(Error::AmfTooMany(VALUES_MAX)));
        let array = encoded(&Value::StrictArray(vec![Value::Null; VALUES_MAX]));
        assert_eq!(decode(&mut &array[..]), Err(Error::AmfTooMany(VALUES_MAX)));
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_decoded(values in prop::collection::vec(value(), 0..5)) {
            let bytes: Vec<u8> = values.iter().flat_map(encoded).collect();
            prop_assert_eq!(decode_all(&bytes), Ok(values));
        }

        #[test]
        fn noise_never_panics(bytes in prop::collection::vec(prop_oneof![0..18_u8, any::<u8>()], 0..300)) {
            let _ = decode_all(&bytes);
        }
    }
}
