//! Viewer tokens: JSON Web Tokens (RFC 7519) signed with one of the tenant's keys, which fixes the algorithm.

use std::fmt;
use std::net::IpAddr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm as Jwa, DecodingKey, DecodingKeyKind, EncodingKey, Header, crypto, jwk};
use serde::{Deserialize, Serialize};
use serde_json::{Number, Value};

use super::Error;

/// Longer tokens are refused before anything in them is read.
pub const TOKEN_BYTES_MAX: usize = 16 * 1024;

/// How far ahead of ours a signer's clock may be; applies to `nbf` only.
pub const NOT_BEFORE_LEEWAY_S: i64 = 30;

/// Shorter HS256 secrets could be guessed from one token (RFC 7518 3.2).
pub const HS256_SECRET_BYTES_MIN: usize = 32;

/// RSA keys of less than 2048 bits are refused (RFC 7518 3.3).
const RSA_MODULUS_BYTES_MIN: usize = 256;

/// RFC 8032 5.1.5; the library takes a longer key for its beginning, and panics at a shorter one.
const ED25519_KEY_BYTES: usize = 32;

/// The subject is logged, counted and shown: longer ones are refused.
const SUBJECT_BYTES_MAX: usize = 256;

const AUDIENCE: &str = "weir:play";

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Algorithm {
    Hs256,
    Rs256,
    Es256,
    EdDsa,
}

impl Algorithm {
    pub const ALL: [Self; 4] = [Self::Hs256, Self::Rs256, Self::Es256, Self::EdDsa];

    /// As in `alg` (RFC 7518 3.1, RFC 8037 3.1).
    pub fn name(self) -> &'static str {
        match self {
            Self::Hs256 => "HS256",
            Self::Rs256 => "RS256",
            Self::Es256 => "ES256",
            Self::EdDsa => "EdDSA",
        }
    }

    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.name() == name)
    }

    fn jwa(self) -> Jwa {
        match self {
            Self::Hs256 => Jwa::HS256,
            Self::Rs256 => Jwa::RS256,
            Self::Es256 => Jwa::ES256,
            Self::EdDsa => Jwa::EdDSA,
        }
    }
}

/// One of a tenant's keys, ready to check signatures with.
#[derive(Clone)]
pub struct VerifyingKey {
    kid: Box<str>,
    algorithm: Algorithm,
    key: DecodingKey,
}

impl fmt::Debug for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VerifyingKey({}, {})", self.kid, self.algorithm.name())
    }
}

impl VerifyingKey {
    pub fn hs256(kid: &str, secret: &[u8]) -> Result<Self, Error> {
        if secret.len() < HS256_SECRET_BYTES_MIN {
            return Err(Error::SigningKey("an HS256 secret has at least 32 bytes"));
        }
        Ok(Self { kid: kid.into(), algorithm: Algorithm::Hs256, key: DecodingKey::from_secret(secret) })
    }

    /// `pem` is a public key; the algorithm is one of RS256, ES256 and EdDSA.
    pub fn from_pem(kid: &str, algorithm: Algorithm, pem: &str) -> Result<Self, Error> {
        let key = match algorithm {
            Algorithm::Hs256 => return Err(Error::SigningKey("HS256 has no public key")),
            Algorithm::Rs256 => DecodingKey::from_rsa_pem(pem.as_bytes()),
            Algorithm::Es256 => DecodingKey::from_ec_pem(pem.as_bytes()),
            Algorithm::EdDsa => DecodingKey::from_ed_pem(pem.as_bytes()),
        };
        let key = key.map_err(|_| Error::SigningKey("not a PEM public key of this algorithm"))?;
        let made = Self { kid: kid.into(), algorithm, key };
        made.usable()?;
        Ok(made)
    }

    /// `jwk` is a public key (RFC 7517) whose `alg` is ours and whose `use` is signing; its `kid` names it.
    pub fn from_jwk(jwk: &str) -> Result<Self, Error> {
        let value: Value = serde_json::from_str(jwk).map_err(|_| Error::SigningKey("a JWK is a JSON object"))?;
        if value.get("use").is_some_and(|used| used != "sig") {
            return Err(Error::SigningKey("the JWK's `use` is not `sig`"));
        }
        let verifies = |ops: &Value| ops.as_array().is_some_and(|ops| ops.iter().any(|op| op == "verify"));
        if value.get("key_ops").is_some_and(|ops| !verifies(ops)) {
            return Err(Error::SigningKey("the JWK's `key_ops` don't name `verify`"));
        }
        let kid = value.get("kid").and_then(Value::as_str).ok_or(Error::SigningKey("a JWK needs a `kid`"))?.to_owned();
        let named = value.get("alg").and_then(Value::as_str).and_then(Algorithm::parse);
        let algorithm = named.ok_or(Error::SigningKey("the JWK's `alg` is not RS256, ES256 or EdDSA"))?;
        let parsed: jwk::Jwk =
            serde_json::from_value(value).map_err(|_| Error::SigningKey("not a JWK of a known kind"))?;
        let fits = matches!(
            (&parsed.algorithm, algorithm),
            (jwk::AlgorithmParameters::RSA(_), Algorithm::Rs256)
                | (jwk::AlgorithmParameters::EllipticCurve(_), Algorithm::Es256)
                | (jwk::AlgorithmParameters::OctetKeyPair(_), Algorithm::EdDsa)
        );
        let key = DecodingKey::from_jwk(&parsed).ok().filter(|_| fits);
        let made = Self {
            kid: kid.into(),
            algorithm,
            key: key.ok_or(Error::SigningKey("the JWK's `kty` does not fit its `alg`"))?,
        };
        made.usable()?;
        Ok(made)
    }

    pub fn kid(&self) -> &str {
        &self.kid
    }

    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Tries the key on a signature, so that a bad one is refused when it is stored and not when a viewer comes.
    fn usable(&self) -> Result<(), Error> {
        if self.algorithm == Algorithm::Rs256 && der_bytes(&self.key) <= RSA_MODULUS_BYTES_MIN {
            return Err(Error::SigningKey("an RSA key has at least 2048 bits"));
        }
        if self.algorithm == Algorithm::EdDsa && der_bytes(&self.key) != ED25519_KEY_BYTES {
            return Err(Error::SigningKey("an Ed25519 key has 32 bytes"));
        }
        let tried = crypto::verify("AAAA", b"", &self.key, self.algorithm.jwa());
        tried.map(|_| ()).map_err(|_| Error::SigningKey("not a public key of this algorithm"))
    }
}

fn der_bytes(key: &DecodingKey) -> usize {
    match key.kind() {
        DecodingKeyKind::SecretOrDer(der) => der.len(),
        DecodingKeyKind::RsaModulusExponent { n, .. } => n.len() + 1,
    }
}

/// The streams that a token is for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Streams {
    /// A playback id, or `*` for each of the tenant's.
    One(String),
    List(Vec<String>),
}

impl Streams {
    fn allow(&self, playback_id: &str) -> bool {
        match self {
            Self::One(one) => one == "*" || one == playback_id,
            Self::List(list) => list.iter().any(|one| one == playback_id),
        }
    }
}

/// What a token says. Times are Unix seconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claims {
    pub subject: Option<String>,
    pub streams: Streams,
    pub expires_s: i64,
    pub not_before_s: Option<i64>,
    pub issued_s: Option<i64>,
    pub id: Option<String>,
    /// The only address that may use it.
    pub ip: Option<IpAddr>,
    /// The only `Origin` that may use it.
    pub origin: Option<String>,
    pub max_sessions: Option<u32>,
}

/// What the token is shown for.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    pub playback_id: &'a str,
    pub now_s: i64,
    pub address: Option<IpAddr>,
    /// The `Origin` header, where there was one.
    pub origin: Option<&'a str>,
}

/// Why a token was refused: for metrics and logs; the viewer is never told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[error("token refused: {}", .0.reason())]
pub struct Refused(pub Reason);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reason {
    TooLong,
    Malformed,
    Header,
    UnknownKey,
    Algorithm,
    Signature,
    Claims,
    Audience,
    Expired,
    NotYet,
    Stream,
    Address,
    Origin,
}

impl Reason {
    /// A metric's label.
    pub fn reason(self) -> &'static str {
        match self {
            Self::TooLong => "too_long",
            Self::Malformed => "malformed",
            Self::Header => "header",
            Self::UnknownKey => "unknown_key",
            Self::Algorithm => "algorithm",
            Self::Signature => "signature",
            Self::Claims => "claims",
            Self::Audience => "audience",
            Self::Expired => "expired",
            Self::NotYet => "not_yet",
            Self::Stream => "stream",
            Self::Address => "address",
            Self::Origin => "origin",
        }
    }
}

impl From<Reason> for Refused {
    fn from(reason: Reason) -> Self {
        Self(reason)
    }
}

/// Accepts a token of one of `keys` that is valid now, for this stream, from there.
pub fn verify(token: &str, keys: &[VerifyingKey], request: &Request<'_>) -> Result<Claims, Refused> {
    verify_by(token, keys, request).map(|(claims, _)| claims)
}

/// As [`verify`]; tells which of `keys` signed it.
pub fn verify_by(token: &str, keys: &[VerifyingKey], request: &Request<'_>) -> Result<(Claims, usize), Refused> {
    let (payload, signer) = verified_payload(token, keys)?;
    let claims = parse_claims(&payload)?;
    if claims.expires_s <= request.now_s {
        return Err(Reason::Expired.into());
    }
    if claims.not_before_s.is_some_and(|from_s| from_s > request.now_s.saturating_add(NOT_BEFORE_LEEWAY_S)) {
        return Err(Reason::NotYet.into());
    }
    if !claims.streams.allow(request.playback_id) {
        return Err(Reason::Stream.into());
    }
    if claims.ip.is_some_and(|ip| request.address.map(|from| from.to_canonical()) != Some(ip.to_canonical())) {
        return Err(Reason::Address.into());
    }
    if claims.origin.is_some() && claims.origin.as_deref() != request.origin {
        return Err(Reason::Origin.into());
    }
    Ok((claims, signer))
}

/// Makes an HS256 token.
pub fn issue(kid: &str, secret: &[u8], claims: &Claims) -> Result<String, Error> {
    let header = Header { kid: Some(kid.to_owned()), ..Header::new(Jwa::HS256) };
    let wire = WireClaims::from(claims);
    let failed = |_| Error::SigningKey("the secret signs no token");
    jsonwebtoken::encode(&header, &wire, &EncodingKey::from_secret(secret)).map_err(failed)
}

#[derive(Deserialize)]
struct WireHeader {
    alg: String,
    kid: String,
    /// Each of these would let the token choose its own key or rules; that they are absent is checked.
    jku: Option<Value>,
    x5u: Option<Value>,
    jwk: Option<Value>,
    x5c: Option<Value>,
    crit: Option<Value>,
    b64: Option<Value>,
    zip: Option<Value>,
}

impl WireHeader {
    fn plain(&self) -> bool {
        let Self { jku, x5u, jwk, x5c, crit, b64, zip, .. } = self;
        [jku, x5u, jwk, x5c, crit, b64, zip].into_iter().all(Option::is_none)
    }
}

fn verified_payload(token: &str, keys: &[VerifyingKey]) -> Result<(Vec<u8>, usize), Refused> {
    if token.len() > TOKEN_BYTES_MAX {
        return Err(Reason::TooLong.into());
    }
    let (message, signature) = token.rsplit_once('.').ok_or(Reason::Malformed)?;
    let (header, payload) = message.split_once('.').ok_or(Reason::Malformed)?;
    let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).map_err(|_| Reason::Malformed);
    let header: WireHeader = serde_json::from_slice(&decode(header)?).map_err(|_| Reason::Header)?;
    if !header.plain() {
        return Err(Reason::Header.into());
    }
    let signer = keys.iter().position(|key| *key.kid == *header.kid).ok_or(Reason::UnknownKey)?;
    let key = &keys[signer];
    if header.alg != key.algorithm.name() {
        return Err(Reason::Algorithm.into());
    }
    let payload = decode(payload)?;
    let right = crypto::verify(signature, message.as_bytes(), &key.key, key.algorithm.jwa());
    if right.unwrap_or(false) { Ok((payload, signer)) } else { Err(Reason::Signature.into()) }
}

#[derive(Serialize, Deserialize)]
struct WireClaims {
    #[serde(skip_serializing_if = "Option::is_none")]
    sub: Option<String>,
    aud: Audience,
    stream: Streams,
    exp: Number,
    #[serde(skip_serializing_if = "Option::is_none")]
    nbf: Option<Number>,
    #[serde(skip_serializing_if = "Option::is_none")]
    iat: Option<Number>,
    #[serde(skip_serializing_if = "Option::is_none")]
    jti: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ip: Option<IpAddr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    origin: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_sessions: Option<u32>,
}

/// A string or a list of them (RFC 7519 4.1.3).
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    List(Vec<String>),
}

impl From<&Claims> for WireClaims {
    fn from(claims: &Claims) -> Self {
        Self {
            sub: claims.subject.clone(),
            aud: Audience::One(AUDIENCE.to_owned()),
            stream: claims.streams.clone(),
            exp: claims.expires_s.into(),
            nbf: claims.not_before_s.map(Number::from),
            iat: claims.issued_s.map(Number::from),
            jti: claims.id.clone(),
            ip: claims.ip,
            origin: claims.origin.clone(),
            max_sessions: claims.max_sessions,
        }
    }
}

fn parse_claims(payload: &[u8]) -> Result<Claims, Refused> {
    let wire: WireClaims = serde_json::from_slice(payload).map_err(|_| Reason::Claims)?;
    let ours = match &wire.aud {
        Audience::One(one) => one == AUDIENCE,
        Audience::List(list) => list.iter().any(|one| one == AUDIENCE),
    };
    if !ours {
        return Err(Reason::Audience.into());
    }
    if wire.sub.as_ref().is_some_and(|sub| sub.is_empty() || sub.len() > SUBJECT_BYTES_MAX) {
        return Err(Reason::Claims.into());
    }
    Ok(Claims {
        subject: wire.sub,
        streams: wire.stream,
        expires_s: seconds(&wire.exp)?,
        not_before_s: wire.nbf.as_ref().map(seconds).transpose()?,
        issued_s: wire.iat.as_ref().map(seconds).transpose()?,
        id: wire.jti,
        ip: wire.ip,
        origin: wire.origin,
        max_sessions: wire.max_sessions,
    })
}

/// A NumericDate may have a fraction (RFC 7519 2).
fn seconds(number: &Number) -> Result<i64, Refused> {
    /// The year 9999: a later time is a mistake, of milliseconds for seconds for instance.
    const SECONDS_MAX: f64 = 253_402_300_799.0;
    let value = number.as_f64().filter(|value| (0.0..=SECONDS_MAX).contains(value)).ok_or(Reason::Claims)?;
    Ok(value as i64)
}

#[cfg(test)]
#[path = "token_tests.rs"]
mod tests;
