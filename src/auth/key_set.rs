//! A set of public keys as its owner serves it (RFC 7517 5).

use super::Error;
use super::token::VerifyingKey;
use serde_json::{Map, Value};
use std::collections::HashSet;

/// Longer documents are refused before they are parsed.
pub const DOCUMENT_BYTES_MAX: usize = 64 * 1024;

/// Keys of ours in one set; more would make each token's look-up long.
pub const KEYS_MAX: usize = 32;

/// What tokens name a key by.
const KID_BYTES_MAX: usize = 128;

/// Members of a public key that verifies; what else a document holds is not kept, least of all private parts.
const MEMBERS: [&str; 10] = ["kty", "kid", "alg", "use", "key_ops", "crv", "x", "y", "n", "e"];

/// The document's keys that can be used, each as a JWK with `kid` and `alg`. Keys of other kinds are passed over
/// (RFC 7517 5), and of two with one `kid` the second; a document without a single one is refused.
pub fn parse(document: &[u8]) -> Result<Vec<String>, Error> {
    if document.len() > DOCUMENT_BYTES_MAX {
        return Err(Error::KeySet("it is longer than 64 KiB"));
    }
    let document: Value = serde_json::from_slice(document).map_err(|_| Error::KeySet("it is not a JSON document"))?;
    let keys = document.get("keys").and_then(Value::as_array);
    let keys = keys.ok_or(Error::KeySet("it has no list `keys`"))?;
    let mut kids = HashSet::new();
    let mut usable = Vec::new();
    for jwk in keys.iter().filter_map(Value::as_object).filter_map(normal) {
        if let Ok(key) = VerifyingKey::from_jwk(&jwk)
            && key.kid().len() <= KID_BYTES_MAX
            && kids.insert(key.kid().to_owned())
        {
            usable.push(jwk);
        }
        if usable.len() > KEYS_MAX {
            return Err(Error::KeySet("it has more than 32 keys"));
        }
    }
    if usable.is_empty() {
        return Err(Error::KeySet("it has no key with a `kid` for RS256, ES256 or EdDSA"));
    }
    Ok(usable)
}

/// With the algorithm of its kind, where it names none.
fn normal(jwk: &Map<String, Value>) -> Option<String> {
    let mut kept: Map<String, Value> =
        jwk.iter().filter(|(name, _)| MEMBERS.contains(&name.as_str())).map(|(k, v)| (k.clone(), v.clone())).collect();
    if !kept.contains_key("alg") {
        let text = |name: &str| jwk.get(name).and_then(Value::as_str);
        let algorithm = match (text("kty")?, text("crv")) {
            ("RSA", _) => "RS256",
            ("EC", Some("P-256")) => "ES256",
            ("OKP", Some("Ed25519")) => "EdDSA",
            _ => return None,
        };
        kept.insert("alg".to_owned(), algorithm.into());
    }
    Some(Value::Object(kept).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn ed25519(kid: &str) -> Value {
        json!({"kty": "OKP", "crv": "Ed25519", "kid": kid, "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"})
    }

    fn kids(document: &Value) -> Vec<String> {
        let keys = parse(document.to_string().as_bytes()).unwrap();
        keys.iter().map(|jwk| VerifyingKey::from_jwk(jwk).unwrap().kid().to_owned()).collect()
    }

    fn refusal(document: impl ToString) -> Error {
        parse(document.to_string().as_bytes()).unwrap_err()
    }

    #[test]
    fn keys_of_a_set_are_told_apart_by_kid_and_those_of_no_use_are_passed_over() {
        let mut encrypts = ed25519("e");
        encrypts["use"] = "enc".into();
        let mut other = ed25519("o");
        other["alg"] = "RS256".into();
        let document = json!({"keys": [
            ed25519("a"),
            {"kty": "oct", "kid": "secret", "alg": "HS256", "k": "c2VjcmV0"},
            {"kty": "EC", "crv": "P-521", "kid": "p"},
            encrypts,
            other,
            json!({"kty": "OKP"}),
            "no key",
            ed25519("b"),
            ed25519("a"),
        ], "more": 1});
        assert_eq!(kids(&document), ["a", "b"]);
    }

    #[test]
    fn private_parts_are_not_kept() {
        let mut key = ed25519("a");
        key["d"] = "private".into();
        let kept = parse(json!({"keys": [key]}).to_string().as_bytes()).unwrap();
        assert!(!kept[0].contains("private") && kept[0].contains("EdDSA"), "{kept:?}");
    }

    #[test]
    fn what_is_no_set_or_too_large_is_refused() {
        assert_eq!(refusal("<html>"), Error::KeySet("it is not a JSON document"));
        assert_eq!(refusal(json!([])), Error::KeySet("it has no list `keys`"));
        let none = Error::KeySet("it has no key with a `kid` for RS256, ES256 or EdDSA");
        assert_eq!(refusal(json!({"keys": []})), none);
        assert_eq!(refusal(json!({"keys": [{"kty": "OKP"}]})), none);
        let many: Vec<_> = (0..=KEYS_MAX).map(|n| ed25519(&n.to_string())).collect();
        assert_eq!(refusal(json!({"keys": many})), Error::KeySet("it has more than 32 keys"));
        assert_eq!(kids(&json!({"keys": many[1..]})).len(), KEYS_MAX);
        assert_eq!(refusal(" ".repeat(DOCUMENT_BYTES_MAX + 1)), Error::KeySet("it is longer than 64 KiB"));
    }
}
