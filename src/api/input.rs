//! What comes in, parsed at the edge: errors name the field and what is allowed there.

use super::{Error, State};
use crate::store::{Page, Position};
use actix_web::dev::Payload;
use actix_web::http::header::CONTENT_TYPE;
use actix_web::{FromRequest, HttpRequest, web};
use futures_util::StreamExt as _;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, de};
use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;

/// Characters in a name that people read.
const NAME_CHARS_MAX: usize = 200;

/// Rows in a page, where nothing else is asked for and at most.
const PAGE_DEFAULT: u32 = 20;
const PAGE_MAX: u32 = 100;

/// A JSON body whose values were checked.
pub(super) struct Body<T>(pub(super) T);

/// A type whose values are checked one by one after they were parsed.
pub(super) trait Check {
    fn check(&self) -> Result<(), Error>;
}

impl<T: DeserializeOwned + Check + 'static> FromRequest for Body<T> {
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Error>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let bytes_max = request.app_data::<web::Data<State>>().map_or(0, |state| state.limits.get().api_body_bytes);
        let media_type = request.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        let media_type = media_type.to_owned();
        let mut payload = payload.take();
        Box::pin(async move {
            let essence = media_type.split(';').next().unwrap_or_default().trim();
            if !essence.eq_ignore_ascii_case("application/json") {
                return Err(Error::MediaType(essence.to_owned()));
            }
            parse(&read(&mut payload, bytes_max).await?).map(Self)
        })
    }
}

pub(super) async fn read(payload: &mut Payload, bytes_max: usize) -> Result<web::Bytes, Error> {
    let mut bytes = web::BytesMut::new();
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|error| Error::Malformed(error.to_string()))?;
        if bytes.len() + chunk.len() > bytes_max {
            return Err(Error::TooLarge(bytes_max));
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes.freeze())
}

fn parse<T: DeserializeOwned + Check>(bytes: &[u8]) -> Result<T, Error> {
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let Object(value) = serde_path_to_error::deserialize::<_, Object<T>>(&mut json).map_err(|error| {
        let (field, error) = (error.path().to_string(), error.into_inner());
        if !error.is_data() {
            return Error::Malformed(error.to_string());
        }
        explained(&field, &error.to_string())
    })?;
    json.end().map_err(|error| Error::Malformed(error.to_string()))?;
    value.check()?;
    Ok(value)
}

/// An object by its names: serde would take an array as well, of the fields in the order in which we happen to write them.
struct Object<T>(T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Members<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> de::Visitor<'de> for Members<T> {
            type Value = Object<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: de::MapAccess<'de>>(self, members: A) -> Result<Object<T>, A::Error> {
                T::deserialize(de::value::MapAccessDeserializer::new(members)).map(Object)
            }
        }

        from.deserialize_map(Members(PhantomData))
    }
}

/// For an object within another.
pub(super) fn object<'de, T: Deserialize<'de>, D: Deserializer<'de>>(from: D) -> Result<T, D::Error> {
    Object::deserialize(from).map(|object| object.0)
}

/// For one that may be null.
pub(super) fn maybe_object<'de, T: Deserialize<'de>, D: Deserializer<'de>>(from: D) -> Result<Option<T>, D::Error> {
    Option::<Object<T>>::deserialize(from).map(|object| object.map(|object| object.0))
}

/// From serde's words, such as "unknown variant `x`, expected `a` or `b` at line 1 column 9".
fn explained(path: &str, message: &str) -> Error {
    let message = message.rsplit_once(" at line ").map_or(message, |(message, _)| message);
    let (detail, allowed) = message.split_once(", expected ").unwrap_or((message, ""));
    let named = ["missing field `", "duplicate field `"].into_iter().find_map(|said| detail.strip_prefix(said));
    let named = named.and_then(|rest| rest.strip_suffix('`'));
    let field = match (path, named) {
        (".", Some(name)) => name.to_owned(),
        (path, Some(name)) => format!("{path}.{name}"),
        (".", None) => "body".to_owned(),
        (path, None) => path.to_owned(),
    };
    let allowed = allowed.strip_prefix("one of ").unwrap_or(allowed);
    Error::Invalid { field, detail: detail.to_owned(), allowed: allowed.to_owned() }
}

/// Query parameters; one that is not known is an error.
pub(super) struct Query<T>(pub(super) T);

impl<T: DeserializeOwned> FromRequest for Query<T> {
    type Error = Error;
    type Future = std::future::Ready<Result<Self, Error>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let parsed = web::Query::<T>::from_query(request.query_string());
        let refused = |error: actix_web::error::QueryPayloadError| {
            let message = error.to_string();
            let message = message.strip_prefix("Query deserialize error: ").unwrap_or(&message);
            let field = message.split('`').nth(1).unwrap_or("query").to_owned();
            match explained(".", message) {
                Error::Invalid { detail, allowed, .. } => Error::Invalid { field, detail, allowed },
                other => other,
            }
        };
        std::future::ready(parsed.map(|query| Self(query.into_inner())).map_err(refused))
    }
}

/// Which part of a list.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Paging {
    tenant: Option<String>,
    limit: Option<String>,
    cursor: Option<String>,
}

impl Paging {
    pub(super) fn tenant(&self) -> Option<&str> {
        self.tenant.as_deref()
    }

    pub(super) fn page(&self) -> Result<Page, Error> {
        page(self.limit.as_deref(), self.cursor.as_deref())
    }
}

/// Only the tenant that a platform key asks for.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Scope {
    pub(super) tenant: Option<String>,
}

pub(super) fn page(limit: Option<&str>, cursor: Option<&str>) -> Result<Page, Error> {
    Ok(Page { limit: limit_of(limit)?, after: cursor.map(position).transpose()? })
}

pub(super) fn limit_of(limit: Option<&str>) -> Result<u32, Error> {
    let Some(text) = limit else { return Ok(PAGE_DEFAULT) };
    let limit = text.parse().ok().filter(|limit| (1..=PAGE_MAX).contains(limit));
    limit.ok_or_else(|| Error::invalid("limit", format!("`{text}` is no such number"), format!("1 to {PAGE_MAX}")))
}

pub(super) fn cursor(position: &Position) -> String {
    format!("{}.{}", position.created_us, position.id)
}

/// As the OpenAPI document says ([`super::bounds`]): a time, and an id of any kind.
fn position(cursor: &str) -> Result<Position, Error> {
    let parsed = || {
        let (created_us, id) = cursor.split_once('.')?;
        let (kind, rest) = id.split_once('_')?;
        let is_id = kind.len() == 3
            && kind.bytes().all(|b| b.is_ascii_lowercase())
            && (1..=60).contains(&rest.len())
            && rest.bytes().all(|b| b.is_ascii_alphanumeric());
        is_id.then_some(Position { created_us: digits(created_us, 17)?, id: id.to_owned() })
    };
    parsed().ok_or_else(no_cursor)
}

/// The cursor of a list that is ordered by a number.
pub(super) fn number_cursor(cursor: Option<&str>) -> Result<Option<i64>, Error> {
    cursor.map(|text| digits(text, 18).ok_or_else(no_cursor)).transpose()
}

fn digits(text: &str, digits_max: usize) -> Option<i64> {
    let is_plain = text.len() <= digits_max && text.bytes().all(|b| b.is_ascii_digit());
    text.parse().ok().filter(|_| is_plain)
}

fn no_cursor() -> Error {
    Error::invalid("cursor", "it is none of ours", "`next_cursor` of the page before")
}

/// For a field that may be null, left out, or said.
pub(super) fn said<'de, T: Deserialize<'de>, D: Deserializer<'de>>(from: D) -> Result<Option<Option<T>>, D::Error> {
    Option::<T>::deserialize(from).map(Some)
}

/// A number as JSON means it: `30.0` is one that is whole (JSON Schema, 6.1.1), and some programs write it so.
struct Whole(u32);

impl<'de> Deserialize<'de> for Whole {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Numbers;

        impl de::Visitor<'_> for Numbers {
            type Value = Whole;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a whole number from 0 to 4294967295")
            }

            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Whole, E> {
                let whole = u32::try_from(number).map(Whole);
                whole.map_err(|_| E::invalid_value(de::Unexpected::Unsigned(number), &self))
            }

            fn visit_i64<E: de::Error>(self, number: i64) -> Result<Whole, E> {
                Err(E::invalid_value(de::Unexpected::Signed(number), &self))
            }

            fn visit_f64<E: de::Error>(self, number: f64) -> Result<Whole, E> {
                let is_whole = number.fract() == 0.0 && (0.0..=f64::from(u32::MAX)).contains(&number);
                if is_whole {
                    Ok(Whole(number as u32))
                } else {
                    Err(E::invalid_value(de::Unexpected::Float(number), &self))
                }
            }
        }

        from.deserialize_u32(Numbers)
    }
}

pub(super) fn whole<'de, D: Deserializer<'de>>(from: D) -> Result<u32, D::Error> {
    Whole::deserialize(from).map(|whole| whole.0)
}

/// For one that may be null.
pub(super) fn maybe_whole<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u32>, D::Error> {
    Option::<Whole>::deserialize(from).map(|whole| whole.map(|whole| whole.0))
}

/// For one that may be null, left out, or said.
pub(super) fn said_whole<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Option<u32>>, D::Error> {
    maybe_whole(from).map(Some)
}

pub(super) fn check_name(field: &str, name: &str) -> Result<(), Error> {
    let right = (1..=NAME_CHARS_MAX).contains(&name.chars().count()) && !name.chars().any(char::is_control);
    check(right, field, "1 to 200 characters, none of them a control character")
}

pub(super) fn check(right: bool, field: &str, allowed: &str) -> Result<(), Error> {
    if right { Ok(()) } else { Err(Error::invalid(field, format!("`{field}` is not as it must be"), allowed)) }
}

pub(super) fn check_labels(labels: &BTreeMap<String, String>) -> Result<(), Error> {
    let right =
        |(key, value): (&String, &String)| (1..=64).contains(&key.chars().count()) && value.chars().count() <= 256;
    let right = labels.len() <= 50 && labels.iter().all(right);
    check(right, "labels", "at most 50; keys of 1 to 64 characters, values of up to 256")
}

/// As a browser sends it in `Origin`.
pub(super) fn check_origin(field: &str, origin: &str) -> Result<(), Error> {
    let host = origin.strip_prefix("https://").or_else(|| origin.strip_prefix("http://")).unwrap_or_default();
    let right = !host.is_empty()
        && origin.len() <= 255
        && host.chars().all(|c| c.is_ascii_alphanumeric() || "-._:[]".contains(c));
    check(right, field, "origins such as https://www.example.com: scheme, host and port, no path")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only parsed")]
    struct Example {
        name: String,
        policy: crate::store::Policy,
        count: Option<u32>,
    }

    impl Check for Example {
        fn check(&self) -> Result<(), Error> {
            check_name("name", &self.name)
        }
    }

    #[test]
    fn a_number_is_whole_however_it_is_written() {
        #[derive(Deserialize)]
        struct Numbers {
            #[serde(deserialize_with = "whole")]
            a: u32,
            #[serde(default, deserialize_with = "said_whole")]
            b: Option<Option<u32>>,
        }
        let parsed = |text: &str| serde_json::from_str::<Numbers>(text).map(|numbers| (numbers.a, numbers.b)).ok();
        assert_eq!(parsed(r#"{"a": 30}"#), Some((30, None)));
        assert_eq!(parsed(r#"{"a": 30.0, "b": null}"#), Some((30, Some(None))));
        assert_eq!(parsed(r#"{"a": 4294967295.0, "b": 3e2}"#), Some((u32::MAX, Some(Some(300)))));
        for text in ["30.5", "-1", "-0.5", "4294967296", "4294967296.0", "1e99", "\"30\"", "true", "null"] {
            assert_eq!(parsed(&format!("{{\"a\": {text}}}")), None, "{text}");
        }
    }

    fn refusal(json: &str) -> (String, String) {
        match parse::<Example>(json.as_bytes()) {
            Err(Error::Invalid { field, allowed, .. }) => (field, allowed),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_bad_value_is_named_with_what_is_allowed() {
        let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
        assert_eq!(refusal(r#"{"name": "n", "policy": "secret"}"#), pair("policy", "`signed` or `public`"));
        assert_eq!(refusal(r#"{"name": "n"}"#), pair("policy", ""));
        assert_eq!(refusal(r#"{"name": "n", "policy": "signed", "count": "3"}"#), pair("count", "u32"));
        assert_eq!(
            refusal(r#"{"name": "n", "policy": "signed", "colour": 1}"#),
            pair("colour", "`name`, `policy`, `count`")
        );
        assert_eq!(refusal(r#"[]"#).0, "body");
        assert_eq!(refusal(r#"{"name": "", "policy": "signed"}"#).0, "name");
    }

    #[test]
    fn what_is_no_json_is_said_to_be_none() {
        for text in ["", "{", "{}{}", "nonsense", "{\"name\": \"n\", \"policy\": \"signed\"} x"] {
            let refused = parse::<Example>(text.as_bytes()).unwrap_err();
            assert!(matches!(refused, Error::Malformed(_) | Error::Invalid { .. }), "{text}: {refused:?}");
        }
    }

    #[test]
    fn a_cursor_reads_back_and_nothing_else_is_one() {
        let last = Position { created_us: 1_800_000_000_000_000, id: "str_abc".to_owned() };
        assert_eq!(position(&cursor(&last)).unwrap(), last);
        let long = format!("1.str_{}", "a".repeat(61));
        for text in
            ["", "x", ".", "1", "1.", "1.str_", "x.str_a", "+1.str_a", "-1.str_a", "1.a", "1.play_a", "1.str_é", &long]
        {
            assert!(position(text).is_err(), "{text}");
        }
        assert_eq!(number_cursor(Some("17")), Ok(Some(17)));
        for text in ["", "+1", "-1", "1234567890123456789", "x"] {
            assert!(number_cursor(Some(text)).is_err(), "{text}");
        }
    }

    #[test]
    fn a_page_has_a_size_within_bounds() {
        assert_eq!(limit_of(None), Ok(20));
        assert_eq!(limit_of(Some("100")), Ok(100));
        for text in ["0", "101", "-1", "x", "", "4294967297"] {
            assert!(limit_of(Some(text)).is_err(), "{text}");
        }
    }

    #[test]
    fn an_origin_is_scheme_host_and_port() {
        for origin in ["https://a.example", "http://localhost:3000", "https://[::1]:8443"] {
            assert_eq!(check_origin("o", origin), Ok(()), "{origin}");
        }
        for origin in ["", "a.example", "https://", "https://a.example/", "https://a.example/x", "null", "*", "ftp://a"]
        {
            assert!(check_origin("o", origin).is_err(), "{origin}");
        }
    }
}
