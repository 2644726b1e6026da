//! What a node shows another: a JSON Web Token (RFC 7519) of a minute at most, good for that other node alone.

use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, encode};
use serde::{Deserialize, Serialize};

use super::secret::Secrets;

/// From when it is made.
const LIVES_S: i64 = 30;

/// A node's clock may be ahead of another's by what is left to a minute.
const AHEAD_S: i64 = 30;

const AUDIENCE: &str = "weir:node";

#[derive(Debug, Serialize, Deserialize)]
struct Claims {
    aud: String,
    /// The node that shows it.
    iss: String,
    /// The node that it is shown to.
    sub: String,
    /// Unix time in seconds.
    exp: i64,
}

/// A credential of node `from` for node `to`.
pub fn issue(secrets: &Secrets, from: &str, to: &str, now_us: i64) -> String {
    let exp = now_us / 1_000_000 + LIVES_S;
    let claims = Claims { aud: AUDIENCE.to_owned(), iss: from.to_owned(), sub: to.to_owned(), exp };
    let key = EncodingKey::from_secret(secrets.node());
    encode(&Header::new(Algorithm::HS256), &claims, &key).expect("texts and a number are signed")
}

/// The node that shows this credential to the node `to`; None: it is not good here and now.
pub fn verify(secrets: &Secrets, credential: &str, to: &str, now_us: i64) -> Option<String> {
    let mut validation = Validation::new(Algorithm::HS256);
    // The time is an argument here.
    validation.validate_exp = false;
    validation.set_audience(&[AUDIENCE]);
    let claims = decode::<Claims>(credential, &DecodingKey::from_secret(secrets.node()), &validation).ok()?.claims;
    let left_s = claims.exp - now_us / 1_000_000;
    (claims.sub == to && left_s > 0 && left_s <= LIVES_S + AHEAD_S).then_some(claims.iss)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW_US: i64 = 1_800_000_000_000_000;

    fn secrets(root: &str) -> Secrets {
        Secrets::derive(&root.repeat(32)).unwrap()
    }

    #[test]
    fn a_credential_is_good_for_one_node_for_half_a_minute_under_one_root_secret() {
        let made = issue(&secrets("a"), "one", "two", NOW_US);
        assert_eq!(verify(&secrets("a"), &made, "two", NOW_US).as_deref(), Some("one"));
        assert_eq!(verify(&secrets("a"), &made, "three", NOW_US), None);
        assert_eq!(verify(&secrets("b"), &made, "two", NOW_US), None);
        for (later_s, is_good) in [(-30, true), (-31, false), (29, true), (30, false)] {
            let now_us = NOW_US + later_s * 1_000_000;
            assert_eq!(verify(&secrets("a"), &made, "two", now_us).is_some(), is_good, "{later_s}");
        }
    }

    #[test]
    fn tokens_of_others_are_worthless_here() {
        let secrets = secrets("a");
        let exp = NOW_US / 1_000_000 + 10;
        let viewers = serde_json::json!({ "aud": "weir:play", "iss": "one", "sub": "two", "exp": exp });
        let key = EncodingKey::from_secret(secrets.node());
        let viewers = encode(&Header::new(Algorithm::HS256), &viewers, &key).unwrap();
        for token in ["", "x", viewers.as_str()] {
            assert_eq!(verify(&secrets, token, "two", NOW_US), None, "{token}");
        }
    }
}
